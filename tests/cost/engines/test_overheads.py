"""What engines send and copy besides what a model asks for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.overheads import apply_engine, apply_engine_to, as_sent
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.roofline.formula import TERMS, Efficiency
from thermoflop.cost.roofline.rates import rates_of
from thermoflop.cost.work.network import network_work
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.work import Work, launches_of
from thermoflop.model.load import load_model
from thermoflop.model.operators.step import Step


@pytest.mark.parametrize(("dtype", "bytes_sent"), [("bf16", 4.0), ("fp8", 3 + 4 / 128), ("awq", 4)])
def test_tokens_go_to_experts_in_8_bits_where_those_multiply_so_and_come_back_in_16(
    dtype, bytes_sent
):
    """Of 2 + 2 bytes an element, there and back; other collectives stay as they are."""
    works = [network_work("all-to-all", 2, 1200.0, 3.0, 800.0), network_work("all-reduce", 1, 9.0)]
    sent, reduced = as_sent(works, choose_precision(dtype))
    assert sent.activation_bytes == pytest.approx(1200 * bytes_sent / 4)
    assert sent.far_bytes == pytest.approx(800 * bytes_sent / 4)
    assert reduced == works[1]


def product(name, group, element_bytes, sets=1.0, weight_bytes=8.0):
    operator = SimpleNamespace(sets=sets)
    numbers = 1.0, 1.0, weight_bytes, 0.0, 0.0
    return Work(name, "layers", group, "contraction", 1.0, *numbers, operator=operator,
                element_bytes=element_bytes)  # fmt: skip


LAYER = (
    ("q_a_proj", "attn_proj"), ("kv_a_proj", "attn_proj"), ("absorb keys", "attn_proj"),
    ("o_proj", "attn_proj"), ("router", "router"), ("expert up", "experts"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "dtype", "layer", "kernels", "dispatched"),
    [
        # both latents at once, and a kernel that narrows before q_a, o and the experts
        ("sglang", "fp8", LAYER, 5 + 3, 5),
        ("vllm", "nvfp4", LAYER, 5, 5),  # kernels of experts narrow themselves
        ("vllm", "bf16", LAYER, 5, 5),
        ("tensorrt-llm", "nvfp4", LAYER[3:5], 2 + 1, 2),
        ("vllm", "fp8", LAYER[3:5], 2, 2),  # one scale a matrix: the kernel before narrows
        ("vllm@0.11", "fp8", LAYER, 6, 6),  # fitted without
    ],
)
def test_inputs_of_narrow_products_are_narrowed_by_a_kernel_that_the_host_does_not_dispatch(
    engine, dtype, layer, kernels, dispatched
):
    precision = choose_precision(dtype)
    works = [product(*each, precision.weight_bytes) for each in layer]
    works = apply_engine(works, find_profile(engine).engine, precision)
    assert sum(work.launches for work in works) == kernels
    assert launches_of(works) == dispatched


@pytest.mark.parametrize(
    ("dtype", "kernels", "waits"),
    [
        ("fp8", [3, 1], True),
        ("int8", [3, 1], True),
        ("bf16", [1, 1], False),
        ("awq", [1, 1], False),
    ],
)
def test_transformers_waits_for_products_in_8_bits_which_are_three_kernels(dtype, kernels, waits):
    """One narrows the inputs, one multiplies, one replaces what is no number; a head stays wide."""
    precision = choose_precision(dtype)
    works = [
        product("q_proj", "attn_proj", precision.weight_bytes),
        replace(product("lm_head", "head", precision.weight_bytes), part="head"),
    ]
    engine = find_profile("transformers").engine
    assert [work.launches for work in apply_engine(works, engine, precision)] == kernels
    assert rates_of(find_device("h20"), precision, Efficiency(), engine).waits == waits


def test_a_matrix_that_its_checkpoint_leaves_wide_has_no_kernel_before_it():
    """Of two products of experts in fp8, one is kept in 16 bits."""
    works = [product("expert up", "experts", width) for width in (1.0, 2.0)]
    found = apply_engine(works, find_profile("sglang").engine, choose_precision("fp8"))
    assert [work.launches for work in found] == [2, 1]


@pytest.mark.parametrize(
    ("sets", "ep", "most"),
    [
        (32.0, 2, 32 + 0.564 * 4),  # of 64: 32 (1 - 32/64) = 16 is the variance
        (32.0, 8, 32 + 1.424 * 4),
        (32.0, 6, 32 + 4 * (1.029 + 0.585 * (1.424 - 1.029))),  # log2 6 = 2.585
        (63.99, 8, 64.0),  # no more than there are
        (32.0, 1, 32.0),
    ],
)
def test_devices_wait_for_the_one_whose_experts_are_chosen_most(sets, ep, most):
    """Weights that it reads: of 64 experts ``sets`` are chosen on average, a byte each."""
    works = [product("expert up", "experts", 2.0, sets, sets)]
    engine = find_profile("vllm").engine
    (read,) = apply_engine(works, engine, choose_precision("bf16"), 64.0, ep)
    assert read.weight_bytes == pytest.approx(most, rel=1e-3)


@pytest.mark.parametrize(
    ("tokens", "met"),
    [
        (1, 8.0),  # whatever is popular, a token meets as many as it chooses
        (33, 64 * (1 - 7 / 8 / (1 + 32 * 0.133531))),  # ln 8/7: e^-x of even ones is 1/(1 + x)
        (1000, 64 * (1 - 7 / 8 / (1 + 999 * 0.133531))),
    ],
)
def test_fewer_experts_are_met_where_some_are_chosen_more_than_others(tokens, met):
    """Each of 64 experts is chosen by an eighth of the tokens on average, by shares that have an
    exponential distribution; padding is that of the experts that are met."""
    even = 64 * (1 - (7 / 8) ** tokens)
    # of 8 experts a token, spread over those that are met; a FLOP for each row of each of them
    sizes = {"flops": 8.0 * tokens, "row_flops": even}
    works = [replace(product("expert up", "experts", 2.0, even, even), **sizes)]
    engine, plain = find_profile("vllm").engine, choose_precision("bf16")
    (one,) = apply_engine(works, engine, plain, 64.0, 1, 1 / 8)
    assert one.weight_bytes == pytest.approx(met, rel=1e-5)
    assert one.row_flops == pytest.approx(works[0].row_flops * met / even, rel=1e-5)
    several = replace(works[0], flops=np.array([sizes["flops"]]))
    (many,) = apply_engine([several], engine, plain, 64.0, 1, 1 / 8)
    assert many.weight_bytes.tolist() == [pytest.approx(met, rel=1e-5)]
    assert apply_engine(works, find_profile("vllm@0.11").engine, plain, 64.0, 1, 1 / 8) == works


@pytest.mark.parametrize(
    ("compute", "element_bytes", "rated"),
    [("nvfp4", 2.0, "wide"), ("fp8", 2.0, "wide"), ("nvfp4", 0.5625, "contraction"),
     ("bf16", 2.0, "contraction")],
)  # fmt: skip
def test_a_matrix_left_in_16_bits_is_multiplied_at_the_peak_of_16_bits(
    compute, element_bytes, rated
):
    work = replace(product("o_proj", "attn_proj", element_bytes), element_bytes=element_bytes)
    (run,) = apply_engine([work], find_profile("vllm").engine, choose_precision(compute))
    assert run.rated == rated
    sheet = SimpleNamespace(peak_flops_s=100.0, attention_flops_s=20.0, wide_flops_s=25.0)
    seconds = [term.at_data_sheet(run, sheet) for term in TERMS if term.parameter == "matmul"]
    assert sum(seconds) == pytest.approx(work.flops / (25.0 if rated == "wide" else 100.0))


@pytest.mark.parametrize(
    ("engine", "kind", "sharing", "rows"),
    [
        ("sglang@0.4", "attention", 1.0, 0.0),
        ("sglang@0.4", "attention", 3.0, 0.0),
        ("sglang@0.4", "attention", 4.0, 3.0),  # from four heads of a key on: one tile
        ("sglang@0.4", "attention", 128.0, 3.0),
        ("sglang@0.4", "scan", 1.0, 3.0),
        ("sglang", "attention", 1.0, 3.0),
        ("vllm@0.11", "attention", 2.0, 3.0),
        ("vllm@0.11", "attention", 5.0, 3.0),
        ("tensorrt-llm@0.17", "attention", 2.0, 3.0),
    ],
)
def test_heads_of_a_key_are_padded_to_one_tile_and_few_are_not_on_cuda_cores(
    engine, kind, sharing, rows
):
    work = Work(
        "attention", "layers", "attn_score", kind, 1, 9.0, 3.0, 0, 1.0, 1.0, sharing=sharing
    )
    habits = find_profile(engine).engine
    (run,) = apply_engine([work], habits, choose_precision("bf16"))
    assert run.row_flops == rows


@pytest.mark.parametrize(
    ("engine", "group", "kind", "bytes_moved"),
    [
        # 32 bits for 16; a score: 4 written, 4 read, 4 written, 4 read, 2 written and read for 8
        ("llama.cpp", "mlp", "contraction", 16.0), ("llama.cpp", "attn_score", "attention", 20.0),
        ("llama.cpp", "network", "network", 8.0), ("exllama", "attn_score", "attention", 8.0),
    ],
)  # fmt: skip
def test_an_engine_that_fuses_nothing_keeps_its_results_in_32_bits(
    engine, group, kind, bytes_moved
):
    work = Work("w", "layers", group, kind, 1, 9.0, 3.0, 0, 0.0, 8.0)
    habits = find_profile(engine).engine
    (run,) = apply_engine([work], habits, choose_precision("fp16"))
    assert run.activation_bytes == bytes_moved
    assert apply_engine_to(work, habits, written=False).activation_bytes == bytes_moved


@pytest.mark.parametrize(("sharing", "kind", "passes"), [
    # read, written anew and read; with 4 queries a key head read, 4 times written, 4 times read
    (1, "attention", 3.0), (4, "attention", 3.0 + 2 * 4), (4, "contraction", 1.0),
])  # fmt: skip
def test_a_cache_that_grows_by_copies_is_read_and_written_anew(sharing, kind, passes):
    work = Work("w", "layers", "attn_score", kind, 1, 9.0, 3.0, 0, 5.0, 1.0, sharing=sharing)
    habits = find_profile("transformers").engine
    (run,) = apply_engine([work], habits, choose_precision("bf16"))
    assert run.kv_bytes == passes * 5.0


@pytest.mark.parametrize("engine", ["autoawq", "tinychat"])
@pytest.mark.parametrize(("sharing", "kind", "times"), [(1, "attention", 1), (8, "attention", 8),
                                                        (8, "contraction", 1)])  # fmt: skip
def test_a_block_for_each_query_head_reads_the_keys_that_several_share_as_often(
    engine, sharing, kind, times
):
    work = Work("w", "layers", "g", kind, 1.0, 1.0, 1.0, 0.0, 5.0, 0.0, sharing=sharing)
    (run,) = apply_engine([work], find_profile(engine).engine, choose_precision("awq"))
    assert run.kv_bytes == times * 5.0


def test_weights_that_are_written_out_stream_as_weights_do():
    """Of 64 rows 4 elements of half a byte are read and 16 bits of each written, then read."""
    work = Work("q_proj", "layers", "attn_proj", "contraction", 1, 64.0, 1.0, 2.0, 0.0, 0.0,
                element_bytes=0.5)  # fmt: skip
    written, product = apply_engine([work], find_profile("exllama").engine, choose_precision("awq"))
    assert (written.weight_bytes, written.activation_bytes) == (4 * 2.5, 0.0)
    assert product.weight_bytes == 4 * 2.0


@pytest.mark.parametrize(("kind", "weight_bytes"), [("attention", 2.0), ("contraction", 8.0)])
def test_of_what_was_written_out_before_products_read_16_bits_and_a_copied_cache_stays(
    kind, weight_bytes
):
    """2 bytes at half a byte an element are 4 elements, of 2 bytes each once they are written."""
    work = Work("w", "layers", "attn_score", kind, 1, 9.0, 3.0, 2.0, 5.0, 1.0, element_bytes=0.5)
    habits = find_profile("transformers").engine
    assert apply_engine_to(work, habits, written=True).weight_bytes == weight_bytes


@pytest.mark.parametrize(
    ("engine", "stages", "share"),
    [
        ("llama.cpp", 8, (4 + 1) / (4 * 2)),  # 2 chunks are in flight, whatever stages there are
        ("llama.cpp", 2, (4 + 1) / (4 * 2)),
        ("llama.cpp", 1, 1.0),
        ("vllm", 8, 1.0),  # a prompt at once
    ],
)
def test_chunks_of_a_prompt_that_are_in_flight_over_stages(engine, stages, share):
    """Of 4 whole chunks of 512 tokens, each over ``stages`` of a model of 32 layers."""
    setting = Setting(
        load_model("llama-2-7b"), find_device("h100"), Layout(pp=stages), choose_precision("fp16"),
        find_profile(engine),
    )  # fmt: skip
    ((weight, step),) = setting.prompt_steps(2048, 1)
    assert weight * step.new == pytest.approx(2048 * share)


@pytest.mark.parametrize(("dtype", "products"), [("fp32", 8), ("tf32", 8), ("fp16", 6)])
def test_an_encoder_of_fastertransformer_has_one_kernel_for_attention_in_16_bits_alone(
    dtype, products
):
    """docs/bert_guide.md: 8 or 6 products in a layer, where TensorRT's kernel is for attention."""
    profile = find_profile("fastertransformer 5.x pytorch op")
    bert, device = load_model("bert-base"), find_device("a100")
    setting = Setting(bert, device, Layout(), choose_precision(dtype), profile)
    ((_, step),) = setting.prompt_steps(384, 8)
    layer = [work for work in setting.works(step) if work.times == 12]
    assert sum(work.kind == "contraction" for work in layer) == 6
    attention = [work.name for work in layer if work.kind == "attention"]
    assert attention == (["scores", "values"] if products == 8 else ["attention"])
    assert all(work.launches == 1 for work in layer)


