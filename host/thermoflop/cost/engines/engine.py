"""Engines: what a published label belongs to, and the habits of each that change the work.

Rates are fitted for an engine; the label (a version, a kernel) may move them a little.
"""

from __future__ import annotations

from functools import lru_cache

from thermoflop.base.number import kind_of
from thermoflop.base.record import record, replace
from thermoflop.cost.engines.ggml import attention_share, products_share, tile_of
from thermoflop.cost.hardware.sustained import held_share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.cost.hardware.device import Device


@record
class Engine:
    """``splits`` is its default parallelism: ``heads`` (tensor) or ``layers`` (pipeline).

    ``chunk`` prompt tokens are read at once (None: all of them). ``half_accumulate``: products of
    half-precision numbers are summed in half precision where the device is faster at that.
    ``kernels``: ``fused``, ``eager`` (every operator alone, all pairs of the mask computed), or
    ``attention`` (eager but for one attention kernel); ``wide_kernels`` in formats of 32 bits, and
    ``prompt_kernels`` in steps of several tokens a sequence, where those differ.
    ``unfused``: every operator is a kernel that writes its result to memory, scores among them, in
    32 bits. ``in_flight``: chunks of a prompt that pipeline stages work on at once (None: all).
    ``graphs``: a decode step is one launch of a recorded graph, so that the host does not slow it.
    ``host``: what launching an operator costs the host, in launches from compiled code.
    ``waits``: the family of formats after whose products the host waits for the device, so that
    neither hides behind the other.
    ``merges``: one product for queries, keys and values, one for gate and up; the activation is a
    kernel, and experts are chosen by a chain of small ones.
    ``regrows``: the cache is copied at each step, and repeated for every query head.
    ``by_head``: every query head reads its keys and values by itself, those that it shares too.
    ``dequantizes``: from this many rows on narrow weights are first written out in 16 bits.
    ``bytewise``: narrow weights are multiplied as they are, by inputs narrowed to 8 bits.
    ``vectors``: up to this many rows a product runs by kernels for a matrix and vectors, padded row
    by row, not to a tile.
    ``reads``: how a full server reads prompts: in ``chunks`` that join the steps of those who
    decode, of at most ``budget`` tokens together, or in ``passes`` of their own between them.
    ``narrows``: it is of a generation of today, of which more is known: where products are narrow,
    their inputs are narrowed by kernels beside them, both halves of a latent are one product, some
    experts are chosen more than others, all devices wait for that whose experts are chosen most,
    and attention takes turns with its exponentials. Older generations do without.
    ``tiled``: attention pads the query heads of a key to one tile of tensor cores where there are
    as many; fewer are multiplied one by one.
    ``short_whole``: prompts of no more tokens than an indexer chooses are read without it, and
    ``one_core``: it decodes chosen keys on Hopper by a kernel that gives a sequence one core
    (``engines.chosen``). ``chosen_in_8``: on Blackwell it keeps such keys, and reads prompts, in 8
    bits. ``triton_sinks``: attention with sinks is Triton's where no faster kernel
    knows them (``engines.sinks``).
    ``absorbs``: latent attention is absorbed in prompts as in decode steps.
    ``lazy``: of a prompt it computes what its cache is made of, and all layers for the last token.
    ``eager_chunks``: a step that carries a chunk is launched kernel by kernel, though those that
    only decode are graphs.
    ``mirrors``: a draft model reads all tokens of a check before it drafts (``process`` of
    llama.cpp's common/speculative.cpp "mirrors whole target batches"; others read what was accepted
    with the first drafted token). ``ggml``: its kernels are ggml's (``engines.ggml``); ``tile``:
    the rows that those of each expert are padded to, and ``fits``: to no more than an expert gets
    on average.
    ``vendors``: whose devices it has kernels for (empty: any), ``without`` those of them whose
    names begin so, ``capability``: the least compute capability of NVIDIA's (0.0: any), and
    ``plugins`` whose work it is on those of others; ``lacks``: degrees of parallelism, and kinds
    of weights, that it has none of (``engines.abilities``), and ``alone`` the one kind of files
    that it reads. ``serves``: whether the command that starts it as a server is known.
    """

    name: str
    prefixes: tuple[str, ...]
    splits: str = "layers"
    chunk: int | None = None
    half_accumulate: bool = False
    kernels: str = "fused"
    wide_kernels: str = ""
    prompt_kernels: str = ""
    unfused: bool = False
    graphs: bool = False
    host: float = 1.0
    waits: str = ""
    merges: bool = False
    regrows: bool = False
    by_head: bool = False
    dequantizes: int | None = None
    bytewise: bool = False
    vectors: int | None = None
    reads: str = "passes"
    budget: int = 8192
    absorbs: bool = False
    lazy: bool = False
    eager_chunks: bool = False
    narrows: bool = False
    short_whole: bool = False
    one_core: bool = False
    chosen_in_8: bool = False
    triton_sinks: bool = False
    tiled: int = 1
    in_flight: int | None = None
    mirrors: bool = False
    ggml: bool = False
    tile: int = 0
    fits: bool = False
    vendors: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    capability: float = 0.0
    plugins: tuple[tuple[str, str], ...] = ()
    lacks: tuple[str, ...] = ()
    alone: str = ""
    serves: bool = False

    def kernels_in(self, family: str, new: Number = 1) -> str:
        """The ``kernels`` that a step of ``new`` tokens of each sequence is run with in a family of
        formats (``hardware.precision``)."""
        if self.prompt_kernels and not (kind_of(new) == "int" and new == 1):
            return self.prompt_kernels
        return self.wide_kernels or self.kernels if family in ("32", "tf32") else self.kernels


