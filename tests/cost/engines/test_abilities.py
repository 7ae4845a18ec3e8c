"""An engine is asked for what it has: devices, layouts and formats."""

from __future__ import annotations

from functools import partial

import pytest
import thermoflop as tf
from kit.made_up import decoder
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile, profiles
from thermoflop.cost.engines.abilities import (
    engine_on,
    no_cache,
    no_device,
    no_layout,
    no_weights,
    plugin_of,
)
from thermoflop.cost.engines.engine import ENGINES, named_engine
from thermoflop.cost.inference.formats import lacking
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError
from thermoflop.model.config.gguf_formats import FILE_TYPES

LLAMA = named_engine("llama.cpp")


@pytest.mark.parametrize(
    ("engine", "gpu", "runs"),
    [
        ("tensorrt-llm", "h100", True), ("tensorrt-llm", "mi300x", False),
        ("tensorrt-llm", "m4 max", False), ("vllm", "mi300x", True), ("vllm", "tpu v5e", True),
        ("vllm", "m4 max", True), ("vllm", "trainium2", True), ("llama.cpp", "m4 max", True),
        ("llama.cpp", "tpu v5e", False), ("exllama", "7900 xtx", True), ("exllama", "b580", False),
        ("transformers", "m4 max", True), ("gpt-fast", "mi300x", True), ("jax", "tpu v4", True),
        # compute capabilities: P40 6.1, V100 7.0, T4 and RTX 2080 Ti 7.5, A2 8.6, RTX 2000 Ada 8.9
        ("vllm", "p40", False), ("vllm", "gtx 1080 ti", False), ("vllm", "v100", True),
        ("sglang", "v100", False), ("sglang", "titan v", False), ("sglang", "t4", True),
        ("tensorrt-llm", "t4", False), ("tensorrt-llm", "rtx 2080 ti", False),
        ("tensorrt-llm", "a2", True), ("tensorrt-llm", "rtx 2000 ada", True),
        ("llama.cpp", "p40", True), ("transformers", "p100", True),
        # of Intel's, llama.cpp has kernels for GPUs and processors (SYCL, Vulkan), not for Gaudi
        ("llama.cpp", "gaudi 2", False), ("llama.cpp", "gaudi 3", False), ("vllm", "gaudi 3", True),
        ("llama.cpp", "a770", True),
    ],
)  # fmt: skip
def test_an_engine_runs_where_it_has_kernels(engine, gpu, runs):
    assert (no_device(named_engine(engine), find_device(gpu)) == "") is runs


@pytest.mark.parametrize(("engine", "plugin"), [("vllm", "vLLM-Metal"), ("sglang", "MLX")])
def test_a_plugin_of_others_runs_an_engine_on_one_device_in_every_command(engine, plugin):
    """It is named wherever an answer says what it rests on, in a plan as in an estimate."""
    asked = {"profile": engine, "prompt": 64, "generate": 9}
    found = tf.plan("gpt2", "m4 max", top=1, max_devices=2, dtypes=["bf16"], **asked)
    assert found.choices[0].plan.devices == 1
    texts = [str(found), tf.estimate("gpt2", "m4 max", **asked).provenance]
    assert [f"{plugin}" in text for text in texts] == [True, True]
    assert plugin_of(named_engine(engine), find_device("h100")) == ""


def test_a_plugin_of_others_is_refused_several_devices_a_replica_in_every_command():
    """70B in 16 bits are 141 GB, more than one M4 Max of 128 GiB holds."""
    asked = {"profile": "vllm", "tp": 2}
    for ask in (tf.estimate, tf.fit, partial(tf.serving, users=1)):
        with pytest.raises(UsageError, match=r"through vLLM-Metal, one device a replica: expected"):
            ask("gpt2", "m4 max", **asked)
    assert tf.estimate("gpt2", "m4 max", profile="vllm", dp=2, batch=2).plan.devices == 2
    found = tf.fit("llama-3-70b", "m4 max", profile="vllm", dtype="bf16")
    assert found.fewest_devices is None
    assert "fewest devices for this:          more than 1\n" in str(found)
    assert not any(remedy.text.startswith("2 devices") for remedy in found.remedies)


def test_a_device_of_an_unknown_maker_is_never_refused():
    own = find_device("h100")
    own = replace(own, vendor="")
    assert not any(no_device(engine, own) for engine in ENGINES)


