"""A remedy makes a run fit, and the next smaller change does not."""

from __future__ import annotations

import re

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, KEY_WIDTH, PEAK, decoder
from thermoflop.base.record import replace
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.inference.hosted import whole_of
from thermoflop.cost.inference.remedies import _GGUF, _SERVED
from thermoflop.cost.inference.room import room_of

# 40 layers of 25.6 MB in bf16, and 1.02 GB of them all, on a device of 1.2 GB with a reserve
SMALL = replace(DEVICE, memory_bytes=1.2e9, peaks={**DEVICE.peaks, "fp8": 2 * PEAK})
ASKED = {"batch": 4, "prompt": 400, "generate": 96}
MIXTURE = {
    "model_type": "mixtral", "vocab_size": 1000, "hidden_size": 256, "intermediate_size": 4096,
    "num_hidden_layers": 40, "num_attention_heads": 4, "num_key_value_heads": 2,
    "num_local_experts": 4, "num_experts_per_tok": 2, "tie_word_embeddings": False,
    "max_position_embeddings": 100_000,
}  # fmt: skip


@pytest.fixture(scope="module")
def dense():
    return decoder(num_hidden_layers=40, intermediate_size=16_384)


def by_kind(fitted):
    assert not fitted.fits
    found = {each.kind: each for each in fitted.remedies}
    assert len(found) == len(fitted.remedies)
    return found


@pytest.mark.parametrize("profile", [None, "llama.cpp"])
def test_each_remedy_is_the_least_change_of_its_kind(dense, profile):
    asked = {**ASKED, "profile": profile}
    found = by_kind(tf.fit(dense, SMALL, **asked))
    names = _GGUF if profile else (*_SERVED, *_GGUF[_GGUF.index("q3_k_m") :])
    value = found["dtype"].value
    fits = [name for name in names if tf.fit(dense, SMALL, dtype=name, **asked).fits]
    assert fits[0] == value
    weights = tf.fit(dense, SMALL, dtype=value, **asked).memory.weight_bytes
    assert f"weights in {value}: {weights / 1e9:.3g} GB a device" in found["dtype"].text
    if "kv_dtype" in found:
        assert tf.fit(dense, SMALL, kv_dtype=found["kv_dtype"].value, **asked).fits
    fewest = found["devices"].value
    assert fewest == tf.fit(dense, SMALL, **asked).fewest_devices > 1


def test_fewer_sequences_or_tokens_are_as_many_as_fit(dense):
    """2 GB hold the weights, and some of the cache of 400 sequences."""
    large = replace(DEVICE, memory_bytes=2.4e9)
    asked = {"prompt": 300, "generate": 20}
    found = by_kind(tf.fit(dense, large, batch=400, **asked))
    most = found["batch"].value
    assert tf.fit(dense, large, batch=most, **asked).fits
    assert not tf.fit(dense, large, batch=most + 1, **asked).fits
    assert f"at most {most:,} sequences" in found["batch"].text
    longest = found["context"].value
    assert tf.fit(dense, large, batch=400, prompt=longest - 20, generate=20).fits
    assert not tf.fit(dense, large, batch=400, prompt=longest - 19, generate=20).fits
    one = tf.fit(dense, large, batch=1, prompt=90_000, generate=20).remedies
    assert "batch" not in [each.kind for each in one]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("host", [None, 50.0])
