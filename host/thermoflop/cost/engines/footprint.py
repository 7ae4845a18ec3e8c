"""What an engine takes of a device besides the cache, and what it leaves alone.

Constants carry their source: start-up logs of vLLM on H100 (github:jgchn/llm-d-planner
accuracy/results, of vLLM 0.15 to 0.19; llm-d/llm-d-benchmark, 0.11) and the engines' own sources.
Rows that a constant was fitted to and rows that judge it are told apart in ``data/logs.json``.
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.cost.engines.graphs import compute_buffer, hidden_of, vocabulary_of
from thermoflop.cost.engines.options import version_numbers
from thermoflop.cost.engines.placement import Placement, place
from thermoflop.cost.engines.sglang_choices import apart, limit_of, settled
from thermoflop.cost.hardware.device import Device, is_its_hosts
from thermoflop.cost.hardware.metal import metal_bytes
from thermoflop.cost.memory import kv_bytes, weight_bytes
from thermoflop.cost.work.share import Share
from thermoflop.cost.work.weights import layer_matrices, layers_of
from thermoflop.model.architecture.description import Layer
from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.architecture.grid import see
from thermoflop.model.architecture.mixers import Attention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

GIB = float(2**30)
MIB = float(2**20)
# What CUDA sees of a card is less than nvidia-smi reports: 79.19 of 79.65 GiB on H100, 139.8 of
# 140.4 on H200, 23.64 of 23.99 on RTX 4090, 44.5 of 45.0 on L40S, 15.77 of 16 on V100.
HIDDEN_BYTES, HIDDEN_SHARE = 0.3 * GIB, 0.002
# A context of CUDA with its libraries, and NCCL's on cards with links (init memory snapshots of
# vLLM 0.19: 0.51 GiB alone, 1.53 with tp=2 or 4).
CONTEXT_BYTES, GROUP_CONTEXT_BYTES = 0.51 * GIB, 1.02 * GIB
# NCCL's on cards without links: "Init torch distributed ends. mem usage=0.13 GB" of SGLang on four
# L4, 0.16 on four cards of another log.
UNLINKED_CONTEXT_BYTES = 0.15 * GIB
# vLLM's non-torch memory after its forward pass: 0.25 GiB alone (0.13 before 0.18), 2.1 with
# tensor parallelism (0.55 before), where its all-reduce has buffers of its own.
VLLM_ALONE = {(0, 18): 0.25 * GIB, (0, 0): 0.13 * GIB}
VLLM_GROUP = {(0, 17): 2.1 * GIB, (0, 0): 0.55 * GIB}
# Of a group one system's logs say so; those of seven others are 0.9 GiB above to 2.6 below it.
VLLM_GROUP_DOUBT = 1.4 * GIB
# What other cards than Hopper's held more of, with vLLM 0.19 to 0.31: 0.65 GiB a card of 48 GB, 0.5
# an RTX 5090, 0.26 an A100 (start-up logs in ``engine_logs``; three of 5090 that did not fit this
# say 0.7).
VLLM_ELSEWHERE, ELSEWHERE_FROM = 0.4 * GIB, (0, 19)
HOPPER = ("H100", "H200", "H800", "H20", "GH200")
# Bytes that sampling takes for a logit: sorted with its index until 0.17, which chooses by a
# kernel from then on; fitted to the logs. V1 samples for max_num_seqs at once.
LOGIT_BYTES = {(0, 17): 14.8, (0, 0): 38.6}
# CUDA graphs of one layer and one size of batch; and from which version on vLLM counts them
# before it sizes the cache, with a default share of 0.92 (vLLM pull request 38284).
GRAPH_BYTES, GRAPHS_COUNTED = 0.265 * MIB, (0, 21)
LARGEST_GRAPH = 512
# Pixels of a side that no tower takes as they are.
LARGEST_SIDE = 16_384
ALL_LAYERS = float("inf")
# vLLM reads 8,192 tokens and runs 1,024 sequences at once on cards from 70 GiB that are no A100,
# else 2,048 and 256; from 0.28 on 16,384 on cards from 160 GiB (get_batch_defaults of arg_utils.py,
# for its server; pull request 51726).
LARGE_BYTES, LARGEST_BYTES, SIXTEEN = 70 * GIB, 160 * GIB, (0, 28)
# Before V1 (0.8) a pass takes as many as the longest context, and 2,048 at least ("If max_model_len
# is too short, use 2048", SchedulerConfig of vllm/config.py); only where that is beyond 32,768 are
# prompts read in chunks, of 2,048 (pull request 10544). 256 sequences run at once on every card.
V1, CHUNKED_BEYOND, FEWEST_OF_A_PASS = (0, 8), 32 * 1024, 2048
# SGLang's reserve in MiB (_handle_gpu_memory_settings of server_args.py): constant, for a token of
# a chunk, for a sequence of its largest graph, for every 8 devices, and at least on large cards.
SGLANG_RESERVE = (512.0, 1.5, 2.0, 1024.0, 10 * 1024.0)
# Up to which MiB of memory SGLang reads chunks of how many tokens, and captures graphs of how many
# sequences alone and with tp >= 4 (the same function).
SGLANG_SIZES = (
    (20 * 1024, 2048, 8, 8), (35 * 1024, 2048, 24, 80), (60 * 1024, 4096, 32, 160),
    (90 * 1024, 8192, 256, 512), (160 * 1024, 8192, 256, 512), (float("inf"), 16384, 512, 512),
)  # fmt: skip
# TensorRT-LLM's engines hold logits and what is sorted of them for every sequence that may run:
# 4.35 GB "for decoder" and 1.14 "for runtime buffers" of 4,096 (perf-benchmarking.md of 0.12), 5.0
# of 2,048 and Llama 3's vocabulary (0.19, issue 4275). Its PyTorch backend, the default from 1.0,
# has none of that; warm-up and workspaces take 1.0 GiB on an H100 and 0.7 on an RTX 4070 Super.
DECODED_BYTES, TORCH_BYTES = 22.0, 0.85 * GIB
# Eager attention holds a score in 16 bits, in fp32 for the softmax, and in 16 bits again.
SCORE_BYTES = 8.0
# What llama.cpp's CUDA backend takes besides its buffers: context, cuBLAS, graphs.
GGML_BYTES = 0.5e9


@record
class Footprint:
    """What an engine may use of a device, and what it takes before the cache, in bytes.

    ``sequences`` is how many the engine runs at once at most; None where it has no such limit;
    ``limited_by`` the option that says so where it is not the usual one.
    ``in_flight`` are the tokens of a step, ``host_bytes`` the weights that stay on the host,
    ``settled`` the options that were left to the engine, ``outside_bytes`` what it takes of the
    device outside of what an option lets it use, ``doubt_bytes`` what of its work may be twice as
    much, ``group_bytes`` by how much what a group of devices holds may be more or less.
    """

    usable_bytes: float
    weight_bytes: float
    activation_bytes: float
    overhead_bytes: float = 0.0
    graph_bytes: float = 0.0
    sequences: int | None = None
    in_flight: int = 0
    host_bytes: float = 0.0
    settled: dict[str, Any] | None = None
    outside_bytes: float = 0.0
    doubt_bytes: float = 0.0
    group_bytes: float = 0.0
    limited_by: str = ""

    @property
    def cache_bytes(self) -> float:
        """What is left for the cache."""
        taken = self.weight_bytes + self.activation_bytes + self.overhead_bytes + self.graph_bytes
        return max(0.0, self.usable_bytes - taken)


@record
class Load:
    """What is asked of an engine: sequences at once, tokens of a prompt and of a sequence.
    ``cached`` are tokens that sequences have while they decode, each number with its share of the
    time; (): so many as the prompt and half of what is generated."""

    sequences: int
    prompt: int
    context: int
    cached: tuple[tuple[float, float], ...] = ()

    def of_length(self, context: int) -> Load:
        """The same with sequences of another length, of which as many tokens are generated."""
        generated = self.context - self.prompt
        return Load(self.sequences, max(1, context - generated), context)


def visible_bytes(device: Device) -> float:
    """Bytes of a device that a program can allocate."""
    if device.vendor == "Apple":
        return metal_bytes(device.memory_bytes)
    if device.vendor != "NVIDIA" or is_its_hosts(device):  # a board's is what CUDA shows already
        return device.memory_bytes
    return device.memory_bytes * (1 - HIDDEN_SHARE) - HIDDEN_BYTES


def _from(table: Mapping[tuple[int, int], float], version: tuple[int, int]) -> float:
    """The value that holds for a version: tables are from the newest on down."""
    return float(next(value for start, value in table.items() if version >= start))


def _layer_width(layer: Layer) -> float:
    """Elements a token that the fullest moment of a layer holds: the residual stream, the norm's,
    what comes out, and either gate, up and their product, or queries, keys, values and results."""
    feed = layer.feed
    mlp = feed.shared if isinstance(feed, Moe) else feed
    inner = 0.0 if mlp is None else float(mlp.inner * (3 if mlp.gated else 2))
    attention = max(
        (2.0 * mixer.q_width + mixer.kv_width + mixer.kv_heads * mixer.value_width
         for mixer in layer.mixers if isinstance(mixer, Attention)), default=0.0,
    )  # fmt: skip
    return float(4.0 * layer.hidden + max(inner, attention))


def forward_bytes(share: Share, tokens: float) -> float:
    """Bytes alive while ``tokens`` pass the widest layer, outside its experts."""
    widest = max((_layer_width(run.layer) for run in share.description.runs), default=0.0)
    return tokens * widest * share.precision.activation_bytes


def seen_bytes(share: Share, tokens: int) -> tuple[float, float]:
    """Bytes alive while vLLM's profile run passes its largest images through the tower of a model
    that sees, and what is kept of them: as many as ``tokens`` hold, one at least
    (``profile_run`` of gpu_model_runner.py)."""
    wide = share.precision.activation_bytes
    alive = kept = 0.0
    for stack in share.description.stacks:
        if stack.role == "image" and stack.grid is not None and stack.patches and stack.pooled:
            one = see(stack.grid, LARGEST_SIDE, LARGEST_SIDE, int(stack.pooled))
            patches = one.tiles * one.rows * one.columns
            left = patches * float(stack.pooled) / float(stack.patches)  # tokens of the text
            images = max(1, int(tokens / left))
            widest = max((_layer_width(run.layer) for run in stack.runs), default=0.0)
            alive = max(alive, images * patches * widest * wide)
            kept = images * left * hidden_of(share) * wide
    return alive, kept


def experts_bytes(share: Share, tokens: float) -> float:
    """The workspace of fused experts: for each chosen one its input, gate, up, and their product
    or its result (``fused_moe`` of vLLM: two buffers that are kept). Experts in mxfp4 have kernels
    that keep none (gpt-oss: 2.87 GiB are of sampling alone)."""
    if share.precision.name == "mxfp4":
        return 0.0
    wide = share.precision.activation_bytes
    widths = (
        run.layer.feed.top_k * (run.layer.hidden + 2.0 * run.layer.feed.expert.inner)
        for run in share.description.runs
        if isinstance(run.layer.feed, Moe)
    )
    return float(tokens * wide * max(widths, default=0.0))


def _captured(largest: int) -> int:
    """Batch sizes of which graphs are captured: 1, 2, 4, eights to 256, sixteens to 512."""
    return sum(
        size <= largest for size in (1, 2, 4, *range(8, 256, 8), *range(256, LARGEST_GRAPH + 1, 16))
    )


def _contexts(share: Share, device: Device) -> float:
    if share.plan.devices == share.plan.dp:
        return CONTEXT_BYTES
    return CONTEXT_BYTES + (GROUP_CONTEXT_BYTES if device.link_bytes_s else UNLINKED_CONTEXT_BYTES)


def _batched(device: Device, version: tuple[int, int], large: bool, longest: int | None) -> int:
    """Tokens that vLLM's server reads at once where nothing is said."""
    if version < V1:
        whole = longest is not None and longest <= CHUNKED_BEYOND
        return max(longest or 0, FEWEST_OF_A_PASS) if whole else FEWEST_OF_A_PASS
    if version >= SIXTEEN and visible_bytes(device) >= LARGEST_BYTES:
        return 16384
    return 8192 if large else 2048