def test_a_profile_runs_on_every_device_that_it_was_fitted_to():
    for name, profile in ((name, find_profile(name)) for name in profiles()):
        lacking = [no_device(profile.engine, find_device(gpu)) for gpu in profile.devices]
        assert not any(lacking), name


@pytest.mark.parametrize(
    ("engine", "layout", "has"),
    [
        ("llama.cpp", Layout(2, 2), True), ("llama.cpp", Layout(dp=2), True),  # two servers
        ("llama.cpp", Layout(dp=2, ep=2), False), ("llama.cpp", Layout(cp=2), False),
        ("vllm", Layout(2, 2, 2, 4, 2), True), ("exllama", Layout(2, ep=2), False),
    ],
)  # fmt: skip
def test_llama_cpp_splits_layers_or_rows_and_nothing_else(engine, layout, has):
    assert (no_layout(named_engine(engine), layout, find_device("h100")) == "") is has


def test_gguf_files_have_the_types_of_ggml_and_no_others():
    assert not any(no_weights(LLAMA, name) for name in (*FILE_TYPES.values(), "int4", "int8"))
    others = "fp8", "fp8-block128", "awq", "gptq", "gptq-int4-g128", "nf4", "exl2-4.0", "w4a16-g128"
    assert all(no_weights(LLAMA, name) for name in others)
    assert no_weights(named_engine("tensorrt-llm"), "q4_k_m")
    assert not no_weights(named_engine("vllm"), "q4_k_m")


@pytest.mark.parametrize(
    ("engine", "kv_dtype", "has"),
    [
        ("llama.cpp", "fp8", False), ("llama.cpp", "q8_0", True), ("llama.cpp", "F16", True),
        ("vllm", "q8_0", False), ("vllm", "fp8", True), ("transformers", "int4", True),
    ],
)  # fmt: skip
def test_a_cache_is_in_a_format_of_the_engines_option(engine, kv_dtype, has):
    assert (no_cache(named_engine(engine), kv_dtype) == "") is has


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda m: tf.fit(m, "mi300x", profile="tensorrt-llm"), "does not run on MI300X"),
        (lambda m: tf.estimate(m, "mi300x", profile="tensorrt-llm"), "does not run on MI300X"),
        (lambda m: tf.serving(m, "mi300x", profile="tensorrt-llm"), "does not run on MI300X"),
        (lambda m: tf.plan(m, "mi300x", profile="tensorrt-llm"), "does not run on MI300X"),
        (lambda m: tf.pick("mi300x", profile="tensorrt-llm"), "does not run on MI300X"),
        (lambda m: tf.fit(m, "h100", profile="llama.cpp", dtype="fp8"), "no weights in fp8"),
        (lambda m: tf.estimate(m, "h100", profile="llama.cpp", dtype="awq"), "no weights in awq"),
        (lambda m: tf.plan(m, "h100", profile="llama.cpp", dtypes=["fp8"]), "no weights in fp8"),
        (lambda m: tf.fit(m, "h100", profile="vllm", kv_dtype="q8_0"), "no cache in q8_0"),
        (lambda m: tf.estimate(m, "h100", profile="llama.cpp", cp=2), "no context parallel"),
        (lambda m: tf.fit(m, "h100", profile="ollama", cp=2), "no context parallel"),
        # where none is named, of the engine that its files stand for
        (
            lambda m: tf.estimate(m, "h100", dtype="q4_k_m", cp=2),
            r"no context parallel: cp=2 \(no engine is named, and llama.cpp stands for it\)",
        ),
        (lambda m: tf.fit(m, "h100", dtype="q8_0", cp=2), "no context parallel"),
        (lambda m: tf.compare(m, "mi300x", profile="tensorrt-llm"), "does not run on MI300X"),
        (lambda m: tf.speculate(m, m, "h100", profile="llama.cpp", dtype="awq"), "weights in awq"),
    ],
)
def test_every_question_refuses_by_name_what_its_engine_lacks(ask, said):
    with pytest.raises(UsageError, match=said):
        ask(decoder())


def published(**block):
    """A decoder whose configuration says how its weights are quantized."""
    return decoder(quantization_config=block)