# An operator of a Python module dispatches several kernels through the interpreter: tens of
# microseconds against a few for a launch from compiled code.
PYTHON = 8.0
# FasterTransformer's encoder runs 6 products and 6 kernels of its own in a layer, and 8 where
# attention is not TensorRT's one kernel, which is of 16 and 8 bits (docs/bert_guide.md, 5.3). Its
# decoders have one kernel for attention of a single query, and cuBLAS for that of a prompt, whose
# scores go through memory ("so we use cuBLAS to leverage the tensor core", docs/gpt_guide.md;
# ``FMHA_ENABLE`` is off there unless it is set).
# transformers: DynamicCache is grown by torch.cat, keys and values pass repeat_kv before the scores
# are made (cache_utils.py and modeling_llama.py of 4.51), and in 8 bits the host waits for each
# product: FP8Linear synchronizes after it (finegrained_fp8.py), LLM.int8() asks which columns have
# outliers; llama.cpp: ggml runs one kernel for each
# node of its graph, and hands quantized products of many rows to cuBLAS in 16 bits, as ExLlama does
# from 8 rows on (ggml-cuda.cu of May 2024, q4_matmul.cu); over 4 A100 it reads 2, 8 and 16 chunks
# of a 70B's prompt 1.35, 1.74 and 1.82 times as fast as on one, where 2 in flight give 1.33, 1.78
# and 1.88 (llama-bench rows of May 2024; of 8B up to 2.9 times). TensorRT-LLM since 1.0 runs on
# PyTorch, with graphs of steps that only decode (tensorrt_llm/_torch/pyexecutor/
# cuda_graph_runner.py); first tokens of short prompts are as slow as its launches. Before, it was
# compiled (``OLDER``). DeepSpeed writes matrices of 8 bits out in 16 before each product, so that
# BLOOM takes twice as long in them (``quantized_gemm`` of its pt_binding.cpp). AutoAWQ and TinyChat
# decode with FasterTransformer's attention, a block for each query head (single_query_attention of
# llm-awq): 2,000 more tokens cost a layer of 7B to 34B 70 to 80 us on a 4090, whether 1 or 8 heads
# share a key. Below 8 rows the products of TinyChat (``gemv_forward_cuda_new`` of llm-awq's
# qmodule.py) and ExLlama (``q4_matmul_kernel``) are of a matrix and vectors, on no tensor core.
#
# Devices: docs/getting_started/installation of vLLM (0.8 to 0.32; TPU, Gaudi and Neuron by plugins
# of the makers, Apple's GPUs by vLLM-Metal), docs.sglang.io/docs/hardware-platforms (Apple's by
# MLX on one device), README of llama.cpp (CUDA, HIP, Metal, Vulkan, SYCL, ...: no TPU, no
# Trainium, no Gaudi); TensorRT-LLM and FasterTransformer are NVIDIA's alone, ExLlama runs on CUDA
# and ROCm. Of NVIDIA's vLLM asks for compute capability 7.0 (the same page), SGLang for 7.5
# ("SGLang only supports sm75 and above", model_runner.py), TensorRT-LLM for 8.0 (its support matrix
# starts with Ampere, nvidia.github.io/TensorRT-LLM/reference/support-matrix.html).
# llama.cpp attends to a latent as one key that all heads share, in prompts too ("MLA with the
# absorption optimization converts into MQA", src/models/deepseek2.cpp, since April 2025).
# llama.cpp reads GGUF files, and splits layers or rows, neither experts nor sequences. MLX-LM reads
# a prompt 2,048 tokens at a time (``prefill_step_size`` of mlx_lm/generate.py), attention is one
# kernel (``mx.fast.scaled_dot_product_attention``), products of up to some 12 rows run by kernels
# for vectors (6 to 32 by chip and size: ``get_qmv_batch_limit`` of MLX's metal/quantized.cpp), all
# but a prompt's last token is computed as far as the cache needs it (``mx.eval`` of its state
# alone), and the host builds a step while the device is at the one before (``mx.async_eval``).
_NVIDIA = ("NVIDIA",)
_NO_PYTORCH = ("bitsandbytes", "HQQ", "quanto", "eetq", "torchao", "MLX")
_SERVED = ("EXL2", "MLX")  # kinds that servers of PyTorch have no kernels of
ENGINES = (
    Engine("fastertransformer-encoder", ("fastertransformer 5.x tensorflow",
           "fastertransformer 5.x pytorch"), "heads", kernels="attention", wide_kernels="eager",
           vendors=_NVIDIA),
    Engine("fastertransformer", ("fastertransformer", "triton/fastertransformer"), "heads",
           prompt_kernels="eager", vendors=_NVIDIA),
    Engine("tensorrt-llm", ("tensorrt-llm", "tensorrt", "nvidia nim"), "heads", graphs=True,
           host=PYTHON, merges=True, reads="chunks", eager_chunks=True, narrows=True,
           vendors=_NVIDIA, capability=8.0, lacks=("GGUF", "EXL2", *_NO_PYTORCH), serves=True),
    Engine("vllm", ("vllm",), "heads", graphs=True, host=PYTHON,
           merges=True, reads="chunks", narrows=True, one_core=True, triton_sinks=True,
           lacks=_SERVED, serves=True, capability=7.0,
           vendors=("NVIDIA", "AMD", "Intel", "Google", "AWS", "CPU"),
           plugins=(("Apple", "vLLM-Metal"),)),
    Engine("sglang", ("sglang",), "heads", graphs=True, host=PYTHON,
           merges=True, narrows=True, short_whole=True, chosen_in_8=True,
           lacks=_SERVED, serves=True,
           vendors=("NVIDIA", "AMD", "Intel", "Google", "CPU"), capability=7.5,
           plugins=(("Apple", "its MLX backend"),)),
    Engine("transformers", ("transformers", "hf transformers", "huggingface", "hf accelerate",
           "accelerate", "autogptq"), host=PYTHON, waits="8", regrows=True, lacks=_SERVED),
    Engine("llama.cpp", ("llama.cpp", "ollama", "lm studio", "lmstudio", "lm-studio", "koboldcpp",
           "llamafile"), chunk=512, half_accumulate=True, unfused=True,
           dequantizes=32, vectors=8, in_flight=2, mirrors=True, ggml=True, absorbs=True,
           lacks=("ep", "cp"),
           serves=True, alone="GGUF", vendors=("NVIDIA", "AMD", "Apple", "Intel", "CPU"),
           without=("Gaudi",)),
    Engine("exllama", ("exllama",), half_accumulate=True, host=PYTHON,
           dequantizes=8, vectors=7, vendors=("NVIDIA", "AMD"),
           lacks=("ep", "cp", "fp8", "AWQ", "GGUF", "nvfp4", "mxfp4", "compressed-tensors",
                  *_NO_PYTORCH)),
    Engine("mlx", ("mlx",), chunk=2048, kernels="attention", vectors=12, lazy=True, alone="MLX",
           vendors=("Apple",), lacks=("ep", "cp")),
    Engine("autoawq", ("autoawq",), host=PYTHON, by_head=True),
    Engine("tinychat", ("tinychat",), half_accumulate=True, host=PYTHON, vectors=7, by_head=True),
    Engine("mlc", ("mlc",), "heads"),
    Engine("gpt-fast", ("gpt-fast",), "heads", graphs=True),
    Engine("deepspeed", ("deepspeed", "ds-"), "heads", host=PYTHON, dequantizes=1),
    Engine("litgpt", ("litgpt",), host=PYTHON),
    Engine("jax", ("jax", "pope"), "heads", graphs=True),
)  # fmt: skip
# What older generations did otherwise. FlashInfer decodes fewer than 4 heads of a key in 16 bits
# without tensor cores (``should_use_tensor_core`` of SGLang's flashinfer_backend.py): on an H20
# 16,384 tokens more cost a layer 2.2 times as much with 4 heads to each of 8 keys (Qwen3-4B) as
# with 2 (1.7B), and no more with 5 (14B). vLLM's FlashAttention 2 lays those of a key as rows of
# one tile (``seqlenq_ngroups_swapped`` of its flash_api.cpp).
OLDER: dict[str, dict[str, Any]] = {
    "tensorrt-llm": {"host": 1.0, "eager_chunks": False},
    "sglang": {"tiled": 4},
}
# What an engine without versions has done since a month. llama.cpp: tensor cores multiply quantized
# weights as they are (github.com/ggml-org/llama.cpp/pull/7676 and 7860, June 2024: an 8B in Q4_K_S
# reads 9,279 tokens/s on a 4090 by 512 at once and 3,358 by 32; as before it would be 7,114 and
# 824), and a decode step is one graph (pull/6766, May 2024); attention is one kernel unless it is
# told otherwise (pull/15434, August 2025).
RENEWED: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "llama.cpp": (
        ("2024-06", {"dequantizes": None, "bytewise": True, "graphs": True}),
        ("2025-08", {"kernels": "attention"}),
    ),
}
DEFAULT = Engine("default", (), "heads", graphs=True, merges=True, serves=True)


