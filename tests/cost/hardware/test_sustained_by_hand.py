"""What AMD's accelerators sustain of their data sheets, from what was timed on them and NVIDIA's.

Azure's guide is github.com/samuel-bohman/AI-benchmarking-guide, ``Azure_Results``: one tool on all
three; the matmul table is stas00/ml-engineering's (compute/accelerator, maximum achievable matmul).
"""

from __future__ import annotations

from math import exp, hypot, isclose, log, prod

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import custom_profile, find_profile, training_profiles
from thermoflop.cost.hardware import sustained
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.hardware.sustained import (
    BY_NAME,
    LIKE_NVIDIA,
    SINGLE,
    held_share,
    sustained_of,
    sustained_rates,
    sustained_words,
)

MI300X, H200 = tf.find_device("mi300x"), tf.find_device("h200")
BF16 = choose_precision("bf16")
# fp8, TFLOP/s, m = 2048, 4096, 8192, 16384, 32768 and 6144 x 12288 x 12288 (Azure's guide)
PRODUCTS = {
    "MI300X": (427.7, 955.2, 1159.2, 1015.1, 1029.1, 1159.5),
    "H100": (1011.3, 1216.9, 1290.1, 1377.3, 1382.2, 1351.4),
    "H200": (1013.4, 1249.1, 1300.6, 1366.3, 1349.5, 1318.0),
}
# TB/s of copy, mul, add, triad and dot (the same)
STREAMS = {
    "MI300X": (4.11, 4.26, 4.14, 4.09, 3.87),
    "H100": (2.90, 2.90, 2.97, 2.97, 3.18),
    "H200": (4.01, 4.00, 4.15, 4.15, 4.48),
}
SHEETS = {"MI300X": (2614.9, 5.3), "H100": (1979, 3.35), "H200": (1979, 4.8)}


def middle(values):
    return prod(values) ** (1 / len(values))


def test_products_of_six_shapes():
    share = {name: middle(made) / SHEETS[name][0] for name, made in PRODUCTS.items()}
    ratio = share["MI300X"] / middle((share["H100"], share["H200"]))
    assert BY_NAME["MI300X"].compute == round(ratio, 2) == 0.55
    assert tf.find_device("mi300x").peaks["fp8"] == 2614.9e12


def test_the_largest_products_of_newer_ones():
    """bf16, TFLOP/s: H100 794.5 of 989, B200 1,745 and B300 1,769 of 2,250."""
    nvidia = (794.5 / 989 + 1745 / 2250 + 1769 / 2250) / 3
    assert BY_NAME["MI355X"].compute == round(1565 / 2500 / nvidia, 2)
    assert BY_NAME["MI325X"].compute == round(0.55 * 784.9 / 668.4, 2)


def test_largest_products_of_rdna_4_beside_those_of_a100():
    """fp16, TFLOP/s: RX 9070 XT in the program's issues 173 and 201, RX 9060 XT in 165."""
    sheet = {name: tf.find_device(name).peaks["fp16"] / 1e12 for name in ("9070 xt", "9060 xt")}
    reached = (middle((133.36, 125.21)) / sheet["9070 xt"], 66.14 / sheet["9060 xt"])
    for name in ("rx 9070 xt", "rx 9060 xt", "r9700"):
        assert sustained_of(tf.find_device(name)).compute == round(middle(reached) / HALF, 2)
    # RX 7700 XT, 54.22 of 70.34 (issue 157): as good as NVIDIA's
    assert sustained_of(tf.find_device("rx 7700 xt")).compute == 1 == round(54.22 / 70.34 / HALF)


def test_streams_and_the_bus_of_an_all_reduce():
    """Dot only reads; the other four write as well."""
    shares = BY_NAME["MI300X"]
    for share, kernels in ((shares.reads, slice(4, 5)), (shares.passes, slice(4))):
        by = {
            name: sum(made[kernels]) / len(made[kernels]) / SHEETS[name][1]
            for name, made in STREAMS.items()
        }
        assert share == round(by["MI300X"] / middle((by["H100"], by["H200"])), 2)
    nvidia = (478.9 + 480.0) / 2 / 450  # 8 GB over eight, GB/s
    assert BY_NAME["MI300X"].link == round(316.8 / 448 / nvidia, 2)
    assert BY_NAME["MI355X"].link == round(369 / 535.5 / nvidia, 2)


def test_rates_that_were_fitted_to_nvidias_are_scaled_and_no_others():
    rates = {"matmul": 0.6, "cache": 0.8, "link": 0.5, "kernel_gap_s": 4e-6, "step_s": 1e-3}
    assert sustained_rates(rates, H200) is rates
    scaled = sustained_rates(rates, MI300X)
    expected = {"matmul": 0.6 * 0.55, "cache": 0.8 * 0.78, "link": 0.5 * 0.66,
                "kernel_gap_s": 4e-6 * 2.03, "step_s": 1e-3}  # fmt: skip
    assert scaled == pytest.approx(expected)
    assert sustained_of(tf.find_device("gaudi 3")) == LIKE_NVIDIA == sustained_of(H200)