FOUR = {"bits": 4, "group_size": 64}
PUBLISHED = {
    "exl2": published(quant_method="exl2", bits=4.0), "mlx": published(**FOUR),
    "awq": published(quant_method="awq", **FOUR), "gptq": published(quant_method="gptq", **FOUR),
    "fp8": published(quant_method="fp8"), "bitsandbytes": published(load_in_8bit=True),
    "named": replace(decoder(), named_format="fp8-block128"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "reads"),
    [  # formats in the documentation of each (``engine.ENGINES``)
        ("vllm", {"awq", "gptq", "fp8", "bitsandbytes", "named"}),
        ("sglang", {"awq", "gptq", "fp8", "bitsandbytes", "named"}),
        ("transformers", {"awq", "gptq", "fp8", "bitsandbytes", "named"}),
        ("tensorrt-llm", {"awq", "gptq", "fp8", "named"}),
        ("exllama", {"exl2", "gptq"}),
        ("llama.cpp", set()),
        ("default", {*PUBLISHED}),
    ],
)
def test_weights_as_published_are_held_against_the_engine_by_method_and_format(engine, reads):
    found = {
        name for name, model in PUBLISHED.items() if not lacking(named_engine(engine), model)[0]
    }
    assert found == reads


INT4 = {"config_groups": {"0": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}}}
METHODS = {  # each with whether convert_hf_to_gguf.py writes it as it is
    "compressed-tensors": (INT4, False), "auto-round": ({"bits": 4}, False),
    "torchao": ({"quant_type": "int8_weight_only"}, False), "fbgemm_fp8": ({}, False),
    "modelopt": ({"quant_algo": "W4A16_AWQ"}, False), "aqlm": ({}, False), "eetq": ({}, False),
    "mxfp4": ({}, True), "nvfp4": ({}, True), "bitnet": ({}, True),
    "modelopt_fp4": ({"quant_algo": "NVFP4"}, True),
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_what_no_gguf_file_holds_is_counted_in_another_format_whatever_wrote_it(method):
    block, kept = METHODS[method]
    model = published(quant_method=method, **block)
    assert (lacking(LLAMA, model) == ("", "")) is kept
    plain = tf.fit(model, "h100").precision.name
    found = tf.fit(model, "h100", profile="llama.cpp").precision.name
    assert found in ((plain,) if kept else ("q8_0", "q4_k_m"))


def test_exllama_reads_no_integers_of_compressed_tensors():
    """README of ExLlamaV2: its own format, GPTQ in 4 bits, and 16 bits."""
    model = published(quant_method="compressed-tensors", **INT4)
    assert lacking(named_engine("exllama"), model)[0] == "compressed-tensors"


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: tf.fit(m, "h100", profile="vllm"),
        lambda m: tf.estimate(m, "h100", profile="vllm"),
        lambda m: tf.serving(m, "h100", users=2, profile="vllm"),
        lambda m: tf.plan(m, "h100", profile="vllm", max_devices=1),
        lambda m: tf.compare(m, "h100", profile="vllm"),
        lambda m: tf.speculate(m, decoder(), "h100", profile="vllm"),
        lambda m: tf.speculate(decoder(), m, "h100", profile="vllm"),
    ],
)
def test_every_question_refuses_a_publication_that_its_engine_does_not_read(ask):
    with pytest.raises(UsageError, match="vllm reads no weights in exl2, as it is published"):
        ask(PUBLISHED["exl2"])


@pytest.mark.parametrize("name", ["lmstudio", "LM Studio", "koboldcpp", "llamafile"])
def test_what_runs_llama_cpp_is_called_by_its_own_name_too(name):
    own, other = (
        tf.estimate("gpt2", "rtx 4090", dtype="bf16", profile=each) for each in (name, "ollama")
    )
    assert own.per_token == other.per_token
    assert own.memory.total_bytes == other.memory.total_bytes


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("profile", ["llama.cpp", "ollama"])
def test_what_gguf_files_have_no_format_of_is_counted_in_one_about_as_wide(name, profile):
    """Ollama's downloads are q4_k_m, whatever was published."""
    wide = name in ("fp8", "bitsandbytes", "named") and profile == "llama.cpp"
    found = tf.fit(PUBLISHED[name], "h100", profile=profile)
    assert found.precision.name == ("q8_0" if wide else "q4_k_m")


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("gpu", ["h100", "m4 max", "tpu v5e"])
def test_an_engine_that_nobody_named_always_finds_a_format(name, gpu):
    assert tf.plan(PUBLISHED[name], gpu, max_devices=1).choices


