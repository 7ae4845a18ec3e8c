"""Estimates: one and many, in order, and what is refused."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise

import numpy as np
import pytest
import thermoflop as tf
from thermoflop.cost.catalogue.devices import catalogue, find_device, read_device
from thermoflop.cost.catalogue.profiles import find_profile, profiles
from thermoflop.cost.engines.abilities import no_weights
from thermoflop.cost.hardware.device import device_from
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.estimate import BLOCK
from thermoflop.cost.work.share import Layout, Share, choose_layout
from thermoflop.errors import InputError, StorageError, UsageError


@pytest.fixture(scope="module")
def model():
    """A model with grouped heads."""
    return tf.load_model("llama-3-8b")


def test_spans_are_in_order(model):
    """bound <= low <= expected <= high, whatever the profile."""
    for name in profiles():
        engine = find_profile(name).engine
        device = "m4 max" if engine.vendors == ("Apple",) else "h100"
        for dtype in (each for each in ("bf16", "fp8", "int4") if not no_weights(engine, each)):
            found = tf.estimate(model, device, batch=4, dtype=dtype, profile=name)
            for span in (found.first_token, found.per_token, found.total):
                assert 0 < span.bound_s <= span.low_s <= span.high_s
                assert span.bound_s <= span.expected_s <= span.high_s


def test_grid_equals_scalar(model):
    """A grid of two blocks, and the same configurations one by one."""
    rng = np.random.default_rng(1)
    count = BLOCK + 7
    batch = rng.integers(1, 200, count)
    prompt = rng.integers(1, 4000, count)
    generate = rng.integers(0, 500, count)
    sizes = {"batch": batch, "prompt": prompt, "generate": generate}
    grid = tf.estimate(model, "h100", profile="llama.cpp", **sizes)
    assert grid.total.expected_s.shape == (count,)
    for i in (0, 1, 2, BLOCK - 1, BLOCK, count - 1):
        one = tf.estimate(
            model, "h100", profile="llama.cpp",
            **{name: int(values[i]) for name, values in sizes.items()},
        )  # fmt: skip
        for span in ("first_token", "per_token", "total"):
            for field in ("bound_s", "expected_s", "low_s", "high_s"):
                many = getattr(getattr(grid, span), field)[i]
                assert many == pytest.approx(
                    getattr(getattr(one, span), field), rel=1e-9, abs=1e-15
                )
        assert grid.memory.total_bytes[i] == pytest.approx(one.memory.total_bytes, rel=1e-12)
        assert grid.energy.energy_j[i] == pytest.approx(one.energy.energy_j, rel=1e-9)


def test_grids_broadcast(model):
    """Batches down, prompts across."""
    found = tf.estimate(model, "h100", batch=np.array([[1], [8]]), prompt=np.array([16, 32, 64]))
    assert found.total.expected_s.shape == (2, 3)


def test_more_work_takes_longer(model):
    """Longer prompts, more tokens, larger batches never cost less."""
    base = tf.estimate(model, "h100", batch=4, prompt=512, generate=64)
    for change in ({"batch": 8}, {"prompt": 1024}, {"generate": 128}):
        more = tf.estimate(model, "h100", **{"batch": 4, "prompt": 512, "generate": 64, **change})
        assert more.total.expected_s > base.total.expected_s
        assert more.total.bound_s > base.total.bound_s


def test_two_devices_are_faster_than_one(model):
    """Tensor parallel halves what a device reads."""
    one = tf.estimate(model, "h100", devices=1).per_token
    two = tf.estimate(model, "h100", devices=2).per_token
    assert one.bound_s / 2.2 < two.bound_s < one.bound_s / 1.8
    assert two.expected_s < one.expected_s


def test_what_overlaps_costs_nothing(model):
    """All of the network hidden: two devices without its time, never below the bound."""
    plain = tf.estimate(model, "l40s", devices=2, batch=64).per_token
    hidden = tf.estimate(model, "l40s", devices=2, batch=64, overlap=1.0).per_token
    assert hidden.bound_s <= hidden.expected_s < plain.expected_s
    with pytest.raises(UsageError, match="overlap=2"):
        tf.estimate(model, "l40s", devices=2, overlap=2)


def test_fewer_key_heads_than_devices():
    """8 key heads on 16 devices: each keeps one, the cache is there twice."""
    found = tf.fit("llama-3-70b", "h100", devices=16, batch=1)
    assert found.cache_copies == 2
    eight = tf.fit("llama-3-70b", "h100", devices=8, batch=1)
    assert found.memory.kv_bytes == eight.memory.kv_bytes


def test_latent_is_on_every_device():
    """MLA's latent serves every head: 512 + 64 elements of 2 bytes a token in each of 27 layers,
    on one device and on each of four."""
    cache = 27 * (512 + 64) * 2 * (1024 + 128)
    for devices in (1, 4):
        found = tf.fit("deepseek-v2-lite", "h100", devices=devices)
        assert found.cache_copies == devices
        assert found.memory.kv_bytes == cache


def test_pages_round_up(model):
    """A page of 16 holds 17 tokens in 32 places."""
    logical = tf.fit(model, "h100", prompt=16, generate=1)
    paged = tf.fit(model, "h100", prompt=16, generate=1, page=16)
    assert paged.memory.kv_bytes * 17 == logical.memory.kv_bytes * 32


def test_largest_batch_is_the_largest(model):
    """One more does not fit."""
    found = tf.fit(model, "rtx 4090", prompt=1000, generate=100)
    assert tf.fit(model, "rtx 4090", batch=found.largest_batch, prompt=1000, generate=100).fits
    more = tf.fit(model, "rtx 4090", batch=found.largest_batch + 1, prompt=1000, generate=100)
    assert not more.fits
    assert more.memory.shortfall_bytes > 0


def test_energy_and_heat(model):
    """At most the design power."""
    found = tf.estimate(model, "h100", batch=64, prompt=8000, generate=1).energy
    assert found.power_w <= 700
    assert found.power_low_w <= found.power_w <= found.power_high_w


def test_encoders_have_no_second_token():
    """BERT reads, and that is all."""
    found = tf.estimate("bert-base-uncased", "t4", prompt=128, generate=0, dtype="fp16")
    assert found.total.expected_s == pytest.approx(found.first_token.expected_s)
    with pytest.raises(UsageError, match="generates nothing"):
        tf.estimate("bert-base-uncased", "t4", prompt=128, generate=1, dtype="fp16")


@pytest.mark.parametrize(
    ("name", "does", "logits"),
    [
        ("e5-mistral-7b", "embeds", False), ("qwen3-embedding-0.6b", "embeds", False),
        ("embeddinggemma-300m", "encodes", False), ("gte-qwen2-1.5b", "encodes", False),
        ("qwen3-reranker-0.6b", "ranks", True),  # by the logits of yes and no
    ],
)  # fmt: skip
def test_what_embeds_or_ranks_has_one_pass_and_a_result(name, does, logits):
    found = tf.estimate(name, "h100", batch=8, prompt=512)
    assert (found.generate, found.total) == (0, found.first_token)
    text = str(found)
    assert "the result" in text
    assert "prompt tokens" in text
    assert "decoding" not in text
    names = {work.name for work in found.setting.works(found.setting.whole_prompt(512, 8))}
    assert ("lm_head" in names) is logits
    with pytest.raises(UsageError, match=f"{does} in one step: it generates nothing"):
        tf.estimate(name, "h100", generate=2)
    with pytest.raises(UsageError, match="generates nothing"):
        tf.serving(name, "h100", users=1)


@pytest.mark.parametrize(
    ("config", "purpose"),
    [
        ({"architectures": ["LlamaModel"]}, "embed"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "rank"),
        ({"architectures": ["LlamaForCausalLM"]}, "generate"), ({}, "generate"),
    ],
)  # fmt: skip
def test_a_class_without_a_head_of_language_generates_nothing(config, purpose):
    model = tf.load_model({"model_type": "llama", **config})
    assert (model.purpose, model.generates) == (purpose, purpose == "generate")


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("BartForSequenceClassification", "rank"), ("BartForQuestionAnswering", "rank"),
        ("BartModel", "embed"), ("BartEncoder", "embed"),
        ("BartForConditionalGeneration", "generate"), ("BartForCausalLM", "generate"),
    ],
)  # fmt: skip
def test_the_class_of_an_encoder_and_a_decoder_says_what_it_is_for(name, purpose):
    model = tf.load_model({"model_type": "bart", "architectures": [name]})
    assert (model.purpose, model.generates) == (purpose, purpose == "generate")
    done = tf.estimate(model, "h100", prompt=64)
    assert ("each token after it" in str(done)) == (purpose == "generate")


def test_a_step_of_what_removes_masks_has_logits_at_every_position():
    model = tf.load_model({"model_type": "Dream", "architectures": ["DreamModel"]})
    done = tf.estimate(model, "h100", prompt=64)
    assert "each step" in str(done)
    assert "each token after it" not in str(done)
    assert done.conventions["logits"] == "at every position"
    more = tf.estimate(model, "h100", prompt=65).memory.activation_bytes
    held = more - done.memory.activation_bytes
    assert held > 4 * model.description.head.outputs  # fp32, of one position more
    with pytest.raises(UsageError, match="say generate=0, and all positions as prompt"):
        tf.estimate(model, "h100", prompt=64, generate=8)
    with pytest.raises(UsageError, match=r"removing masks.*`estimate` times one step"):
        tf.serving(model, "h100", users=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": -1}, "batch=-1"),
        ({"batch": 0}, "batch=0"),
        ({"batch": 1.5}, "batch=1.5"),
        ({"batch": True}, "batch=True"),
        ({"prompt": 0}, "prompt=0"),
        ({"generate": -3}, "generate=-3"),
        ({"prompt": 10**13}, "prompt="),
        ({"prompt": 8000, "generate": 1000}, "8192 positions"),
        ({"tp": 3}, "tp=3 does not divide the attention heads"),
        ({"tp": 0}, "tp=0"),
        ({"pp": 33}, "pp=33"),
        ({"ep": 2, "tp": 2}, "no experts"),
        ({"devices": 4, "tp": 3}, "devices=4"),
        ({"dp": 3, "batch": 4}, "dp=3"),
        ({"dtype": "fp7"}, "'fp7'"),
        ({"dtype": 8}, "8 is not a number format"),
        ({"dtype": "int4-g0"}, "int4-g0"),
        ({"kv_dtype": "fp9"}, "fp9"),
        ({"profile": "nobody"}, "nobody"),
        ({"prefix": 2000}, "prefix=2000"),
        ({"chunk": 0}, "chunk=0"),
        ({"page": 0}, "page=0"),
        ({"batch": np.array([1.5])}, "batch must be whole"),
        ({"prompt": np.array([0])}, "prompt must be whole"),
        ({"generate": np.array([np.nan])}, "generate must be whole"),
    ],
)
def test_nonsense_is_refused(model, options, said):
    """One sentence that names the value."""
    refusal = InputError if "profile" in options else UsageError  # a name that nothing has
    with pytest.raises(refusal, match=said) as caught:
        tf.estimate(model, "h100", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "dtype"), [("v100", "bf16x"), ("v100", "fp8"), ("m2", "int8")])
def test_a_device_without_the_format(model, name, dtype):
    """It says which it has."""
    with pytest.raises(UsageError):
        tf.estimate(model, name, dtype=dtype)


def test_the_catalogue():
    """Sixty devices and more, each with a source and a ridge that makes sense."""
    found = catalogue()
    assert len(found) >= 60
    for device in found.values():
        assert device.source
        assert device.confidence in ("read", "recalled")
        for name in device.peaks:
            assert 0.1 < device.ridge(name) < 5000
    assert find_device("NVIDIA H100").name == "H100-SXM-80GB"
    with pytest.raises(InputError, match="nearest"):
        find_device("h1000")


def test_a_device_of_ones_own(tmp_path, model):
    """A few lines of TOML."""
    path = tmp_path / "mine.toml"
    path.write_text(
        "memory_gb = 48\nbandwidth_gb_s = 900\npower_w = 300\nthermal_resistance_c_per_w = 0.1\n"
        "[dense_tflops]\nbf16 = 200\n"
    )
    found = tf.estimate(model, str(path))
    assert found.device.name == "mine"
    assert found.energy.rise_c == pytest.approx(0.1 * found.energy.power_w)
    for text, said in (
        ("memory_gb = 48", "lacks bandwidth_gb_s"),
        ("memory_gb = -1\nbandwidth_gb_s = 1\n[dense_tflops]\nbf16 = 1", "memory_gb=-1"),
        ("memory_gb = 1\nbandwidth_gb_s = 1\nspeed = 3\n[dense_tflops]\nbf16 = 1", "speed"),
        ("memory_gb = 1\nbandwidth_gb_s = 1\ndense_tflops = 3", "dense_tflops=3"),
        ("memory_gb = ", "no device in TOML"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_device(str(path))
    with pytest.raises(InputError, match="no device in TOML"):
        read_device(str(tmp_path / "none.toml"))
    with pytest.raises(InputError, match="power_w"):
        device_from({"memory_gb": 1, "bandwidth_gb_s": 1, "dense_tflops": {}, "power_w": "x"})


def test_an_unknown_engine_is_wider_than_a_known_one(model):
    """The default's interval is that of an engine not seen."""
    known = tf.estimate(model, "h100", profile="vllm").per_token
    unknown = tf.estimate(model, "h100").per_token
    assert math.log(unknown.high_s / unknown.low_s) > math.log(known.high_s / known.low_s)
    elsewhere = tf.estimate(model, "l40s", profile="vllm").provenance
    assert "none of them on L40S" in elsewhere