def test_as_few_layers_as_do_not_fit_go_to_the_host(dense, sparse, host):
    """Of a mixture the experts of as few; each token reads the host's memory at four fifths of its
    bandwidth, 89.6 GB/s where none is given, behind what the device has, and waits 0.28 ms at every
    layer."""
    model = tf.load_model(MIXTURE) if sparse else dense
    asked = {"prompt": 500, "generate": 11, "profile": "llama.cpp", "dtype": "bf16"}
    found = by_kind(tf.fit(model, SMALL, host_bandwidth=host, **asked))
    options = {"layers on the host": ("n_gpu_layers", 1), "experts on the host": ("n_cpu_moe", -1)}
    kinds = [kind for kind in found if kind in options]
    assert kinds == ([*reversed(options)] if sparse else ["layers on the host"])
    for kind in kinds:
        (name, less), value = options[kind], found[kind].value

        def fits(value, name=name):
            return tf.fit(model, SMALL, engine_options={name: value}, **asked).fits

        assert fits(value)
        assert not fits(value + less)
        assert f" at {host or 89.6:g} GB/s): " in found[kind].text
        made = tf.fit(model, SMALL, host_bandwidth=host, engine_options={name: value}, **asked)
        assert made.hosted.tokens_per_s[1] == found[kind].tokens_per_s
        size, speed = made.hosted.size, made.hosted.speed
        assert f"{size} in the computer's memory: decoding {speed}" in " ".join(str(made).split())
        low, expected, high = made.hosted.tokens_per_s
        assert (low * 1.4, high / 1.4) == pytest.approx((expected, expected))
    speeds = [found[kind].tokens_per_s for kind in kinds]
    whole = tf.estimate(model, SMALL, **asked).per_token.expected_s
    assert all(0 < speed < 1 / whole for speed in speeds)
    text = found["layers on the host"].text
    (gone,) = re.findall(r"^(\d+) of 40 layers", text)
    assert int(gone) == 40 - found["layers on the host"].value
    if not sparse:
        # a layer's share of what a token reads, on the host and on the device
        share = 25_560_064 / (40 * 25_560_064 + 2 * 256 * 1000)
        read = int(gone) * (25_560_064 / (0.8e9 * (host or 89.6)) + 0.28e-3)
        slow = 1 / (whole * (1 - int(gone) * share) + read)
        assert speeds[0] == pytest.approx(slow, rel=0.02)


def test_a_mixture_whose_experts_all_have_to_go_says_so():
    """The engine takes half a GB of 0.58 and its buffer for 256 tokens 52 MB (256 x 4 bytes of 3
    states and of 2 experts' 3 x 8,192 and result), and a layer's experts are 50 MB."""
    model = tf.load_model({**MIXTURE, "num_hidden_layers": 8, "intermediate_size": 8192})
    asked = {"prompt": 50, "generate": 11, "profile": "llama.cpp", "dtype": "bf16"}
    found = by_kind(tf.fit(model, replace(DEVICE, memory_bytes=0.58e9), **asked))
    assert found["experts on the host"].value == 8
    assert found["experts on the host"].text.startswith(
        "experts of 8 of 8 layers in the computer's"
    )


@pytest.mark.parametrize(("generate", "timed"), [(0, 2), (1, 2), (2, 2), (3, 3)])
def test_a_step_on_the_device_is_one_after_the_prompt_where_nothing_is_generated(
    dense, generate, timed
):
    room = room_of(dense, DEVICE, "bf16", None, None, "llama.cpp", None)
    run = tf.estimate(
        dense, DEVICE, batch=2, prompt=100, generate=timed, dtype="bf16", profile="llama.cpp"
    )
    assert whole_of(room, Load(2, 100, 100 + generate)).step_s == run.per_token.expected_s


def test_the_rate_behind_the_host_is_said_to_be_of_each_sequence_where_there_are_several(dense):
    asked = {"prompt": 500, "generate": 11, "profile": "llama.cpp", "dtype": "bf16"}
    one, three = (
        by_kind(tf.fit(dense, SMALL, batch=batch, **asked))["layers on the host"].text
        for batch in (1, 3)
    )
    assert " tokens/s (" in one
    assert " tokens/s each (" in three


def test_a_context_that_no_sequence_fills_is_kept_on_the_host_and_not_read(dense):
    """Of the 40 layers ten are there, with keys and values of 16 bits."""
    asked = {"prompt": 500, "generate": 11, "profile": "llama.cpp", "dtype": "bf16"}
    roomy = replace(DEVICE, memory_bytes=9e9)
    least, large = (
        tf.fit(dense, roomy, engine_options={"n_gpu_layers": 30, "ctx_size": size}, **asked).hosted
        for size in (512, 102_400)
    )
    assert large.tokens_per_s == least.tokens_per_s
    token = 10 * 2 * KEY_WIDTH * 2
    assert large.host_bytes - least.host_bytes == token * (102_400 - 512)