def test_mlx_is_read_by_what_plugins_run_on_apples_devices():
    for engine in (named_engine("vllm"), named_engine("sglang")):
        assert lacking(engine, PUBLISHED["mlx"], find_device("m4 max")) == ("", "")
        assert lacking(engine, PUBLISHED["mlx"], find_device("h100"))[0] == "mlx"


def test_makers_are_listed_as_a_person_would():
    """Without a maker that is none: processors come behind an "or"."""
    tpu, mac = find_device("tpu v5e"), find_device("m4 max")
    assert no_device(LLAMA, tpu).endswith("devices of NVIDIA, AMD, Apple and Intel, or processors")
    assert no_device(named_engine("exllama"), mac).endswith("it is for devices of NVIDIA and AMD")
    assert no_device(named_engine("tensorrt-llm"), mac).endswith("it is for NVIDIA's devices")


def test_a_plan_leaves_out_devices_that_its_engine_does_not_run_on():
    found = tf.plan(decoder(), "mi300x,h100", profile="tensorrt-llm", max_devices=1)
    assert {each.device for each in found.choices} == {"H100-SXM-80GB"}
    assert any("does not run on MI300X" in note for note in found.notes)


def test_an_engine_that_is_no_server_is_planned_without_a_command():
    found = tf.plan(decoder(), "h100", profile="exllama", max_devices=1)
    assert {each.launch for each in found.choices} == {""}
    assert "start" not in str(found).split("note")[0]
    assert any("no command is known" in note for note in found.notes)


def test_llama_cpp_counts_a_published_format_that_gguf_lacks_in_one_about_as_wide():
    model = tf.load_model("deepseek-v3")
    assert tf.fit(model, "8xh200", profile="llama.cpp").precision.name == "q8_0"
    assert tf.fit(model, "8xh200", profile="vllm").precision.name == "fp8"
    assert tf.fit("gpt-oss-20b", "h100", profile="llama.cpp").precision.name == "mxfp4"


@pytest.mark.parametrize("dtype", [None, "mxfp4"])
def test_what_is_published_in_mxfp4_has_all_but_its_experts_in_q8_0_in_gguf_files(dtype):
    """MXFP4_MOE of llama-quant.cpp; gpt-oss-20b-mxfp4.gguf of ggml-org has 12.1 GB, and 13.8 as it
    is published. Experts have 4.25 bits, table, head and attention 8.5; what is left is a
    thousandth."""
    model = tf.load_model("gpt-oss-20b")
    groups = model.params_by_group
    wide = sum(groups[name] for name in ("attn", "embed_tokens", "lm_head"))
    experts = 24 * 32 * 3 * 2880 * 2880
    size = (4.25 * experts + 8.5 * wide) / 8
    made = tf.estimate(model, "rtx-4090", profile="llama.cpp", dtype=dtype).memory.weight_bytes
    assert made == pytest.approx(size, rel=0.003)
    assert f"{made / 1e9:.1f}" == "12.1"
    asked = {"dtype": dtype, "profile": "vllm"}
    assert f"{tf.estimate(model, 'h100', **asked).memory.weight_bytes / 1e9:.1f}" == "13.8"
    pair = [tf.estimate(model, "rtx-4090", profile="llama.cpp", dtype=each)
            for each in (dtype, "q4_k_m")]  # fmt: skip
    assert pair[0].per_token.expected_s < pair[1].per_token.expected_s


def test_what_no_row_had_is_said_of_a_served_load_and_of_a_plan():
    said = "none of them on MI300X, nor any AMD: interval widened"
    asked = {"users": 4, "profile": "vllm"}
    assert said in tf.serving(decoder(), "mi300x", **asked).provenance
    assert any(said in note for note in tf.plan(decoder(), "mi300x", max_devices=1, **asked).notes)
    known = tf.plan("llama-3-8b", "h100", max_devices=1, dtypes=["bf16"], **asked)
    assert not any("fitted to" in note for note in known.notes)


def test_a_device_whose_architecture_has_no_name_is_not_said_to_stand_for_its_maker():
    """All rows of vLLM are NVIDIA's, of other architectures than a Jetson's."""
    said = tf.estimate("gpt2", "jetson orin nx 16gb", profile="vllm").provenance
    assert "Orin NX 16GB, nor any known to be of its architecture: interval" in said
    assert "nor any NVIDIA" not in said


