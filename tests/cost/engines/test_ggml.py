"""llama.cpp's kernels by device: tiles of experts, attention, recurrences, two backends."""

from __future__ import annotations

import re
from math import hypot, log

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.catalogue.seen import EXTRA
from thermoflop.cost.engines.engine import attention_peak_of, find_engine, peak_of, with_tiles
from thermoflop.cost.engines.generation import renewed
from thermoflop.cost.engines.overheads import apply_engine, apply_engine_to
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.roofline.rates import rates_of
from thermoflop.cost.why.operator import why_operator
from thermoflop.cost.why.steps import parts_shown
from thermoflop.cost.why.table import why_text
from thermoflop.cost.work.mixed import merged
from thermoflop.cost.work.work import Work
from thermoflop.model.operators.kinds import MatMul, Scan

TODAY = find_profile("llama.cpp").engine
PLAIN = choose_precision("q4_k_m")
# Qwen3 30B: 8 of 128 experts.
HELD, CHOSEN = 128.0, 8 / 128


def experts(tokens: float, met: float = HELD) -> Work:
    """A product of experts in which a row costs one FLOP, for so many tokens."""
    operator = MatMul("up", "layers", "experts", 1, 8 * tokens, 2, 3, sets=met)
    return Work("expert up", "layers", "experts", "contraction", 1, 8.0 * tokens, met, 1.0, 0.0,
                0.0, element_bytes=0.5, operator=operator)  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "widths"), [("llama.cpp", (512 + 64) + 512), ("vllm", (128 + 64) + 128)]
)
def test_a_latent_is_one_key_of_all_heads_in_prompts_too(profile: str, widths: int) -> None:
    """DeepSeek-V2-Lite: 27 layers of 16 heads; two FLOPs a product of each pair."""
    layers, heads, tokens, cached = 27, 16, 512, 32_768
    found = tf.estimate(
        "deepseek-v2-lite", "h100", prompt=tokens + cached, prefix=cached, generate=1,
        profile=profile,
    )  # fmt: skip
    (part,) = parts_shown(found).values()
    attended = sum(w.times * w.flops for w in part.works if w.name.startswith("attention"))
    pairs = tokens * cached + tokens * (tokens + 1) / 2
    assert attended == pytest.approx(layers * 2 * heads * widths * pairs)
    assert ("absorbed in the prompt" in found.conventions["mla"]) is (profile == "llama.cpp")


@pytest.mark.parametrize(
    ("device", "tokens", "rows"),
    [
        # 512 tokens are 32 rows an expert, 2,048 are 128: of the last tile half is empty
        ("rtx 4090", 512, 128), ("rtx 4090", 2048, 1.5 * 128), ("mi300x", 512, 128),
        # a tile as wide as all 64 tokens, and what unpacking its weights costs: 25 rows
        ("rtx 4090", 64, (64 + 25) * 128 / (128 + 25)),
        # of Vulkan and of Metal
        ("ryzen ai max+ 395", 512, 64), ("m4 max 40c", 512, 1.5 * 32), ("m4 max 40c", 256, 32),
        # 32 rows in tiles of 32, and no tile of fewer than 8: 64 tokens are 4 rows an expert
        ("rx 7900 xtx", 512, 1.5 * (32 + 25) * 128 / (128 + 25)),
        ("r9700", 64, (8 + 25) * 128 / (128 + 25)), ("radeon pro w7800", 2048, 1.5 * 128),
    ],
)  # fmt: skip
def test_each_expert_fills_tiles_of_its_own(device: str, tokens: int, rows: float) -> None:
    engine = with_tiles(TODAY, find_device(device))
    (made,) = apply_engine([experts(tokens)], engine, PLAIN, HELD, 1, CHOSEN)
    assert made.padding_flops == pytest.approx(HELD * (rows - tokens / 16))
    assert (made.flops, made.row_flops) == (8.0 * tokens, 0.0)


@pytest.mark.parametrize("tokens", [1, 8])
def test_few_tokens_run_by_kernels_for_vectors_without_tiles(tokens: int) -> None:
    engine = with_tiles(TODAY, find_device("rtx 4090"))
    met = min(8.0 * tokens, HELD)
    (made,) = apply_engine([experts(tokens, met)], engine, PLAIN, HELD, 1, CHOSEN)
    assert made.padding_flops == 0.0
    assert made.row_flops == pytest.approx(8.0 * tokens / 9)
    batches = np.array([4.0, 512.0])
    many = replace(experts(1), flops=8.0 * batches)
    (made,) = apply_engine([many], engine, PLAIN, HELD, 1, CHOSEN)
    assert list(made.padding_flops) == pytest.approx([0.0, HELD * (128 - 32)])


