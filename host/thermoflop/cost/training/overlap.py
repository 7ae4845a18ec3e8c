"""What hides behind computing of what devices send each other, by trainer.

Shares are assumptions, not fitted: all but the first and last part of what is sent, and what
communication kernels take of the device.
"""

from __future__ import annotations

from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.work.share import Layout

USUAL_OVERLAP = 0.9
# What replicas send: nothing where gradients are summed when the last micro-batch is done
# (Megatron-LM until 2023).
OVERLAP = {"megatron-lm": 0.0, "megatron-deepspeed": 0.0}
# The same of what tokens send to experts on other nodes and back: a micro-batch computes while
# another sends (DualPipe: DeepSeek-V3, section 3.2.1; ``overlap_moe_expert_parallel_comm`` of
# Megatron-LM), which links within a node are left to do alone (Megatron-Bridge's recipes,
# ``moe_a2a_overlap``: of H100 alone). Megatron-Bridge's own runs over nodes of H100 show little
# of it: of 4, which no fit saw, 0.73 to 1.29 of the time is expected with nothing hidden, and 0.51
# to 0.84 with nine tenths (its performance summary; Qwen3-235B thrice, DeepSeek-V3).
EXPERT_OVERLAP = {"megatron-bridge": 0.0}
# What interleaved stages send each other while forward and backward alternate: Megatron-LM computes
# one chunk of layers while the result of another is on its way (``overlap_p2p_comm``, of which
# arguments.py says True, and False without interleaving). Its runs of 2021 and 2022 waited, and so
# do PyTorch's schedules of 2024, for all that a step of them sends
# (torch/distributed/pipelining/schedules.py, ``_batch_p2p(ops).wait()``).
STAGE_OVERLAP = {"megatron-lm": 0.0, "megatron-deepspeed": 0.0, "torchtitan": 0.0}
# What tensor-parallel devices tell each other, where the products before and after it run in parts
# (``tp_comm_overlap`` of Megatron-LM: Transformer Engine's userbuffers, where norms are divided;
# False unless it is asked for; torchtitan's async TP). Megatron-Bridge's recipes ask for it, but
# not in 4 bits (scripts/performance/configs/llama/llama31_llm_pretrain.py).
TENSOR_OVERLAP = {"megatron-bridge": USUAL_OVERLAP}


def overlap_of(trainer: str) -> float:
    """The share of the replicas' traffic that a trainer hides behind computing."""
    return OVERLAP.get(trainer, USUAL_OVERLAP)


def overlaps_of(trainer: str, plan: Layout, virtual: int, precision: Precision) -> dict[str, float]:
    """The shares of all else that a trainer hides, by the names of ``Iteration``.

    Of what tokens send to experts, on other nodes alone; of what stages send each other, which
    without interleaving wait; of what tensor-parallel devices tell each other, where norms are
    divided and products are not in 4 bits. 0 where nothing of it is sent.
    """
    far = 0 < plan.node_size < plan.ep
    interleaved = plan.pp > 1 and virtual > 1
    in_parts = plan.tp > 1 and plan.sequence and precision.family != "4"
    return {
        "expert_overlap": EXPERT_OVERLAP.get(trainer, USUAL_OVERLAP) if far else 0.0,
        "stage_overlap": STAGE_OVERLAP.get(trainer, USUAL_OVERLAP) if interleaved else 0.0,
        "tensor_overlap": TENSOR_OVERLAP.get(trainer, 0.0) if in_parts else 0.0,
    }


def warm_up_share(pp: int, micro_batches: float, virtual: int) -> float:
    """The share of passes through chunks of layers that are made before forward and backward
    alternate, and as many behind: of the first stage 2(p - 1) + (v - 1)p of v m, or all of them
    (Megatron-LM, core/pipeline_parallel/schedules.py). What is sent then is waited for
    (``overlap_p2p_comm_warmup_flush`` is False unless it is asked for)."""
    passes = 2 * (pp - 1) + (virtual - 1) * pp
    return min(1.0, passes / (virtual * micro_batches))


def hidden_text(iteration: Iteration) -> str:
    """The shares that hide, as the end of a sentence."""
    plan = iteration.plan
    parts = [f"{plan.overlap:.0%} of what replicas send hides behind computing"]
    parts += [f"{share:.0%} of {what}" for what, share in _besides(iteration)]
    return parts[0] + (f", and {' and '.join(parts[1:])}" if parts[1:] else "")


def hidden_lines(iteration: Iteration) -> list[str]:
    """The same as lines of an explanation."""
    said = [f"of what replicas send {100 * iteration.plan.overlap:.0f} % hides behind computing,"]
    said += [f"of {what} {100 * share:.0f} %," for what, share in _besides(iteration)]
    return [*said[:-1], f"{said[-1]} where that takes as long"]


def _besides(iteration: Iteration) -> list[tuple[str, float]]:
    """What else is sent of which a share may hide, and the share."""
    plan, listed = iteration.plan, []
    if iteration.tensor_overlap:
        listed.append(("what tensor-parallel devices send", iteration.tensor_overlap))
    if plan.pp > 1 and iteration.virtual > 1:
        listed.append(("what interleaved stages send", iteration.stage_overlap))
    if plan.ep > plan.tp:
        listed.append(("what tokens send to experts", iteration.expert_overlap))
    return listed
