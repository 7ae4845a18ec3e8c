"""What is asked for in vain: one clear sentence, not a traceback nor an answer without meaning."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import thermoflop as tf
from thermoflop.base.units import shortened
from thermoflop.cli import main
from thermoflop.errors import UsageError


@pytest.fixture(scope="module")
def model():
    """A small decoder."""
    return tf.load_model("gpt2")


def test_arrays_where_one_number_is_expected_are_named(model):
    """tf.fit and tf.train take one configuration."""
    with pytest.raises(UsageError, match="batch is an array"):
        tf.fit(model, "h100", batch=np.array([1, 2]), prompt=9)
    with pytest.raises(UsageError, match="global_batch is an array"):
        tf.train(model, "h100", global_batch=np.array([512, 64]), sequence=64)


@pytest.mark.parametrize(
    "value",
    [["a"], [b"x"], [1 + 0j], ["2020-01-01"], [True], [None], [1.5], [], [float("nan")]],
    ids=str,
)
def test_arrays_of_anything_but_whole_numbers_are_refused(model, value):
    """Text, complex numbers, dates and truth are no sizes, although numpy makes floats of some."""
    array = np.array(value, dtype="datetime64[D]" if value == ["2020-01-01"] else None)
    for name in ("batch", "prompt", "generate"):
        with pytest.raises(UsageError, match=f"{name} must be whole numbers"):
            tf.estimate(model, "h100", **{"prompt": 9, "generate": 2, name: array})
    if array.size and value != [None]:  # None alone is a batch that is not said
        with pytest.raises(UsageError, match="batch"):
            tf.estimate(model, "h100", batch=array[0], prompt=9)


def test_arrays_that_do_not_fit_each_other_are_named(model):
    """With their shapes."""
    with pytest.raises(UsageError, match=r"batch \(2,\), prompt \(3,\)"):
        tf.estimate(model, "h100", batch=np.array([1, 2]), prompt=np.array([1, 2, 3]), generate=2)


def test_sizes_may_be_written_as_on_the_command_line():
    """2k tokens are 2,048, as those of a context of 32k; a batch of 1k is a thousand."""
    written = {"prompt": "2k", "generate": "1_000", "batch": "1k"}
    plain = {"prompt": 2048, "generate": 1000, "batch": 1000}
    for ask in (tf.estimate, tf.fit):
        first, second = (ask("llama-3.1-8b", "h100", **sizes) for sizes in (written, plain))
        assert str(first) == str(second)
    trained = tf.train("gpt2", "h100", sequence="1k", tokens="1.5T")
    assert (trained.sequence, trained.train_tokens) == (1024, 1.5e12)
    read = tf.estimate("gpt2", "h100", prompt=512, chunk="0.25k", generate=1).first_token
    assert read == tf.estimate("gpt2", "h100", prompt=512, chunk=256, generate=1).first_token
    assert tf.serving("llama-3.1-8b", "h100", users=2, prompt="2k", generate="1k").prompt == 2048
    with pytest.raises(UsageError, match="prompt='many' makes no sense: expected a whole number"):
        tf.estimate("gpt2", "h100", prompt="many")
    with pytest.raises(UsageError, match="of several sizes make a numpy array"):
        tf.estimate("gpt2", "h100", batch=[1, 2], prompt=9, generate=2)
    with pytest.raises(UsageError, match="tokens='many' makes no sense: expected above 0"):
        tf.train("gpt2", "h100", tokens="many")


def test_a_scalar_of_numpy_is_a_number(model):
    """It prints as one, too."""
    one = tf.estimate(model, "h100", batch=np.int64(4), prompt=np.int32(9), generate=np.int64(3))
    assert "batch 4, prompt 9, 3 generated" in str(one)
    same = tf.estimate(model, "h100", batch=4, prompt=9, generate=3)
    assert one.total.expected_s == same.total.expected_s


def test_nothing_decoded_is_no_throughput():
    """0 tokens a second, scalar and in arrays, instead of a division by zero."""
    assert tf.estimate("gpt2", "h100", prompt=9, generate=0).decode_tokens_per_s == 0
    grid = tf.estimate("gpt2", "h100", prompt=9, generate=np.array([0, 1, 5])).decode_tokens_per_s
    assert (grid[:2] == 0).all()
    assert grid[2] > 0


@pytest.mark.parametrize("dtype", ["int4", "awq", "q4_k_m", "int8", "int8-wo", "nf4"])
def test_training_refuses_formats_that_have_no_gradient(model, dtype):
    """Named, with those that have one."""
    with pytest.raises(UsageError, match=f"{dtype}.*expected bf16"):
        tf.train(model, "h100", sequence=64, dtype=dtype)


@pytest.mark.parametrize("name", ["vit-base", "clip-vit-large-patch14"])
def test_training_refuses_what_reads_no_tokens(name):
    """A batch of sequences says nothing about images."""
    with pytest.raises(UsageError, match="reads no tokens"):
        tf.train(name, "h100", sequence=64)


@pytest.mark.parametrize("page", [0, -1, 2.5, 10**26, True])
def test_pages_that_no_engine_has(model, page):
    """From 1 to a million tokens."""
    with pytest.raises(UsageError, match="page="):
        tf.fit(model, "h100", prompt=9, page=page)


def test_a_size_that_is_too_large_is_told_the_upper_end(model):
    """Not that it should be at least 1."""
    with pytest.raises(UsageError, match=r"from 1 to 10\^12"):
        tf.estimate(model, "h100", batch=10**13, prompt=9)
    with pytest.raises(UsageError, match="from 1 to 1,000,000"):
        tf.estimate(model, "h100", prompt=9, tp=10**7)


@pytest.mark.parametrize("words", [["--draft-tokens", "3"], ["--acceptance", "2"]])
def test_drafting_options_need_a_draft(words, capsys):
    """Instead of doing nothing."""
    assert main(["estimate", "gpt2", "--prompt", "9", *words]) == 2
    assert "need --draft" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "most", "shown"),
    [
        ("RTX PRO 6000 Blackwell (Server)", 30, "RTX PRO 6000 Blackwell"),
        ("short (x)", 30, "short (x)"),
        ("abcdefghij", 6, "abcd.."),
    ],
)
def test_names_are_never_cut_inside_brackets(name, most, shown):
    """In tables."""
    assert shortened(name, most) == shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("estimate", "gpt2"), "prompt 896, 128 generated"),
        (("estimate", "gpt2", "--generate", "24"), "prompt 1000, 24 generated"),
        (("estimate", "llama-3-8b"), "prompt 1024, 128 generated"),
        (("estimate", "bert-base-uncased"), "prompt 512, 0 generated"),
        (("fit", "gpt2"), "896 + 128 tokens"),
        (("compare", "gpt2"), "896 + 128 tokens"),
        (("train", "gpt2"), "batch 512 x 1024 tokens"),
    ],
)
def test_sizes_that_were_not_said_are_such_as_the_model_can_do(capsys, words, said):
    """A default is never what refuses a model."""
    assert main(list(words)) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("sizes", ["--prompt 1025", "--prompt 1024 --generate 1"])
def test_sizes_that_were_said_are_refused_where_they_do_not_fit(capsys, sizes):
    assert main(["estimate", "gpt2", *sizes.split()]) == 2
    assert "1024 positions" in capsys.readouterr().err


def test_a_device_that_computes_in_fp32_alone_is_asked_for_no_other_format(capsys, tmp_path):
    """A processor that was calibrated is such a one."""
    file = tmp_path / "own.toml"
    file.write_text("memory_gb = 8\nbandwidth_gb_s = 20\n[dense_tflops]\nfp32 = 0.2\n")
    for command in ("estimate", "fit", "compare"):
        asked = [command, "gpt2", "--gpu", str(file)]
        assert main(asked) == 0
        unsaid = capsys.readouterr().out
        assert main([*asked, "--dtype", "fp32"]) == 0
        assert capsys.readouterr().out == unsaid


@pytest.mark.parametrize(
    ("name", "sizes", "expected"),
    [  # gpt2 has 1024 positions, t5-small 512, bert-base-uncased 512 and generates nothing
        ("gpt2", {}, (896, 128)),
        ("gpt2", {"prompt": 1000}, (1000, 24)),
        ("gpt2", {"generate": 1000}, (24, 1000)),
        ("t5-small", {}, (384, 128)),
        ("bert-base-uncased", {}, (512, 0)),
        ("llama-3-8b", {}, (1024, 128)),
    ],
)
def test_sizes_that_are_not_said_are_what_the_model_has_room_for_in_every_function(
    capsys: pytest.CaptureFixture[str],
    name: str,
    sizes: dict[str, int],
    expected: tuple[int, int],
) -> None:
    """`estimate`, `fit` and the command line choose the same."""
    estimate, capacity = tf.estimate(name, "h100", **sizes), tf.fit(name, "h100", **sizes)
    assert (estimate.prompt, estimate.generate) == expected
    assert (capacity.prompt, capacity.generate) == expected
    words = [word for size, n in sizes.items() for word in (f"--{size}", str(n))]
    assert main(["estimate", name, *words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["prompt"], printed["generate"]) == expected


def test_a_sequence_that_is_not_said_is_what_the_model_has_positions_for() -> None:
    """gpt2 has 1024, fewer than the usual 2048."""
    assert tf.train("gpt2", "h100").sequence == 1024
    assert tf.train("llama-3-8b", "h100").sequence == 2048


def test_a_format_that_is_not_said_is_one_that_the_device_computes_in(tmp_path: Path) -> None:
    """A device with fp32 alone runs fp32."""
    device = tmp_path / "small.toml"
    device.write_text("memory_gb = 8\nbandwidth_gb_s = 50\n[dense_tflops]\nfp32 = 1\n")
    assert tf.estimate("gpt2", str(device)).precision.name == "fp32"
    assert tf.fit("gpt2", str(device)).precision.name == "fp32"


def test_images_are_read_by_what_has_prompts_alone():
    """A vision-language model takes them; an encoder of text has nothing that they could join."""
    words = tf.estimate("qwen2.5-vl-3b", "h100", prompt=9, generate=2)
    seen = tf.estimate("qwen2.5-vl-3b", "h100", prompt=9, generate=2, images="1x448x448")
    assert seen.total.bound_s > words.total.bound_s
    for name in ("bert-base-uncased", "dinov3-vitb16"):
        with pytest.raises(UsageError):
            tf.estimate(name, "h100", prompt=9, generate=0, images="1x224x224")