def test_profiles_by_name_and_file(tmp_path):
    """A label leads to its engine; a file must hold a profile."""
    assert find_profile("vLLM 0.6.3").name == "vllm@0.11"
    path = tmp_path / "p.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="profile"):
        find_profile(str(path))


def test_experts_over_replicas():
    """A device of eight replicas computes as much as alone, and holds an eighth of the experts."""
    shares = {
        ep: tf.train("mixtral-8x7b", "h100", devices=8, ep=ep, zero=0, profile="megatron-lm")
        for ep in (1, 8)
    }
    assert shares[8].mfu < 0.8
    assert shares[8].iteration.bound_s == pytest.approx(shares[1].iteration.bound_s)
    assert shares[8].iteration.expected_s > shares[8].iteration.bound_s
    experts = 32 * 8 * 3 * 4096 * 14336
    zero = tf.train("mixtral-8x7b", "h100", devices=8, ep=8, zero=1, profile="megatron-lm")
    assert zero.memory.optimizer_bytes > 12 * experts / 8
    assert shares[8].memory.weight_bytes < shares[1].memory.weight_bytes / 4
    inference = tf.fit("mixtral-8x7b", "h100", devices=8, tp=1, dp=8, ep=8, batch=8)
    assert inference.memory.weight_bytes < 20e9


