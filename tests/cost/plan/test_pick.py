"""tf.pick: what it says runs does run, and nothing larger that would was left out."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
import thermoflop as tf
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.cli import main
from thermoflop.cost.data import read_data
from thermoflop.cost.plan.pick import (
    UNBOUNDED,
    Pick,
    Picks,
    Totals,
    _first_that_runs,
    _promise,
    _ranked,
    totals,
    totals_of,
)
from thermoflop.errors import UsageError
from thermoflop.model.config.catalogue import entry, names

LAPTOP = "rtx 4060 laptop"


def test_the_table_says_what_the_models_say():
    """Every tenth model; those that it lacks are read."""
    known = read_data("totals")
    assert len(known) > 300
    for name in sorted(known)[::10]:
        assert known[name] == totals_of(name), f"{name}: python tests/cost/plan/make_totals.py"


EMBEDS = re.compile(r"embed|rerank|gte-|e5-|bge-|minilm|mpnet|bert")


def test_a_model_that_embeds_or_ranks_is_never_picked_and_knows_its_positions():
    generating = {each.name for each in totals()}
    embedding = [name for name in names() if EMBEDS.search(name)]
    assert len(embedding) > 50
    assert not generating & {*embedding}
    decoders = [name for name in embedding if "purpose" in (entry(name) or {})]
    assert all(tf.load_model(name).max_positions for name in decoders)
    # "supports a substantial 2048-token context window" (card of EmbeddingGemma)
    assert tf.fit("embeddinggemma-300m", LAPTOP).longest_context == 2048


def test_what_is_picked_fits_with_its_context_and_no_more():
    for each in tf.pick(LAPTOP, top=4).picks:
        asked = {"dtype": each.dtype, "profile": "llama.cpp", "prompt": 64}
        fitted = tf.fit(each.model_name, LAPTOP, generate=each.context - 64, **asked)
        assert fitted.fits
        assert fitted.longest_context == each.context


def test_its_speed_is_that_of_an_estimate():
    each = tf.pick(LAPTOP, pattern="qwen3-8b", top=1).picks[0]
    run = tf.estimate(
        each.model_name, LAPTOP, prompt=1024, generate=128, dtype=each.dtype, profile="llama.cpp"
    )
    assert each.tokens_per_s[1] == 1 / run.per_token.expected_s
    assert each.first_s == run.first_token.expected_s


def test_a_model_that_a_name_was_given_for_is_shown_in_every_format_that_runs():
    """8 GB hold an 8B model of 8.19e9 parameters in 4 and in 6 bits, not in 8."""
    found = tf.pick(LAPTOP, pattern="qwen3-8b")
    assert [each.dtype for each in found.picks if each.model_name == "qwen3-8b"] == [
        "q6_k",
        "q4_k_m",
    ]
    assert "widest" not in str(found)
    assert "in the widest format that does" in str(tf.pick(LAPTOP, top=2))


@pytest.mark.parametrize(("context", "prompt", "generate"), [(1, 1, 2), (100, 50, 50),
                         (600, 300, 128), (1024, 512, 128)])  # fmt: skip
def test_every_figure_of_a_pick_is_that_of_a_run_of_its_context(context, prompt, generate):
    """Half of the context is the prompt, at most 128 tokens are generated: two at least."""
    (each,) = [one for one in tf.pick(LAPTOP, pattern="gpt2", context=context, dtypes=["bf16"],
                                      top=20).picks if one.model_name == "gpt2"]  # fmt: skip
    run = tf.estimate("gpt2", LAPTOP, prompt=prompt, generate=generate, dtype="bf16",
                      profile="llama.cpp")  # fmt: skip
    token = run.per_token
    assert each.tokens_per_s == (1 / token.high_s, 1 / token.expected_s, 1 / token.low_s)
    assert each.first_s == run.first_token.expected_s
    assert each.prefill_tokens_per_s == prompt / each.first_s
    assert each.weight_bytes == run.memory.weight_bytes
    model = tf.load_model("gpt2")
    assert (each.params, each.active_params) == (model.params, model.active_params)
    assert (each.dtype, each.context) == ("bf16", 1024)


@pytest.mark.parametrize(
    ("name", "names", "dtype"),
    [("gpt-oss-20b", ["bf16"], "mxfp4"), ("qwen3-0.6b", ["q8_0", "bf16"], "q8_0"),
     ("gpt2", ["bf16", "q8_0"], "bf16")],
)  # fmt: skip
def test_what_is_published_in_four_bits_is_tried_in_no_other_format(name, names, dtype):
    (row,) = [each for each in totals() if each.name == name]
    device = tf.find_device("h100")
    found = _first_that_runs(device, 1, row, ("alike",), names, (512, 1.0, "llama.cpp"))
    assert (found.model_name, found.alike, found.dtype) == (name, ("alike",), dtype)
    assert _first_that_runs(device, 1, row, (), names, (512, 1e6, "llama.cpp")) is None


def ranked(known, sort="size", at_least=10.0, dtypes=("bf16", "q8_0")):
    """Names in order with their formats, on 10 GB at 100 GB/s."""
    found = _ranked(DEVICE_OF_TEN, dtypes, sort, at_least, known)
    return [(each.name, alike, formats) for each, alike, formats in found]


DEVICE_OF_TEN = tf.Device("ten", 10e9, 100e9, {"bf16": 1e14})


def test_models_are_tried_in_the_formats_that_may_hold_and_be_fast_enough():
    """Up to a quarter more than memory; up to a quarter slower than asked: 5 GB of weights are read
    20 times a second. Of the same sizes the one with the most positions stands for all."""
    large, small = Totals("large", 6_200_000_000, 6_200_000_000, 100, 4096), Totals("small",
        2_000_000_000, 2_000_000_000, 100, 4096)  # fmt: skip
    moe = Totals("moe", 5_000_000_000, 500_000_000, 200, 0)
    assert ranked([small, large, moe]) == [
        ("large", (), ["bf16", "q8_0"]), ("moe", (), ["bf16", "q8_0"]),
        ("small", (), ["bf16", "q8_0"]),
    ]  # fmt: skip
    # 12.4 and 6.6 GB are read 8.1 and 15.2 times a second
    assert ranked([large], at_least=10.0) == [("large", (), ["bf16", "q8_0"])]
    assert ranked([large], at_least=10.2) == [("large", (), ["q8_0"])]
    assert ranked([large], at_least=19.5) == []
    wide = Totals("wide", 6_300_000_000, 6_300_000_000, 100, 4096)
    assert ranked([wide], at_least=0.1) == [("wide", (), ["q8_0"])]
    assert [each[0] for each in ranked([small, large, moe], "speed")] == ["moe", "small", "large"]
    twice = [replace(small, name=name, positions=positions)
             for name, positions in (("few", 10), ("many", 30), ("some", 20))]  # fmt: skip
    assert ranked(twice) == [("many", ("few", "some"), ["bf16", "q8_0"])]


def test_contexts_are_guessed_from_what_is_left_and_the_positions():
    """Of 10 GB in q8_0, 34 / 32 bytes a weight: 2e9 weights leave 7.875 GB, of 100 bytes a token
    78.75 million tokens; what keeps nothing of a token holds any number."""
    each = Totals("m", 2_000_000_000, 1, 100, 4096)

    def promise(**changes):
        return _promise(DEVICE_OF_TEN, replace(each, **changes), ["bf16", "q8_0"], "context")

    assert promise() == -4096
    assert promise(positions=0) == pytest.approx(-7.875e9 / 100)
    assert promise(positions=0, kv_bytes=0) == -UNBOUNDED == -(2**39)
    assert promise(positions=10**9, kv_bytes=1) == -(10**9)
    assert _promise(DEVICE_OF_TEN, each, ["bf16"], "size") == -2e9
    assert _promise(DEVICE_OF_TEN, replace(each, active=7), ["bf16"], "speed") == 14


def test_a_state_that_never_grows_holds_any_context():
    found = tf.pick(LAPTOP, pattern="gpt2", context=512, top=1)
    for context, said in ((2**39, "any"), (2**39 - 1, "549,755,813,887"), (2**40, "any")):
        text = str(replace(found, picks=(replace(found.picks[0], context=context),)))
        assert f" {said} " in text
    two = replace(found.picks[0], alike=("a", "b"), params=2_500_000_000)
    assert f"{two.model_name} (+2)" in str(replace(found, picks=(two,)))
    assert "2.50B" in str(replace(found, picks=(two,)))


def test_no_larger_model_that_runs_is_left_out():
    """All larger ones, in the narrowest format: too large or too slow."""
    picks = tf.pick(LAPTOP, top=1, pattern="qwen").picks
    for each in totals():
        if "qwen" not in each.name or not each.params > picks[0].params:
            continue
        fitted = tf.fit(each.name, LAPTOP, dtype="q4_k_m", profile="llama.cpp", prompt=4095,
                        generate=1)  # fmt: skip
        assert not fitted.fits, each.name


@pytest.mark.parametrize("context", [512, 2000])
def test_every_model_picked_holds_the_context(context):
    """gpt2 has 1,024 positions."""
    found = tf.pick(LAPTOP, context=context, pattern="gpt2", top=4)
    names = [name for each in found.picks for name in (each.model_name, *each.alike)]
    assert ("gpt2" in names) == (context <= 1024)
    assert all(each.context >= context for each in found.picks)
    if found.picks:
        assert f"a prompt of {min(1024, context // 2):,};" in str(found)


def test_orders_and_floors_hold():
    fast = tf.pick("m2 ultra", sort="speed", top=5).picks
    assert all(a.tokens_per_s[1] >= b.tokens_per_s[1] for a, b in pairwise(fast))
    large = tf.pick("m2 ultra", at_least=25, top=5).picks
    assert all(each.tokens_per_s[1] >= 25 for each in large)
    assert large[0].params > fast[0].params


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"top": 1001}, "from 1 to 1,000"), ({"context": 10**9 + 1}, "from 1 to 1,000,000,000"),
     ({"devices": 1025}, "from 1 to 1,024"),
     ({"sort": "taste"}, "taste"), ({"at_least": -1}, "at_least=-1"), ({"dtypes": []}, "dtypes"),
     ({"context": 0}, "context=0"), ({"top": 0}, "top=0")],
)  # fmt: skip
def test_nonsense_is_named(asked, said):
    with pytest.raises(UsageError, match=said):
        tf.pick(LAPTOP, **asked)


def test_a_device_without_peaks_is_named():
    with pytest.raises(UsageError, match="peaks of Mine"):
        tf.pick(tf.Device("Mine", memory_bytes=48e9, bandwidth_bytes_s=1e12, peaks={}))


def test_the_command_says_by_its_code_whether_anything_runs(capsys):
    assert main(["pick", "--gpu", LAPTOP, "--top", "2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["picks"]) == 2
    assert main(["pick", "--gpu", LAPTOP, "--at-least", "100000"]) == 1
    assert "no model" in capsys.readouterr().out


def made(name, tokens_per_s, **changes):
    values = {"alike": (), "dtype": "bf16", "params": 124_000_000, "active_params": 124_000_000,
              "weight_bytes": 248e6, "context": 1024, "first_s": 0.05,
              "prefill_tokens_per_s": 20_480.0, **changes}  # fmt: skip
    return Pick(name, tokens_per_s=tokens_per_s, **values)


@pytest.mark.parametrize(("devices", "many", "each", "of"), [
    (1, "", "", ""), (2, "2 x ", " each", "; weights: of each device")])  # fmt: skip
def test_the_table_names_the_devices_and_every_figure(devices, many, each, of):
    a = made("a", (70.0, 80.0, 90.0), alike=("x", "y"))
    b = made("b", (4.0, 5.0, 6.0), context=UNBOUNDED)
    text = str(Picks(DEVICE, "vllm", "size", 4.0, (a, b), 600, devices))
    head, _, names, first, second, *_, last = [line.rstrip() for line in text.splitlines()]
    assert head == (f"{many}made-up, 10.0 GB{each}, vllm: by size, in the widest format that does")
    row = [" ".join(line.split()) for line in (names, first, second)]
    assert row[0] == "model format params weights context tokens/s first prompt/s"
    assert row[1] == "a (+2) bf16 0.124B 0.248 GB 1,024 80.0 (70.0-90.0) 50.0 ms 20,480"
    assert row[2] == "b bf16 0.124B 0.248 GB any 5.00 (4.00-6.00) 50.0 ms 20,480"
    sizes = "first token of a prompt of 300; (+n): n more names of the same sizes"
    assert last == sizes + of
    twice = str(Picks(DEVICE, "vllm", "size", 4.0, (a, a), 600, devices))
    assert twice.splitlines()[0] == f"{many}made-up, 10.0 GB{each}, vllm: by size"
    none = str(Picks(DEVICE, "vllm", "size", 4.0, (), 600, devices))
    assert " ".join(none.split()) == (
        f"{many}made-up, 10.0 GB{each}, vllm: no model of the catalogue holds 600 tokens and runs "
        "at 4.00 tokens/s"
    )


@pytest.mark.parametrize(("part", "said"), [
    ("NoSuch", "no model of the catalogue with 'NoSuch' in its name generates text"),
    ("gpt2", "vllm: no model of the catalogue with 'gpt2' in its name holds 600 tokens"),
])  # fmt: skip
def test_a_name_that_no_model_has_is_said_to_be_why_there_is_none(part, said):
    text = " ".join(str(Picks(DEVICE, "vllm", "size", 4.0, (), 600, 1, part)).split())
    assert said in text
    assert ("tokens/s" in text) == (part == "gpt2")


def test_a_name_that_is_given_whole_stands_for_those_of_its_sizes():
    """Without one it is the name with the longest context."""
    found = tf.pick(LAPTOP, pattern="qwen3-8b").picks[0]
    assert (found.model_name, "deepseek-r1-0528-qwen3-8b" in found.alike) == ("qwen3-8b", True)
    found = tf.pick(LAPTOP, pattern="wen3-8b").picks[0]
    assert (found.model_name, "qwen3-8b" in found.alike) == ("deepseek-r1-0528-qwen3-8b", True)


def test_what_numbers_no_positions_is_offered_as_far_as_it_was_trained() -> None:
    """RecurrentGemma on 8,192 tokens (arXiv 2404.07839), BLOOM on 2,048 (arXiv 2211.05100)."""
    for name, trained in (("recurrentgemma-2b", 8192), ("bloom-560m", 2048)):
        assert tf.load_model(name).max_positions is None
        asked = {"pattern": name, "dtypes": ["q8_0"]}
        (found,) = tf.pick("rtx 4090", context=trained, **asked).picks
        assert found.context == trained
        assert tf.pick("rtx 4090", context=trained + 1, **asked).picks == ()


def test_mlx_is_asked_for_in_its_own_formats_by_their_names():
    """4.5 bits a weight: 4 and a scale and a bias of 16 bits for 64 of them."""
    found = tf.pick("m5 32gb", profile="mlx", pattern="phi-3.5-moe", top=1).picks[0]
    assert found.dtype == "mlx-4bit"
    assert found.weight_bytes == pytest.approx(4.5 / 8 * found.params, rel=0.01)
    asked = tf.pick("m5 32gb", dtypes=["mlx-4bit"], profile="mlx", pattern="phi-3.5-moe", top=1)
    assert asked.picks[0].dtype == found.dtype
    plan = tf.plan("qwen3-8b", "m5 32gb", profile="mlx", users=1)
    assert {choice.dtype for choice in plan.choices} == {"mlx-4bit", "bf16"}


@pytest.mark.parametrize(
    ("device", "engine"),
    [("gaudi 2", "vllm"), ("2x tpu v6e", "vllm"), ("m4", "llama.cpp"), ("rtx 4090", "llama.cpp")],
)
def test_where_llama_cpp_does_not_run_what_stands_for_an_engine_is_meant(device, engine):
    found = tf.pick(device, pattern="llama-3.2-1b", top=1)
    assert (found.engine, found.picks[0].model_name) == (engine, "llama-3.2-1b")