@pytest.mark.parametrize(
    ("profile", "gap", "products"),
    [("vllm", 2.03, 0.55), ("sglang", 2.03, 0.55), ("vllm@0.11", 1, 1), ("llama.cpp", 1, 1)],
)
def test_profiles_of_nvidias_devices_alone_scale_them(profile, gap, products):
    """Older vLLM and llama.cpp have intervals of their own for devices that were left out."""
    named, nobodys = find_profile(profile), replace(MI300X, vendor="")
    of_amd, plain = named.efficiency(MI300X, BF16), named.efficiency(nobodys, BF16)
    assert isclose(of_amd.kernel_gap_s, gap * plain.kernel_gap_s)
    assert isclose(of_amd.matmul, products * plain.matmul)
    assert isclose(of_amd.expert_matmul, products * plain.expert_matmul)


def test_profiles_that_have_rows_of_amds_devices_scale_no_rate():
    """Neither on a device that they were fitted to, nor on another one of its maker."""
    vllm, mi325x = find_profile("vllm"), tf.find_device("mi325x")
    of_amd = replace(
        vllm, devices=(*vllm.devices, MI300X.name),
        seen=replace(vllm.seen, architectures=(*vllm.seen.architectures, "AMD")),
    )  # fmt: skip
    for device in (MI300X, mi325x):
        plain = vllm.efficiency(replace(device, vendor=""), BF16)
        assert of_amd.efficiency(device, BF16) == plain != vllm.efficiency(device, BF16)


def test_the_bound_stays_that_of_the_data_sheet(monkeypatch):
    asked = {"prompt": 512, "generate": 64, "profile": "vllm", "dtype": "bf16"}
    scaled = tf.estimate("llama-3.1-8b", "mi300x", **asked).per_token
    monkeypatch.setattr(sustained, "sustained_of", lambda device: LIKE_NVIDIA)
    plain = tf.estimate("llama-3.1-8b", "mi300x", **asked).per_token
    assert scaled.bound_s == plain.bound_s
    assert plain.expected_s < 0.8 * scaled.expected_s


def test_what_vllm_made_on_an_h200_beside_an_mi300x():
    """Llama 3.1 405B in fp8 on eight, 500 + 2,000 tokens: 4,447 and 3,407 tokens/s (Azure's)."""
    asked = {"users": 256, "prompt": 500, "generate": 2000, "profile": "vllm", "tp": 8,
             "dtype": "fp8"}  # fmt: skip
    made = [tf.serving("llama-3.1-405b", gpu, **asked).tokens_per_s for gpu in ("h200", "mi300x")]
    assert made[0] / made[1] == pytest.approx(4447 / 3407, rel=0.05)


@pytest.mark.parametrize(
    ("model", "users", "prompt", "generate", "published_ms", "options"),
    [  # SGLang's cookbook: Ministral 3, Kimi Linear, Gemma 4; vllm-project/recipes pull 443
        ("ministral-3-14b", 1, 610, 422, 6.63, {"tp": 1}),
        ("ministral-3-14b", 14, 496, 510, 10.47, {"tp": 1}),
        ("kimi-linear-48b-a3b", 14, 496, 510, 10.75, {"tp": 4, "dtype": "bf16"}),
        ("gemma-4-31b", 98, 513, 511, 82.51, {"tp": 1}),
        ("ministral-3-8b", 32, 1024, 1024, 11.88, {"tp": 1, "dtype": "bf16", "profile": "vllm"}),
    ],
)  # fmt: skip
def test_published_tokens_lie_in_the_interval(
    model, users, prompt, generate, published_ms, options
):
    options = {"profile": "sglang", **options}
    low, _, high = tf.serving(
        model, "mi300x", users=users, prompt=prompt, generate=generate, **options
    ).token_s
    assert low < published_ms / 1e3 < high