def test_plans():
    """Degrees multiply to devices; what is left goes to tp."""
    assert choose_layout(8).tp == 8
    assert choose_layout(8, pp=2).tp == 4
    assert choose_layout(None, 2, 2, 2).devices == 8


def test_names_of_makers():
    """With the maker's name or without."""
    assert find_device("NVIDIA Grace (72c LPDDR5X)").bandwidth_bytes_s == 512e9
    assert find_device("amd mi300x").name == "MI300X"


def test_training_estimate():
    """MFU counts no recomputation, HFU does; days follow; what makes no sense is refused."""
    found = tf.train(
        "gpt-3-175b", "a100", devices=1024, tp=8, pp=8, global_batch=1536, recompute="full",
        tokens=300e9, price=2.0, profile="megatron-lm",
    )  # fmt: skip
    assert found.plan.dp == 16
    assert found.hfu / found.mfu == pytest.approx(found.hardware_flops / found.model_flops)
    assert found.iteration.bound_s < found.iteration.expected_s
    assert 20 < found.days[0] < 40
    assert found.price == pytest.approx(2 * found.device_hours)
    for options, said in (
        ({"global_batch": 7}, "global_batch=7"),
        ({"zero": 4}, "zero=4"),
        ({"recompute": "some"}, "recompute='some'"),
        ({"sequence": 10**6}, "positions|passes"),
        ({"tokens": -1}, "tokens=-1"),
        ({"profile": "x"}, "trainer"),
        ({"devices": 7}, "devices=7"),
    ):
        with pytest.raises(InputError if "profile" in options else UsageError, match=said):
            tf.train("gpt-3-175b", "a100", **{"devices": 16, "tp": 8, **options})