@pytest.mark.parametrize(
    ("device", "rate"), [("rtx 4090", 89.6), ("m4 max", 546), ("ryzen ai max+ 395", 256)]
)
def test_what_options_leave_to_a_processor_that_shares_the_memory_is_read_as_fast(device, rate):
    options = {"n_gpu_layers": 10}
    made = tf.fit("llama-3-8b", device, profile="llama.cpp", engine_options=options)
    assert made.hosted.host_gb_s == rate


def test_what_is_all_on_the_device_has_no_speed_with_the_host():
    """The table of tokens, which llama.cpp leaves to the host, is no layer."""
    asked = {"prompt": 500, "generate": 11, "dtype": "bf16"}
    large = replace(DEVICE, memory_bytes=9e9)
    model = tf.load_model(MIXTURE)
    assert tf.fit(model, large, profile="llama.cpp", **asked).hosted is None
    assert tf.fit(model, large, profile="vllm", **asked).hosted is None
    some = {"profile": "llama.cpp", "engine_options": {"n_cpu_moe": 1}}
    assert tf.fit(model, large, **some, **asked).hosted is not None


def test_a_token_passes_devices_that_hold_its_layers_one_after_the_other():
    """So two cards are as fast as one with as much on the host. Of gpt-oss-20b's 24 layers the
    first card has 12, so the second is lighter from the thirteenth on."""
    asked = {"prompt": 500, "generate": 11, "dtype": "bf16", "profile": "llama.cpp"}
    one, two = (
        tf.fit("gpt-oss-20b", "h100", devices=count, engine_options={"n_cpu_moe": 20}, **asked)
        for count in (1, 2)
    )
    assert one.hosted == two.hosted
    small = replace(tf.find_device("h100"), memory_bytes=12e9)
    found = by_kind(tf.fit("gpt-oss-20b", small, devices=2, **asked))["experts on the host"]
    assert 12 < found.value < 24
    assert f"-ncmoe {found.value}, fewer if -ts gives the first device more layers" in found.text


@pytest.mark.parametrize(
    "formats", [{"dtype": "fp8"}, {"kv_dtype": "fp8"}, {"dtype": "int8-wo", "kv_dtype": "int8"}]
)
def test_formats_that_llama_cpp_lacks_have_no_remedy_of_its_and_an_answer(dense, formats):
    kinds = [each.kind for each in tf.fit(dense, SMALL, **formats, **ASKED).remedies]
    assert "devices" in kinds
    assert "layers on the host" not in kinds


def test_of_a_card_that_llama_cpp_alone_runs_on_as_well():
    found = tf.fit("llama-3-70b", "gtx 1080", kv_dtype="int8")
    assert [each.kind for each in found.remedies] == ["devices"]


def test_sequences_that_would_fit_are_those_of_all_replicas(dense):
    large = replace(DEVICE, memory_bytes=2.4e9)
    asked = {"prompt": 300, "generate": 20, "dp": 2, "tp": 1}
    found = by_kind(tf.fit(dense, large, batch=800, **asked))
    most = found["batch"].value
    assert most == tf.fit(dense, large, batch=800, **asked).largest_batch
    assert tf.fit(dense, large, batch=most, **asked).fits
    assert not tf.fit(dense, large, batch=most + 2, **asked).fits


@pytest.mark.parametrize(
    ("device", "asked"),
    [("v100", {"profile": "vllm"}), ("v100", {}), ("rtx 4090", {"profile": "exllama"}),
     ("rtx 4090", {"profile": "transformers"})],
)  # fmt: skip
def test_a_format_that_is_offered_is_one_that_is_answered(device, asked):
    """64 GB of weights on cards of 26 and 34; ExLlama reads no GGUF, V100 multiplies no fp8."""
    asked = {"prompt": 100, "generate": 20, "dtype": "fp16", **asked}
    [name] = [each.value for each in tf.fit("qwen3-32b", device, **asked).remedies
              if each.kind == "dtype"]  # fmt: skip
    assert tf.estimate("qwen3-32b", device, **{**asked, "dtype": name}).fits


