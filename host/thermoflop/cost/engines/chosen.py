"""How engines of today attend to keys that an indexer chose (DeepSeek-V3.2, GLM-5).

The model's own class expands the latent in a prompt, and leaves out what was not chosen. Kernels
gather chosen latents instead, so that prompts are absorbed as decode steps are
(``flash_mla_sparse_fwd`` of FlashMLA; "We currently use the absorbed approach for prefill",
vllm-project/vllm issue 31473). SGLang reads prompts of no more tokens than are chosen as without an
indexer, and keeps the indexer's keys alone of it (sgl-project/sglang pull 11892).

FlashMLA's kernels are made for 64 query heads on Hopper and 128 on Blackwell; where a device has
fewer, engines fill up with zeros (``prefill_padding`` of vLLM's flashmla_sparse.py, sglang pull
13646): of 128 heads over eight devices three in four are padding. FlashInfer's, for few heads on
Blackwell, takes 2.67 ms for 8,192 queries of 16 heads where FlashMLA takes 3.17 (vllm pull 33451).
They run as products of 16 bits do: 640 TFLOP/s of 989 on H800 and 1,450 of 2,250 on B200
(FlashMLA's README); 8,192 queries of 128 heads and 2,048 keys in 3.17 ms are 1,473. On Hopper every
query of a prompt has a place for each key that may be chosen, and computes the empty ones ("set
invalid entries to -1"): with vLLM 0.13 on eight H200 steps of 8,192 tokens of DeepSeek-V3.2 take
664 ms of prompts of 128 tokens, 662 of 2,000 and 684 of 4,000 (gpustack's performance lab). When it
decodes, empty places are cheaper: a token of GLM-5.1 lost 4.6 ms by padding at 512 to 1,024 tokens
and 11.7 at 4,096 to 4,608 (vllm pull 46189).

SGLang has both in TensorRT-LLM's kernels on Blackwell, from a cache of 8 bits ("Blackwell FP8
defaults to trtllm", ``_dsa_split_backend_resolution`` of srt/arg_groups/overrides.py, July 2026).
FlashInfer's is one of them: in 16 bits 8,192 queries of 16 heads take 2.67 ms, of 32 heads 5.27 and
of 128 4.02, where FlashMLA takes 3.17, 3.33 and 3.15 (vllm pull 33451). Tiles of 16 heads read the
keys once each, and a tile of few is as long as one that is full; whether it is the keys that bind
or the products, 8 bits are half of both.

vLLM decodes on Hopper by the same kernel, which gives a block of 64 heads one core
(``dim3((params.h_q/B_H)*params.s_q)``, phase1.cuh): few sequences leave the others idle. With a
cache of 8 bits, and fewer than 32 heads on a device in prompts too, it takes FlashMLA's kernel for
decoding (``MIN_HEADS_FOR_BF16_PREFILL``), which divides the keys, and makes 16 bits of them first:
250 TFLOP/s where two blocks of heads do not share that work (FlashMLA's deep dive of 2025-09-29).
"""

from __future__ import annotations

from thermoflop.base.number import ceil_div, is_array, maximum, one_where
from thermoflop.base.record import replace
from thermoflop.model.architecture.mixers import Attention, LatentAttention
from thermoflop.model.operators.kinds import Attend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.base.number import Number
    from thermoflop.cost.engines.engine import Engine
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.work.work import Work
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.operators.step import Step

TILES = {"hopper": 64, "blackwell": 128}  # query heads that a kernel of FlashMLA is made for
# Beside the products, the norm and the scores that the model has, an indexer is eight small kernels
# of serving engines: "11 kernels per decode layer on q/k prep" (sglang pull 34394: rotations,
# Hadamard transforms, 8 bits, the store, weights), of which four are counted, and the choice.
PREPARING = 8
# Queries are copied into a larger matrix of zeros (flashmla_sparse.py of vLLM).
PADDING = 2
# How many times as long as 640 TFLOP/s an attention takes that widens its keys.
WIDENING, FEW_HEADS = 640 / 250, 32
# What TensorRT-LLM's kernels take in 8 bits of what FlashMLA's takes of 128 heads in 16: a tile of
# few heads, of which they have two at most, and all heads of a model (above).
FEW_IN_8, FEW_TILE, FEW_TILES, MANY_IN_8 = 2.67 / 3.17 / 2, 16, 2, 4.02 / 3.15 / 2
SCORES = "index scores"
CHOOSING = (SCORES, "index_q", "index_weights")  # needless where all keys are attended
# A score is written in 32 bits and read by the kernel that chooses (``top_k_per_row`` of vLLM).
SCORE_BYTES = 8.0