@lru_cache(maxsize=256)  # one answer asks some twenty times
def find_engine(label: str) -> Engine:
    """The engine that a label names, or ``DEFAULT`` for one that is not known."""
    low = label.strip().lower()
    for engine in ENGINES:
        if low.startswith(engine.prefixes):
            return engine
    return DEFAULT


def named_engine(name: str) -> Engine:
    """The engine of exactly this name, or ``DEFAULT``."""
    return next((engine for engine in ENGINES if engine.name == name), DEFAULT)


def is_ollama(profile: object) -> bool:
    """Whether a profile is asked for by the name of Ollama, which runs llama.cpp its own way."""
    return isinstance(profile, str) and profile.strip().lower().startswith("ollama")


def with_tiles(engine: Engine, device: Device) -> Engine:
    """The engine with the tiles that its kernels have on a device."""
    return _tiled(engine, *tile_of(device)) if engine.ggml else engine


@lru_cache(maxsize=64)
def _tiled(engine: Engine, tile: int, fits: bool) -> Engine:
    return replace(engine, tile=tile, fits=fits)


def peak_of(engine: Engine, device: Device, compute: str, *, narrow: bool = False) -> float:
    """FLOP/s that an engine's products are measured against on a device, of ``narrow`` weights
    where they are."""
    peak = device.peak(compute)
    if engine.half_accumulate and compute == "fp16" and device.half_accumulate_flops_s:
        peak = device.half_accumulate_flops_s
    if narrow and engine.bytewise:
        peak = _bytewise(device, peak)
    return peak * held_share(device, compute)