def test_dense_products_and_other_engines_fill_no_tiles_of_experts() -> None:
    for name in ("vllm", "sglang@0.4", "exllama", "transformers"):
        engine = with_tiles(find_profile(name).engine, find_device("rtx 4090"))
        made = apply_engine([experts(512)], engine, choose_precision("bf16"), HELD, 1, CHOSEN)
        assert [each.padding_flops for each in made] == [0.0] * len(made), name
    dense = replace(experts(512), group="mlp", name="up_proj")
    engine = with_tiles(TODAY, find_device("rtx 4090"))
    (made,) = apply_engine([dense], engine, PLAIN, HELD, 1, CHOSEN)
    assert made.padding_flops == 0.0


def test_a_step_that_decodes_and_reads_a_chunk_fills_the_tiles_of_the_chunk() -> None:
    engine = with_tiles(TODAY, find_device("rtx 4090"))
    decode, chunk = (
        apply_engine([experts(tokens)], engine, PLAIN, HELD, 1, CHOSEN) for tokens in (4, 512)
    )
    (both,) = merged(decode, chunk)
    assert both.padding_flops == chunk[0].padding_flops


@pytest.mark.parametrize(
    ("before_s", "now_s", "tokens"),
    # pull 24546: Qwen3 30B in Q4_K_M on a W7800 by tiles of all tokens, and of an expert's
    [(512 / 2254.6, 512 / 3185.7, 512), (2048 / 3336.2, 2048 / 3334.8, 2048)],
)
def test_narrower_tiles_save_what_was_measured_on_a_w7800(before_s, now_s, tokens) -> None:
    found = tf.estimate("qwen3-30b-a3b", "radeon pro w7800", dtype="q4_k_m", profile="llama.cpp",
                        prompt=tokens, generate=1, chunk=2048)  # fmt: skip
    assert found.first_token.expected_s == pytest.approx(now_s, rel=0.15)
    setting = found.setting
    setting.engine = replace(setting.engine, fits=False)
    (step,) = [each for _, each in setting.prompt_steps(tokens, 1)]
    assert setting.step_s(step) == pytest.approx(before_s, rel=0.15)


@pytest.mark.parametrize(
    ("device", "flops_s"),
    [
        ("rx 7900 xtx", 0.73 * 122.8e12), ("radeon pro w7800", 0.73 * 90.5e12),
        ("ryzen ai max+ 395", 59.39e12 / 2), ("rx 9060 xt 16gb", 205.1e12 / 2),
        ("mi250", 362.1e12 / 2), ("rtx 4090", 330.3e12),
    ],
)  # fmt: skip
def test_products_of_narrow_weights_have_amds_units_in_part(device: str, flops_s: float) -> None:
    assert peak_of(TODAY, find_device(device), "fp16", narrow=True) == pytest.approx(flops_s, 0.01)


@pytest.mark.parametrize(
    ("device", "longer_s", "flop"),
    [
        # 512 tokens of an 8B at 32,768 beside at 4,096 (pull 28102): 28,672 keys more for each
        ("rx 9060 xt 16gb", 512 / 783.05 - 512 / 2019.5, 32 * 4 * 4096 * 512 * 28672),
        # 65,536 tokens of Qwen3 30B beside twice 32,768 (pull 24546): half of all pairs more
        ("radeon pro w7800", 65536 / 682.82 - 65536 / 1118.48, 48 * 4 * 4096 * 65536**2 / 4),
        # Qwen3.6 35B on Strix Halo at 65,536 beside at 32,768 (pull 26419), 10 layers of 16 x 256
        ("ryzen ai max+ 395", 512 / 390.27 - 512 / 576.22, 10 * 4 * 4096 * 512 * 32768),
        # an 8B on an RTX 3090 at 32,768 (pull 17505) by 512 at once, but 110 ms of its products
        ("rtx 3090", 512 / 1448 - 0.110, 32 * 4 * 4096 * 512 * 33024),
    ],
)  # fmt: skip
def test_attention_of_long_prompts_takes_as_long_as_was_measured(device, longer_s, flop) -> None:
    found, precision = find_device(device), choose_precision("q4_0")
    profile = find_profile("llama.cpp")
    rates = rates_of(found, precision, profile.efficiency(found, precision), profile.engine)
    attention = Work("attention", "layers", "attn_score", "attention", 1, flop, 0.0, 0, 0, 0)
    assert rates.compute_s(attention) == pytest.approx(longer_s, rel=0.25)


def test_attention_before_it_was_one_kernel_has_the_whole_peak() -> None:
    before, device = renewed(find_engine("llama.cpp"), "llama.cpp (2024-05)"), find_device("r9700")
    assert attention_peak_of(before, device, "fp16") == 191.4e12
    assert attention_peak_of(TODAY, device, "fp16") == pytest.approx(0.72 * 191.4e12)