@pytest.mark.parametrize(("new", "apart"), [(1, False), (2, True), (512, True)])
def test_prompts_of_fastertransformer_have_scores_in_memory_and_single_queries_do_not(new, apart):
    """docs/gpt_guide.md: cuBLAS for the attention of a context, one kernel for a single query. A
    layer of GPT-2 has 12 heads: of each pair a score of 2 bytes is written by one product, read and
    written by the softmax and read by the other, besides 768 numbers in and out for each token."""
    setting = Setting(
        load_model("gpt2"), find_device("a100"), Layout(), choose_precision("fp16"),
        find_profile("fastertransformer"),
    )  # fmt: skip
    works = {work.name: work for work in setting.works(Step(4, new, 0 if apart else 511))}
    kernels = ("scores", "softmax", "values") if apart else ("attention",)
    parts = ("attention", "scores", "softmax", "values")
    assert [name for name in works if name in parts] == list(kernels)
    if apart:
        moved = [works[name].activation_bytes for name in kernels]
        assert sum(moved) == 4 * (2 * 12 * 4 * new**2) + 2 * (2 * 4 * new * 768)


@pytest.mark.parametrize(
    ("name", "profile", "tp", "steps"),
    [
        ("RTX PRO 6000 Blackwell Server", "vllm", 4, 3),  # r - 1 hops of NCCL's ring
        ("RTX PRO 6000 Blackwell Server", "sglang", 8, 7),
        ("RTX PRO 6000 Blackwell Server", "vllm", 2, 1),  # the engine's own, from card to card
        ("RTX 3090", "vllm", 4, 3),  # whose bridge joins two
        ("h100", "vllm", 8, 3),  # log2 of 8
        ("RTX PRO 6000 Blackwell Server", "vllm@0.11", 4, 2),  # as its rows were fitted
        # vLLM's own is for CDNA 3 and 4 among AMD's (use_custom_allreduce, platforms/rocm.py)
        ("Radeon AI PRO R9700", "vllm", 4, 3),
        ("MI300X", "vllm", 8, 3),
    ],
)
def test_more_than_two_cards_without_links_sum_over_a_ring(name, profile, tp, steps):
    model = load_model("llama-3-70b")
    setting = Setting(
        model, find_device(name), Layout(tp), choose_precision("bf16"), find_profile(profile)
    )
    works = setting.works(Step(1, 1, 100))
    (sums,) = (work for work in works if work.kind == "network")
    assert (sums.name, sums.collective_steps) == ("all-reduce", steps)