@pytest.mark.parametrize(
    ("device", "users", "generate", "published_ms", "options"),
    [  # AI-Hypercomputer/tpu-recipes, inference/ironwood and trillium/vLLM/Qwen3.8-27B
        ("tpu v7", 64, 1024, 18.8, {}),
        ("tpu v7", 128, 8192, 25.6, {}),
        ("tpu v6e", 64, 1024, 32.9, {"kv_dtype": "fp8"}),
        ("tpu v6e", 128, 1024, 49.0, {"kv_dtype": "fp8"}),
    ],
)  # fmt: skip
def test_recurrent_layers_on_tpus_lie_in_an_interval_of_their_own_kernels(
    device, users, generate, published_ms, options
):
    asked = {"tp": 4, "devices": 4, "dtype": "bf16", "prompt": 1024, "profile": "vllm 0.26"}
    found = tf.serving(
        "qwen3.8-27b", device, users=users, generate=generate, **asked, **options
    )  # fmt: skip
    low, _, high = found.token_s
    assert low < published_ms / 1e3 < high
    assert "its backend's own kernels run recurrent layers: interval widened" in found.provenance
    like = tf.load_model("qwen3.8-27b")
    assert "scans" not in find_profile("vllm").unseen(MI300X, model=like)  # Triton's, as NVIDIA's
    assert "scans" not in find_profile("vllm").unseen(tf.find_device(device))


def test_another_maker_is_unseen_and_said():
    vllm = find_profile("vllm")
    assert vllm.unseen(MI300X) == ("device", "architecture", "maker")
    assert vllm.unseen(tf.find_device("gaudi 3")) == ("device", "architecture", "maker")
    assert vllm.unseen(tf.find_device("a100")) == ("device", "architecture")
    assert vllm.unseen(replace(MI300X, vendor="")) == ("device", "architecture")
    assert find_profile("vllm@0.11").unseen(MI300X) == ("maker",)
    said = tf.estimate("llama-3.1-8b", "mi300x", profile="vllm").provenance
    assert (
        "none of them on MI300X, nor any AMD: interval widened; beside NVIDIA's it reaches 0.55 "
        "of the share of its data sheet in products, 0.78 in reading memory and 0.66 in links, "
        "with gaps between kernels 2.03 times as long"
    ) in " ".join(said.split())
    assert sustained_words(H200) == ""
    assert sustained_words(tf.find_device("rx 7900 xtx")) == (
        "it has gaps between kernels 2.03 times as long as NVIDIA's"
    )
    assert sustained_words(tf.find_device("rx 9070 xt")) == (
        "beside NVIDIA's it reaches 0.81 of the share of its data sheet in products, "
        "with gaps between kernels 2.03 times as long"
    )


def test_a_maker_that_no_row_of_an_older_engine_has_widens_what_others_missed_by():
    """gpt-fast, MLC and llama.cpp have rows of AMD's: its other devices are like those left out."""
    old, nobodys = find_profile("vllm@0.11"), replace(MI300X, vendor="")
    assert {tf.find_device(name).vendor for name in old.devices} == {"NVIDIA"}
    left_out = old.intervals_unseen_device["token"]
    assert old.unseen(nobodys) == ()
    assert old.interval("token", nobodys) == left_out
    of_amd = old.interval("token", MI300X)
    assert of_amd.high == pytest.approx(exp(hypot(log(left_out.high), 1.2815516 * 0.20)))
    said = tf.estimate("llama-3.1-8b", "mi300x", profile="vllm@0.11").provenance
    assert said.endswith("none of them on MI300X, nor any AMD: interval widened")
    for other in ("gpt-fast", "mlc"):
        assert find_profile(other).unseen(MI300X) == ()
    assert "maker" not in find_profile("llama.cpp").unseen(MI300X)


def test_a_trainer_is_judged_on_devices_of_another_maker_by_training_alone():
    for trainer in training_profiles().values():
        assert trainer.unseen(MI300X) == ()


@pytest.mark.parametrize(
    ("profile", "gpu", "share"),
    [
        ("vllm", "5090", 0.9),  # 187 to 204 of 209.5 TFLOP/s (gau-nernst.github.io/fa-5090)
        ("vllm", "4090", 0.9),
        ("vllm", "rtx-pro-6000", None), ("vllm", "l40s", None),  # their products are not halved
        ("vllm@0.11", "4090", None), ("exllama", "4090", None),  # fitted to it
    ],
)  # fmt: skip
def test_attention_comes_near_to_the_peak_where_products_are_halved(profile, gpu, share):
    found = find_profile(profile)
    plain = found.efficiency(replace(tf.find_device(gpu), half_accumulate_flops_s=None), BF16)
    rates = found.efficiency(tf.find_device(gpu), BF16)
    assert rates == (plain if share is None else replace(plain, attention=share))


def test_attention_of_halved_products_has_at_most_twice_the_share_of_others():
    rates = {"attention": 0.3, "matmul": 0.7}
    found = sustained.carried_over(rates, tf.find_device("5090"), ("device",), today=True)
    assert found == {"attention": pytest.approx(0.6, rel=1e-3), "matmul": 0.7}
    above = sustained.carried_over(
        rates | {"attention": 0.95}, tf.find_device("5090"), ("device",), today=True
    )
    assert above["attention"] == 0.95