def _vllm(share: Share, device: Device, options: Mapping[str, Any], _load: Load) -> Footprint:
    """vLLM (``determine_available_memory``): a share of the card, less weights, the peak of a
    forward pass of ``max_num_batched_tokens`` that samples ``max_num_seqs``, what lies outside of
    torch, and from 0.21 on the CUDA graphs."""
    version = version_numbers(options["version"])
    large = visible_bytes(device) >= LARGE_BYTES and "A100" not in device.name and version >= V1
    longest = options["max_model_len"]
    tokens = options["max_num_batched_tokens"] or _batched(device, version, large, longest)
    sequences = options["max_num_seqs"] or (1024 if large else 256)
    counted = version >= GRAPHS_COUNTED
    part = options["gpu_memory_utilization"] or (0.92 if counted else 0.9)
    wide = share.precision.activation_bytes
    sampled = _from(LOGIT_BYTES, version) + wide - 2  # of logits in the format of the activations
    sampled *= vocabulary_of(share) * min(sequences, tokens)
    sampled += tokens * hidden_of(share) * wide
    computed = max(sampled, forward_bytes(share, tokens)) + experts_bytes(share, tokens)
    alive, kept = seen_bytes(share, tokens)
    peak = max(computed + kept, alive)
    group = share.plan.tp > 1
    beside_torch = _from(VLLM_GROUP if group else VLLM_ALONE, version)
    if version >= ELSEWHERE_FROM and not device.name.startswith(HOPPER):
        beside_torch += VLLM_ELSEWHERE
    layers = -(-layers_of(share.whole) // share.plan.pp)
    sizes = _captured(min(2 * sequences, LARGEST_GRAPH)) + _captured(min(sequences, LARGEST_GRAPH))
    graphs = 0.0 if options["enforce_eager"] else GRAPH_BYTES * layers * sizes
    outside = _contexts(share, device) + (0.0 if counted else graphs)  # both before it measures
    settled = {"gpu_memory_utilization": part, "max_num_seqs": sequences,
               "max_num_batched_tokens": tokens}  # fmt: skip
    return Footprint(
        part * visible_bytes(device), weight_bytes(share), peak, beside_torch,
        graphs if counted else 0.0, sequences, tokens, settled=settled, outside_bytes=outside,
        doubt_bytes=experts_bytes(share, tokens), group_bytes=VLLM_GROUP_DOUBT if group else 0.0,
    )  # fmt: skip


def sglang_share(device: Device, tp: int, pp: int, options: Mapping[str, Any]) -> float:
    """SGLang's ``mem_fraction_static`` where none is given."""
    memory = device.memory_bytes / MIB
    constant, token, sequence, eight, least = SGLANG_RESERVE
    chunk, graphs = sglang_sizes(device, tp, options)
    reserved = constant + token * max(chunk, 2048) + sequence * graphs + tp * pp / 8 * eight
    if memory > 60 * 1024:
        reserved = max(reserved, least)
    return float(round((memory - reserved) / memory, 3))


def sglang_sizes(device: Device, tp: int, options: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens of a chunk, and sequences of the largest graph."""
    memory = device.memory_bytes / MIB
    chunk, alone, group = next(sizes[1:] for sizes in SGLANG_SIZES if memory < sizes[0])
    graphs = options["cuda_graph_max_bs"] or (group if tp >= 4 else alone)
    return options["chunked_prefill_size"] or chunk, graphs


def _sglang(share: Share, device: Device, options: Mapping[str, Any], _load: Load) -> Footprint:
    """SGLang (``profile_max_num_token``): what is free before loading, times the static share, less
    the weights; activations and graphs live in the rest."""
    plan = share.plan
    part = options["mem_fraction_static"] or sglang_share(device, plan.tp, plan.pp, options)
    free = visible_bytes(device) - _contexts(share, device)
    if plan.tp > 1 and device.link_bytes_s:
        free -= GROUP_CONTEXT_BYTES  # all-reduce buffers: 2.0 GB with init (sglang 11716)
    groups = apart(share.plan)  # which chunks are divided by
    tokens = (options["chunked_prefill_size"] or 2048 * groups) // groups
    work = forward_bytes(share, tokens) + experts_bytes(share, tokens)
    rest = min(work, free * (1 - part))
    graphs = SGLANG_RESERVE[2] * sglang_sizes(device, plan.tp, options)[1]
    outside = visible_bytes(device) - free + work - rest + (SGLANG_RESERVE[0] + graphs) * MIB
    most, name = limit_of(share, options)
    return Footprint(
        part * free + rest, weight_bytes(share), rest, sequences=most, limited_by=name,
        settled={"mem_fraction_static": part, **settled(share, options)}, outside_bytes=outside,
    )  # fmt: skip


def _tensorrt(share: Share, device: Device, options: Mapping[str, Any], _load: Load) -> Footprint:
    """TensorRT-LLM: a share of what is free after loading and after a dry run of
    ``max_num_tokens`` (``estimate_max_kv_cache_tokens`` of ``_torch/pyexecutor/_util.py``)."""
    tokens = options["max_num_tokens"]
    peak = forward_bytes(share, tokens) + experts_bytes(share, tokens)
    beside = TORCH_BYTES
    if options["backend"] == "tensorrt":
        beside = DECODED_BYTES * options["max_batch_size"] * vocabulary_of(share)
    overhead = _contexts(share, device) + beside
    taken = weight_bytes(share) + peak + overhead
    free = visible_bytes(device) - taken
    usable = taken + options["free_gpu_memory_fraction"] * max(0.0, free)
    return Footprint(
        usable if free > 0 else taken + free, weight_bytes(share), peak, overhead,
        sequences=options["max_batch_size"],
    )  # fmt: skip


def placement_of(share: Share, options: Mapping[str, Any], batch: int = 1) -> Placement:
    """Where llama.cpp puts the model under its options."""
    experts = ALL_LAYERS if options["cpu_moe"] else options["n_cpu_moe"]
    return place(
        share, options["n_gpu_layers"], experts, share.plan.pp, batch, sees=options["mmproj"]
    )


def _llama(share: Share, device: Device, options: Mapping[str, Any], load: Load) -> Footprint:
    """llama.cpp: layers on the device, the table of tokens on the host, one compute buffer;
    ROCm's kernels are CUDA's."""
    slots = options["parallel"] or load.sequences
    context = -(-options["ctx_size"] // slots) if options["ctx_size"] else load.context
    cuda = device.vendor in ("NVIDIA", "AMD")
    buffer = compute_buffer(share, options, context, slots, cuda)
    placed = placement_of(share, options)
    beside = 0.0 if device.vendor == "Apple" else GGML_BYTES
    if is_its_hosts(device):  # whose part lies in the same memory, first in what no GPU may take
        kept_back = device.memory_bytes - visible_bytes(device)
        beside += max(0.0, placed.host_bytes - kept_back)
    return Footprint(
        visible_bytes(device), placed.device_bytes, buffer, beside,
        sequences=options["parallel"], host_bytes=placed.host_bytes,
    )  # fmt: skip


def _heads(share: Share) -> float:
    """Query heads of a layer on the device."""
    attending = (mixer for mixer in share.description.mixers if isinstance(mixer, Attention))
    return max((float(mixer.heads) for mixer in attending), default=0.0)


def _beyond_growth(share: Share, load: Load, peak: float) -> float:
    """What a peak while the prompt is read needs beyond the cache at its longest."""
    grown = kv_bytes(share, load.context, load.sequences)
    return max(0.0, peak - float(grown - kv_bytes(share, load.prompt, load.sequences)))


def _transformers(
    share: Share, device: Device, options: Mapping[str, Any], load: Load
) -> Footprint:
    """transformers: the whole prompt at once, and logits of the last token; eager attention holds
    the scores in 16 bits, in fp32 and in 16 bits again."""
    tokens = float(load.prompt * load.sequences)
    peak = forward_bytes(share, tokens) + 6.0 * vocabulary_of(share) * load.sequences
    if options["attn_implementation"] == "eager":
        peak += SCORE_BYTES * _heads(share) * tokens * load.prompt
    return Footprint(
        visible_bytes(device), weight_bytes(share), _beyond_growth(share, load, peak), CONTEXT_BYTES
    )


def _autoawq(share: Share, device: Device, _o: Mapping[str, Any], load: Load) -> Footprint:
    """AutoAWQ: scores of all heads and logits of the whole prompt, or, when it is loaded, the
    matrices of queries, keys and values twice, while they are laid side by side."""
    tokens = float(load.prompt * load.sequences)
    peak = SCORE_BYTES * _heads(share) * tokens * load.prompt + 6.0 * vocabulary_of(share) * tokens
    twice = sum(
        run.times * part.matrix_parameters * share.precision.weight_bytes
        for run, part in layer_matrices(share.description)
        if part.name in ("q_proj", "k_proj", "v_proj")
    )
    kept = float(kv_bytes(share, load.context, load.sequences))
    work = max(_beyond_growth(share, load, peak), float(twice) - kept)
    return Footprint(visible_bytes(device), weight_bytes(share), work, CONTEXT_BYTES)


FOOTPRINTS = {
    "vllm": _vllm, "sglang": _sglang, "tensorrt-llm": _tensorrt, "llama.cpp": _llama,
    "transformers": _transformers, "autoawq": _autoawq,
}  # fmt: skip