def _bytewise(device: Device, peak: float) -> float:
    """Half the peak of 8-bit products, which is that of 16 bits on the devices whose rates were
    fitted. It is twice as much where instructions alone multiply bytes (``dp4a``: Pascal), and less
    on AMD's whose matrix units take as long for either (RDNA 3, CDNA 2). Volta's and B300's do
    without 8 bits."""
    eight = device.peaks.get("int8", 0.0)
    if eight and device.vendor == "AMD":
        return products_share(device) * eight
    fastest = max(peak, device.half_accumulate_flops_s or 0.0)
    return eight / 2 if eight / 2 > 1.5 * fastest else peak


# Formats in which products are computed while attention stays in 16 bits.
NARROW = ("fp8", "int8", "fp4")


def attention_peak_of(engine: Engine, device: Device, compute: str) -> float:
    """FLOP/s that attention is measured against: products in 16 bits, and in generations of today
    their exponentials, which older rates have in them."""
    peak = wide_peak_of(engine, device, compute)
    if engine.ggml and engine.kernels == "attention":
        return peak * attention_share(device)
    if not engine.narrows:
        return peak
    from thermoflop.cost.kernels.sheet import attention_flops_s

    return attention_flops_s(device, peak)


def wide_peak_of(engine: Engine, device: Device, compute: str) -> float:
    """FLOP/s of what stays in 16 bits where products are narrower."""
    if compute not in NARROW:
        return peak_of(engine, device, compute)
    wide = next((name for name in ("bf16", "fp16") if name in device.peaks), compute)
    return device.peak(wide) * held_share(device, wide)