def test_compare_orders_the_forms():
    """Fewer key heads: fewer bytes, faster tokens, larger batches."""
    forms = {each.name: each for each in tf.compare(tf.load_model("llama-2-7b"), "a100", batch=32)}
    order = [forms[name] for name in ("MHA", "GQA(4)", "MQA")]
    for more, less in pairwise(order):
        assert more.kv_bytes_per_token > less.kv_bytes_per_token
        assert more.estimate.per_token.expected_s > less.estimate.per_token.expected_s
        assert more.largest_batch < less.largest_batch
        assert more.params > less.params
    with pytest.raises(UsageError, match="no attention"):
        tf.compare(tf.load_model("deepseek-v3"), "h200")


def test_speculation():
    """Leviathan et al. 2023, eq. 1; a draft that is never accepted only costs."""
    from thermoflop.cost.inference.speculative import tokens_per_check

    assert tokens_per_check(0.5, 2) == pytest.approx(1.75)
    assert tokens_per_check(1.0, 4) == 5
    good = tf.speculate("llama-3-70b", "llama-3-8b", "h200", acceptance=0.9, devices=4)
    bad = tf.speculate("llama-3-70b", "llama-3-8b", "h200", acceptance=0.0, devices=4)
    assert good.speed_up > 1 > bad.speed_up
    with pytest.raises(UsageError, match="acceptance=2"):
        tf.speculate("llama-3-70b", "llama-3-8b", "h200", acceptance=2)