@pytest.mark.parametrize(
    ("gpu", "engine"),
    [("gaudi 2", "vllm"), ("tpu v6e", "vllm"), ("trainium2", None), ("h100", None),
     ("a770", None), ("p40", "llama.cpp"), ("m4", "llama.cpp")],
)  # fmt: skip
def test_an_engine_stands_for_one_that_is_not_named_where_most_do_not_run(gpu, engine):
    assert engine_on(find_device(gpu)) == engine


@pytest.mark.parametrize(
    ("gpu", "dtype", "engine"),
    [("rtx 4070", "q4_k_m", "llama.cpp"), ("rtx 4070", "iq3_xs", "llama.cpp"),
     ("rtx 4070", "int4", None), ("rtx 4070", "mxfp4", None), ("tpu v6e", "q8_0", "vllm")],
)  # fmt: skip
def test_llama_cpp_stands_for_an_engine_that_is_not_named_in_formats_of_gguf_files(
    gpu, dtype, engine
):
    assert engine_on(find_device(gpu), dtype) == engine


def test_a_gguf_file_on_two_cards_gives_each_layers_as_its_engine_does():
    named, unnamed = (
        tf.estimate("llama3.3:70b", "rtx 4090", devices=2, profile=profile)
        for profile in ("llama.cpp", None)
    )
    assert (unnamed.plan.tp, unnamed.plan.pp) == (1, 2)
    assert unnamed.per_token == named.per_token


def test_on_gaudi_heads_are_split_at_the_rates_of_vllm():
    told = {"devices": 2, "dtype": "fp8", "prompt": 100, "generate": 9}
    found = tf.estimate("llama-2-7b", "gaudi 2", **told)
    named = tf.estimate("llama-2-7b", "gaudi 2", **told, profile="vllm")
    assert (found.plan.tp, found.plan.pp) == (2, 1)
    assert found.total.expected_s == named.total.expected_s
    assert found.provenance.startswith("profile vllm")


def test_a_refusal_of_an_older_device_says_what_the_engine_needs():
    said = no_device(named_engine("vllm"), find_device("p40"))
    assert said == "vllm does not run on P40: it needs compute capability 7.0, not 6.1"


def test_a_device_that_a_profile_was_fitted_to_runs_its_engine_whatever_its_capability():
    older, fitted = find_device("p40"), find_profile("vllm")
    with pytest.raises(UsageError, match="needs compute capability"):
        tf.estimate("gpt2", older, profile=fitted)
    seen = replace(fitted, devices=(*fitted.devices, older.name))
    assert tf.estimate("gpt2", older, profile=seen).per_token.expected_s > 0


@pytest.mark.parametrize("ask", [tf.fit, tf.estimate])
def test_replicas_that_do_not_share_the_sequences_evenly_are_told_how_many_would(ask):
    with pytest.raises(UsageError, match=r"dp=4 does not divide batch=5: .* batch=8"):
        ask(decoder(), "h100", dp=4, batch=5)


@pytest.mark.parametrize(
    ("model", "prompt", "less"), [("gpt-oss-20b", 100_000, True), ("llama-3-8b", 7000, False)]
)
def test_a_pool_that_holds_more_than_its_tokens_says_why(model, prompt, less):
    text = " ".join(
        str(tf.fit(model, "h100", profile="vllm", prompt=prompt, generate=1000)).split()
    )
    assert (" for windows" in text) is less


@pytest.mark.parametrize(
    ("options", "engine"),
    [({"dtype": "mlx-4bit"}, "mlx"), ({"dtype": "q4_k_m"}, "llama.cpp"), ({}, "llama.cpp"),
     ({"dtype": "bf16", "profile": "mlx"}, "mlx")],
)  # fmt: skip
def test_on_a_mac_mlx_stands_for_its_own_formats_and_llama_cpp_for_all_others(options, engine):
    found = tf.estimate("llama-3-8b", "m4 max", **options)
    assert found.setting.profile.name == engine


def test_mlx_runs_on_apples_devices_and_reads_its_own_files_alone():
    with pytest.raises(UsageError, match="mlx does not run on RTX 4090: it is for Apple's devices"):
        tf.estimate("llama-3-8b", "rtx 4090", profile="mlx")
    with pytest.raises(
        UsageError, match="mlx reads no weights in q4_k_m: expected a format of MLX"
    ):
        tf.estimate("llama-3-8b", "m4 max", dtype="q4_k_m", profile="mlx")