# PyTorch's products (zzc0721/torch-performance-test-data), TFLOP/s and the sheet's: fp32, fp16
SINGLE_ON = {
    "hopper": ((52.1, 67), (51.3, 67)), "consumer ampere": ((24.8, 35.6), (23.7, 37.4)),
    "ada": ((55.0, 82.6), (37.3, 59.4)), "consumer blackwell": ((68.0, 104.8),),
}  # fmt: skip
FIRST = middle((18.1 / 19.5, 19.2 / 19.5, 14.5 / 15.7))  # A100 twice and V100, in fp32
HALF = 0.81  # 253 of A100's 312 TFLOP/s (247.6 and 258.7) in fp16
# FasterTransformer's encoder guide, ms: batch 8 and 32 of 128 and 384 tokens, TensorFlow, PyTorch
ENCODER_MS = {
    ("T4", "fp32"): (42.88, 140.36, 162.62, 552.46, 43.51, 144.51, 168.30, 587.40),
    ("V100", "fp32"): (15.51, 48.70, 57.85, 188.17, 16.65, 52.38, 62.44, 209.90),
    ("T4", "fp16"): (8.31, 24.37, 32.32, 97.66, 8.55, 26.03, 33.38, 103.63),
    ("V100", "fp16"): (3.59, 10.60, 12.41, 40.20, 3.97, 11.47, 13.53, 44.13),
}


@pytest.mark.parametrize("kind", SINGLE_ON)
def test_products_in_single_precision_beside_those_of_a100_and_v100(kind):
    reached = middle([made / sheet for made, sheet in SINGLE_ON[kind]]) / FIRST
    assert isclose(SINGLE[kind], reached, abs_tol=0.01)


@pytest.mark.parametrize(
    ("name", "compute", "reached"),
    [("L4", "fp32", 10.9 / 30.3 / FIRST), ("L4", "bf16", 54 / 121 / HALF),
     ("A10", "fp32", 12.5 / 31.2 / FIRST), ("A10", "fp16", 1.0), ("H100-SXM-80GB", "fp16", 1.0)],
)  # fmt: skip
def test_cards_with_few_watts_hold_less_of_their_data_sheets(name, compute, reached):
    assert isclose(held_share(tf.find_device(name), compute), reached, abs_tol=0.01)


@pytest.mark.parametrize(("compute", "sheets"), [("fp32", 15.7 / 8.1), ("fp16", 125 / 65)])
def test_a_t4_beside_a_v100_in_one_engine(compute, sheets):
    longer = middle(ENCODER_MS["T4", compute]) / middle(ENCODER_MS["V100", compute])
    assert isclose(held_share(tf.find_device("t4"), compute), sheets / longer, abs_tol=0.005)


def test_no_bound_and_no_device_of_ones_own_is_held_to_it():
    """The bound is the data sheet's; a card that is described by hand has no share."""
    l4 = tf.find_device("l4")
    asked = {"prompt": 4096, "profile": "vllm"}
    own = tf.estimate("llama-3-8b", replace(l4, name="My L4"), **asked)
    held = tf.estimate("llama-3-8b", l4, **asked)
    assert own.first_token.bound_s == held.first_token.bound_s
    assert held.first_token.expected_s > 1.5 * own.first_token.expected_s
    assert "products in bf16 reach 0.55" in held.provenance
    assert "products in bf16 reach 0.55" in tf.estimate("llama-3-8b", l4).provenance
    assert "products in bf16" not in tf.estimate("llama-3-8b", "a10").provenance


@pytest.mark.parametrize(("name", "dtype"), [("l4", "bf16"), ("a10", "fp32"), ("rtx 4090", "fp32")])
def test_an_efficiency_of_ones_own_is_that_of_the_data_sheet(name, dtype):
    """The same on a card that nothing is known of."""
    device, asked = tf.find_device(name), {"prompt": 4096, "generate": 1, "dtype": dtype}
    own = custom_profile(0.5, 0.0)
    held, plain = (
        tf.estimate("llama-3-8b", each, profile=own, **asked).first_token.expected_s
        for each in (device, replace(device, name="My card"))
    )
    assert held == pytest.approx(plain)


@pytest.mark.parametrize(
    ("profile", "padded"), [(None, False), ("transformers", False), ("llama.cpp", True)]
)
def test_one_row_fills_no_tile_on_a_processor(profile, padded):
    """numpy and PyTorch multiply it by a matrix as a vector; llama.cpp's rows are its own."""
    found = find_profile(profile)
    fp32 = choose_precision("fp32")
    assert (found.efficiency(tf.find_device("epyc 7742"), fp32).m_half > 0) is padded
    assert found.efficiency(tf.find_device("rtx 5070"), fp32).m_half > 0