def test_shares_by_class_are_of_flops_and_of_time_at_given_rates():
    """A BERT-large layer (b 8, s 512) that runs every operator alone. Contractions: 12 h^2
    multiply-adds a token, and 2 h s of attention. A gap of a second before every kernel makes the
    shares of time those of kernels: six products, scores and values."""
    from thermoflop.cost.roofline.formula import Efficiency
    from thermoflop.cost.roofline.rates import rates_of
    from thermoflop.cost.why.table import reasons, shares_by_class
    from thermoflop.model.operators.step import Step

    precision = choose_precision("fp16")
    share = Share(tf.load_model("bert-large-uncased").description, Layout(), precision)
    step = Step(8, 512, 0, kernels="eager", logits="none")
    layer = [work for work in share.works(step) if work.times == 24]
    rates = rates_of(find_device("v100"), precision, Efficiency(kernel_gap_s=1.0))
    shares = shares_by_class(reasons(layer, rates))
    h, tokens = 1024, 8 * 512
    products, attention = 2 * 12 * h * h * tokens, 4 * h * 512 * tokens
    total = sum(work.flops + work.element_flops for work in layer)
    assert shares["contraction"][0] == pytest.approx(products / total)
    assert shares["attention"][0] == pytest.approx(attention / total)
    kernels = sum(work.launches for work in layer)
    assert shares["contraction"][1] == pytest.approx(6 / kernels, rel=0.01)
    assert shares["attention"][1] == pytest.approx(2 / kernels, rel=0.01)


def test_four_rows_make_no_profile(tmp_path):
    from thermoflop.cost.fitting.profiles import write_own

    row = {
        "engine": "mine", "gpu": "h100", "model": "llama-3-8b", "precision": "bf16",
        "metric": "decode_ms_per_token", "value": 9.0, "input_len": 128, "output_len": 128,
    }  # fmt: skip
    source = tmp_path / "rows.json"
    source.write_text(json.dumps([{**row, "batch": batch} for batch in (1, 2, 4, 8)]))
    with pytest.raises(UsageError, match="4 rows"):
        write_own(str(source), str(tmp_path / "mine.json"))


def test_pictures_are_written_or_refused(tmp_path):
    """A picture is XML; a folder that is not there is said."""
    from xml.etree import ElementTree

    from thermoflop.base.chart import Curve, log_log
    from thermoflop.base.files import write_text

    text = log_log("a < b & c", "x", "y", [Curve("line", ((1.0, 2.0), (10.0, 20.0)))])
    assert ElementTree.fromstring(text).tag.endswith("svg")  # noqa: S314
    write_text(str(tmp_path / "a.svg"), text)
    with pytest.raises(StorageError, match="cannot write"):
        write_text(str(tmp_path / "no" / "a.svg"), text)


