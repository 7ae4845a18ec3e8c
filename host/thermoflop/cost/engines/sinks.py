"""Attention with a learned sink for each head (gpt-oss) where no fast kernel knows sinks.

Of FlashAttention the third alone does, on Hopper, and of FlashInfer what runs on B200 and its kin;
elsewhere vLLM falls back to a kernel of Triton ("Using TRITON_ATTN": vllm issue 40153 on an RTX PRO
6000, pulls 22933 and 37949 for Ampere and Ada). That lays 16 rows of queries in a tile, where
others have 64 and more (vllm issue 52585: up to twice as fast with 64 on RDNA 3). From prompts of
2,000 to those of 32,000 tokens a token of gpt-oss-120b takes 107 us more on an A100 (gpustack's
performance lab): 44 TFLOP/s, of 150 that FlashAttention is expected at; from 1,024 to 130,000 one
of gpt-oss-20b 130 us more on an RTX PRO 6000 (Millstone AI): 98 of 245.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.mixers import Attention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.work.work import Work
    from thermoflop.model.architecture.description import Description

WITHOUT = ("ampere", "ada", "blackwell-rtx")  # architectures without such a kernel
SLOWER = 3.0  # times as long as FlashAttention takes: 150 / 44 = 3.4 and 245 / 98 = 2.5


def has_sinks(description: Description) -> bool:
    """Whether some attention of a decoder has sinks; all of it has one backend."""
    return any(isinstance(mixer, Attention) and mixer.sinks for mixer in description.mixers)


def as_tiled(works: list[Work], device: Device) -> list[Work]:
    """The operators of a prompt of a model with sinks, as vLLM runs them on a device."""
    from thermoflop.cost.kernels.sheet import architecture_of

    if architecture_of(device) not in WITHOUT:
        return works
    return [
        replace(work, flops=SLOWER * work.flops) if work.kind == "attention" else work
        for work in works
    ]