def keys_chosen(description: Description) -> int:
    """How many keys every attention of a decoder meets at most, by choice; 0 where not every one
    is latent with one and the same number."""
    found = set[int]()
    for stack in description.stacks:
        for run in stack.runs:
            for mixer in run.layer.mixers if stack.role == "decoder" else ():
                if isinstance(mixer, LatentAttention):
                    found.add(int(mixer.limit or 0))
                elif isinstance(mixer, Attention):
                    found.add(0)
    return found.pop() if len(found) == 1 else 0


def forms_of(step: Step, keys: int, engine: Engine) -> list[tuple[Number, Step]]:
    """The forms in which an engine runs a step, each with its share of the step."""
    if engine.absorbs and step.mla == "expanded":
        step = replace(step, mla="absorbed")
    if not keys or step.encode is False:
        return [(1.0, step)]
    absorbed = replace(step, mla="absorbed")
    short = one_where(step.new + step.cached <= keys) if engine.short_whole else 0
    if is_array(short):
        return [(short, step), (1 - short, absorbed)]
    return [(1.0, step if short else absorbed)]


def as_gathered(
    works: list[Work], step: Step, engine: Engine, device: Device, keys: int, cache_bytes: float = 2
) -> list[Work]:
    """The operators of a step as kernels run it that gather ``keys`` that an indexer chose, from a
    cache of so many bytes a number."""
    reading = step.encode is not False
    if reading and step.mla != "absorbed":
        return [replace(work, times=0.0) if work.name in CHOOSING else work for work in works]
    works = [_selecting(work) if work.name == SCORES else work for work in works]
    from thermoflop.cost.kernels.sheet import architecture_of

    tile = TILES.get(architecture_of(device), 0)
    hopper = tile == TILES["hopper"]
    if not tile or not (reading or (engine.one_core and hopper)):
        return works
    widens = engine.one_core and hopper and cache_bytes < 2
    narrow = engine.chosen_in_8 and not hopper and cache_bytes < 2
    found: list[Work] = []
    for work in works:
        if isinstance(work.operator, Attend) and work.operator.kv_heads == 1:
            factor = _places(work.operator, keys) if reading and hopper else 1.0
            if widens and not (reading and work.operator.heads >= FEW_HEADS):
                factor = factor * WIDENING
            elif not reading:
                factor = _idle(work.operator, tile, device)
            elif narrow:
                factor = _in_8_bits(work.operator.heads)
            work = _padded(work, work.operator, tile, factor, 0 if narrow else PADDING)
        found.append(work)
    return found


def _selecting(work: Work) -> Work:
    """The scores, and the small kernels around them, which one call of the host starts."""
    scores = getattr(work.operator, "written", 0.0)
    return replace(
        work,
        activation_bytes=work.activation_bytes + SCORE_BYTES * scores,
        launches=work.launches + PREPARING,
        followers=work.followers + PREPARING,
    )


def _in_8_bits(heads: Number) -> Number:
    """The time of TensorRT-LLM's kernels for so many heads, of that of FlashMLA's."""
    tiles = ceil_div(heads, FEW_TILE)
    return FEW_IN_8 * tiles if tiles <= FEW_TILES else MANY_IN_8


def _places(operator: Attend, keys: int) -> Number:
    """How many times the pairs of a prompt the places are that its queries have."""
    return operator.queries * keys / operator.pairs


def _idle(operator: Attend, tile: int, device: Device) -> Number:
    """All cores for each that has a tile of heads of a sequence."""
    tiles = operator.sequences * ceil_div(operator.heads, tile)
    return maximum(1.0, (device.cores or 1) / tiles)


def _padded(work: Work, operator: Attend, tile: int, factor: Number, kernels: int) -> Work:
    """Attention of whole tiles of heads, which is two products of 16 bits, of ``factor`` times its
    pairs, and ``kernels`` that fill tiles up."""
    heads = ceil_div(operator.heads, tile) * tile
    more = kernels if heads > operator.heads else 0
    return replace(
        work, flops=work.flops * (factor * heads / operator.heads), row_flops=0.0, wide=True,
        launches=work.launches + more, followers=work.followers + more,
    )  # fmt: skip