def test_pictures_have_an_axis_for_each_unit_and_numbers_on_it(model):
    """Milliseconds and tokens/s never share an axis; a bar of bytes is read off in GB."""
    from thermoflop.cost.inference.capacity import fit
    from thermoflop.cost.reports.pictures import memory_picture, saturation_picture
    from thermoflop.cost.reports.saturation import saturation

    def axes(text):
        return re.findall(r'rotate\(-90\)"><text[^>]*>([^<]*)<', text)

    estimated = tf.estimate(model, "h100")
    rows = saturation(lambda batch: tf.estimate(model, "h100", batch=batch))
    assert axes(saturation_picture(rows, estimated)) == ["ms", "tokens/s"]
    memory = fit(model, "t4", prompt=1024, generate=128).memory
    bar = memory_picture("a bar", "bf16", memory)
    assert axes(bar) == ["GB a device (1e9 bytes)"]
    words = re.findall(r"<text[^>]*>([^<]*)<", bar)
    assert {"0", "5", "10", "15", "the device has 16.1 GB"} <= set(words)
    assert [w for w in words if w.startswith("weights ") and w.endswith(" GB")]


def test_what_generates_nothing_and_what_is_many_can_be_printed(model):
    """No token to divide by, and arrays, each have a text; an empty array is refused."""
    from thermoflop.cost.inference.compare import compare, compare_text

    assert "each token" not in compare_text(compare(model, "h100", generate=0))
    assert "J a sequence" in str(tf.estimate(model, "h100", generate=0))
    assert str(tf.estimate(model, "h100", batch=np.arange(1, 4))).startswith("3 estimates of")
    with pytest.raises(UsageError, match="batch"):
        tf.estimate(model, "h100", batch=np.array([]))


@pytest.mark.parametrize(
    ("layout", "rate_gb_s"),
    [
        ({"tp": 2}, 300.0),  # a bridge joins two A100 in PCIe's form
        ({"tp": 4}, 32.0),  # beyond it PCIe 4 x16 does
        ({"tp": 2, "pp": 2}, 300.0),
        ({"tp": 2, "dp": 2}, 300.0),
    ],
)
def test_more_cards_than_a_bridge_joins_send_over_pcie(layout, rate_gb_s):
    made = tf.estimate("llama-2-70b", "a100-pcie", batch=4, **layout)
    assert made.setting.rates.link_bytes_s == rate_gb_s * 1e9
    assert f"at {rate_gb_s:g}" in made.provenance.replace(".0 ", " ")


@pytest.mark.parametrize(("gpu", "alone"), [("p40", True), ("p100", True), ("v100", False)])
def test_a_card_that_no_other_server_runs_on_is_estimated_as_llama_cpp_runs_it(gpu, alone):
    """vLLM asks for compute capability 7.0, which a V100 has, and SGLang for more."""
    plain, named = (tf.estimate("gpt2", gpu, profile=each) for each in (None, "llama.cpp"))
    assert (plain.per_token == named.per_token) is alone
    assert tf.fit("gpt2", gpu).memory.assumed.startswith("llama.cpp") is alone
    assert tf.serving("gpt2", gpu, users=1).provenance.startswith("profile llama.cpp") is alone


@pytest.mark.parametrize(
    ("gpu", "published_per_s"),
    # llama.cpp discussion 4167: Llama 2 7B in Q4_0, tokens a second of one sequence
    [("m1-pro", 36.41), ("m1-max", 61.19), ("m2-max", 65.95), ("m4-pro", 50.74), ("m4-max", 83.06)],
)
def test_a_mac_without_an_engine_has_the_rates_of_the_one_that_was_measured_there(
    gpu, published_per_s
):
    asked = {"prompt": 8, "dtype": "q4_0"}
    plain = tf.estimate("llama-2-7b", gpu, **asked)
    named = tf.estimate("llama-2-7b", gpu, profile="llama.cpp", **asked)
    assert plain.per_token == named.per_token
    assert 1 / plain.per_token.high_s < published_per_s < 1 / plain.per_token.low_s
    assert plain.provenance.startswith("profile llama.cpp: fitted to")
    # formats that llama.cpp does not read are those of other engines, which are not refused
    assert tf.estimate("llama-2-7b", gpu, dtype="awq").precision.name == "awq"
    served = tf.serving("llama-2-7b", gpu, users=1, dtype="q4_0")
    assert "profile llama.cpp: fitted to" in str(served)