@pytest.mark.parametrize(
    ("device", "token_s"),
    # pull 22587; AMD-Ecosystem's pull 54: 2,048 tokens through 30 layers
    [("rtx 5090", (279.6e-6 - 28.3e-6) / 511), ("ryzen ai max+ 395", 0.2209 / 30 / 2048)],
)
def test_a_delta_rule_reads_its_state_token_after_token(device: str, token_s: float) -> None:
    """32 heads, whose states of 128 x 128 a token reads twice."""
    found, profile = find_device(device), find_profile("llama.cpp")
    rates = rates_of(found, PLAIN, profile.efficiency(found, PLAIN), profile.engine)
    scan = Work("scan", "layers", "linear_attn_scan", "scan", 1, 2 * 2 * 32 * 128 * 128, 0, 0, 0, 0)
    assert rates.compute_s(scan) == pytest.approx(token_s, rel=0.1)
    other = rates_of(found, PLAIN, profile.efficiency(found, PLAIN), find_engine("vllm"))
    assert other.scan_flops_s == other.attention_flops_s
    unknown = replace(DEVICE, peaks={"fp16": 80.0})
    lacking = rates_of(unknown, PLAIN, profile.efficiency(found, PLAIN), profile.engine)
    assert lacking.scan_flops_s * profile.efficiency(found, PLAIN).attention == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("group", "passes", "kernels"),
    # gathered and read, written and written; both gathers, join, copy, two norms, four of the gates
    [("linear_attn_scan", 4, 11), ("ssm_scan", 2, 1)],
)
def test_states_are_in_32_bits_and_those_of_a_delta_rule_are_gathered(group, passes, kernels):
    operator = Scan("scan", "layers", group, 1, 1, 2, 64, 3, 64, 3)
    scan = Work("scan", "layers", group, "scan", 1, 1.0, 0.0, 0.0, 5.0, 6.0, operator=operator)
    (made,) = apply_engine([scan], TODAY, PLAIN)
    assert (made.kv_bytes, made.launches) == (3 * 64 * 4 * passes, kernels)
    assert apply_engine_to(scan, TODAY, written=False) == made
    (other,) = apply_engine([scan], find_profile("vllm").engine, choose_precision("bf16"))
    assert (other.kv_bytes, other.launches) == (5.0, 1)


def test_one_figure_for_rocm_and_vulkan_widens_the_interval_and_says_so() -> None:
    """167 to 177 tokens/s by Vulkan and 129 to 144 by ROCm: 1.26 apart, 0.12 from the middle."""
    profile = find_profile("llama.cpp")
    assert EXTRA["backend"] == pytest.approx(log(172 / 136.5) / 2, abs=0.01)
    for name, both in (("rx 7900 xtx", True), ("ryzen ai max+ 395", True), ("rtx 4090", False),
                       ("m4", False), ("epyc 9654", False)):  # fmt: skip
        device = find_device(name)
        assert ("backend" in profile.unseen(device)) is both, name
        assert ("ROCm and Vulkan" in profile.provenance(device, PLAIN)) is both, name
    assert "backend" not in find_profile("vllm").unseen(find_device("mi300x"))


def test_why_fills_in_the_rows_that_tiles_add_and_says_what_they_hold() -> None:
    found = tf.estimate("qwen3-next-80b-a3b", "rx 7900 xtx", dtype="q4_k_m", profile="llama.cpp",
                        prompt=512, generate=8)  # fmt: skip
    part = next(each for each in parts_shown(found).values() if each.phase != "decode")
    index = next(at for at, work in enumerate(part.works) if work.name == "expert up")
    lines = why_operator(found.setting, part, index).formula
    (filled,) = [line for line in lines if line.startswith("  = (") and "FLOP/s" in line]
    units = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    flop, padding, peak = (
        float(value) * units[unit] for value, unit in re.findall(r"([\d.]+) (\w?)FLOP", filled)
    )
    share = float(re.findall(r"x ([\d.]+)\)", filled)[0])
    work = part.works[index]
    assert padding == pytest.approx(float(work.padding_flops), rel=0.02)
    took_s = float(found.setting.rates.compute_s(work))
    assert (flop + padding) / (peak * share) == pytest.approx(took_s, rel=0.03)
    text = why_text(found)
    assert "rows of an expert in tiles of their mean number, up to 128" in text
    assert "2.46 TFLOP/s in scans, token after token" in text  # 0.04 x 61.4


@pytest.mark.parametrize(
    ("device", "name", "said"),
    [("epyc 9654", "processor", "none of them on a processor"),
     ("arc a770", "runtime", "none of them on a GPU of its maker's"),
     ("mine", "maker unstated", "its vendor is not stated"), ("rtx 5070", "", "")],
)  # fmt: skip
def test_llama_cpp_where_no_row_of_a_maker_is_has_a_wider_interval(device, name, said):
    mine = replace(find_device("rtx 5070"), name="Mine", vendor="")
    asked = replace(mine if device == "mine" else find_device(device), confidence="read")
    profile = find_profile("llama.cpp")
    assert {name} - {""} == {*profile.unseen(asked)} & {"processor", "runtime", "maker unstated"}
    spread = profile.interval("token", asked)
    plain = replace(asked, vendor="NVIDIA")
    extra = 1.2815515655446004 * EXTRA[name] if name else 0.0
    assert log(spread.high) == pytest.approx(
        hypot(log(profile.interval("token", plain).high), extra)
    )
    assert said in profile.provenance(asked, choose_precision("q4_k_m"))