def test_what_ollama_leaves_to_the_host_is_said_in_options_that_it_has():
    found = tf.fit("qwen3-30b-a3b", "rtx 4070", profile="ollama", dtype="q8_0")
    [layers] = [each for each in found.remedies if "host" in each.kind]
    assert f"(num_gpu {layers.value}: " in layers.text
    options = {"num_gpu": layers.value}
    asked = {"profile": "ollama", "dtype": "q8_0", "engine_options": options}
    assert tf.fit("qwen3-30b-a3b", "rtx 4070", **asked).fits
    kept = tf.fit("llama-3-8b", "rtx 4090", profile="ollama", engine_options={
        "num_parallel": 2, "num_ctx": 4096,
    })  # fmt: skip
    said = {"num_ctx": 4096, "num_parallel": 2, "num_batch": 512, "flash_attention": True}
    assert {name: kept.budget.options[name] for name in said} == said
    assert str(kept).endswith(
        "ollama: num_ctx=4096, num_parallel=2, num_batch=512, flash_attention=True"
    )


@pytest.mark.parametrize("device", ["rtx 4070", "gtx 1080"])
def test_without_an_engine_the_host_is_read_as_llama_cpp_divides_its_cache(device):
    """Gemma 3's windows, of which llama.cpp keeps a batch more."""
    asked = {"batch": 256, "prompt": 1000, "generate": 2000, "dtype": "q3_k_m"}
    unnamed, named = (
        [each for each in tf.fit("gemma-3-12b", device, profile=profile, **asked).remedies
         if each.kind == "layers on the host"]
        for profile in (None, "llama.cpp")
    )  # fmt: skip
    assert [each.tokens_per_s for each in unnamed] == [each.tokens_per_s for each in named]
    assert "(llama.cpp's -ngl" in unnamed[0].text
    assert "(-ngl" in named[0].text


def test_a_prompt_of_all_positions_has_a_speed_with_the_host():
    """Of 100,000: no position is left for the token whose step is timed."""
    asked = {"prompt": 100_000, "generate": 0, "dtype": "bf16"}
    found = by_kind(tf.fit(decoder(num_hidden_layers=40), SMALL, batch=40, **asked))
    assert found["layers on the host"].tokens_per_s > 0


def test_an_encoder_that_does_not_fit_is_answered_and_one_beside_a_decoder_has_a_speed():
    """0.67 and 5.7 GB in 16 bits on cards of 1.2, 0.7 of it reserved, and 4. On a GTX 1080 the
    engine is llama.cpp, whose speed with a part of an encoder on the host is not known."""
    small, larger = (
        replace(tf.find_device("gtx 1080"), memory_bytes=size) for size in (1.2e9, 4e9)
    )
    assert "layers on the host" not in by_kind(tf.fit("bert-large-uncased", small))
    asked = {"profile": "llama.cpp", "engine_options": {"n_gpu_layers": 2}}
    left = tf.fit("bert-large-uncased", small, **asked)
    assert left.fits
    assert left.hosted is None
    assert by_kind(tf.fit("t5-3b", larger))["layers on the host"].tokens_per_s > 0


def test_no_token_waits_for_an_encoder_in_the_hosts_memory():
    """Of T5's 48 layers the last 24 decode; without -ngl 49 the output is the host's, too."""
    asked = {"profile": "llama.cpp", "prompt": 100, "generate": 100}
    speeds = [
        tf.fit("t5-3b", "gtx 1080", engine_options={"n_gpu_layers": layers}, **asked)
        .hosted.tokens_per_s for layers in (48, 24, 23)
    ]  # fmt: skip
    assert speeds[0] == speeds[1]
    assert speeds[2][1] < speeds[1][1]


def test_a_model_that_mlx_does_not_hold_is_offered_a_format_of_its_files():
    """30.7 G weights: 32.6 GB in 8.5 bits, 24.9 in 6.5; a Mac of 36 GiB gives its GPU 30.2."""
    found = tf.fit("gemma-4-31b", "m4 max 36gb", profile="mlx", dtype="mlx-8bit")
    assert [each.value for each in found.remedies if each.kind == "dtype"] == ["mlx-6bit"]
