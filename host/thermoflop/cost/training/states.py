"""Bytes a parameter that a trainer keeps: weights, gradients, and the states of an optimizer.

In mixed precision a parameter is a 16-bit weight, a gradient, and in fp32 a master weight and the
optimizer's moments. How wide gradients are is the trainer's habit: Megatron-LM sums them in fp32,
which makes 18 bytes with Adam, 6 + 12/n where the states are shared by n replicas (Megatron-LM,
issue 654), and in 16 bits in Megatron-Bridge's published runs (``grad_reduce_in_fp32`` is False in
every recipe of its scripts/performance/configs), 4 + 12/n; DeepSpeed keeps them in 16 bits and an
fp32 copy beside its states, 4 + 16/n (its ``estimate_zero2_model_states_mem_needs``), but its
BF16_Optimizer, which bf16 has up to stage 1, sums them in fp32 beside the 16 bits, shared by
nobody: 8 + 12/n; FSDP keeps weights, gradients and moments in fp32, 16/n in all (PyTorch,
``MixedPrecision``).
"""

from __future__ import annotations

import re

from thermoflop.base.messages import check_word
from thermoflop.base.record import record
from thermoflop.cost.hardware.precision import Precision

# Bytes of moments for an element of the layers' matrices, and for one of all else.
#   8-bit moments have a scale of 4 bytes for each block of 256 (bitsandbytes, blockwise
#   quantization: Dettmers et al. 2022); Adafactor keeps sums of rows and columns alone (Shazeer and
#   Stern 2018); Muon has one moment for matrices and Adam's two for the rest (Jordan et al. 2024).
MOMENTS = {
    "adamw": (8.0, 8.0),
    "adamw-torch": (8.0, 8.0),  # AT_ONCE
    "adamw-8bit": (2 + 2 * 4 / 256, 2 + 2 * 4 / 256),
    "paged-adamw-8bit": (0.0, 0.0),  # PAGED
    "adamw-bf16": (4.0, 4.0),
    "adamw-torch-bf16": (4.0, 4.0),
    "adamw-8bit-bf16": (2 + 2 * 4 / 256, 2 + 2 * 4 / 256),
    "paged-adamw-8bit-bf16": (0.0, 0.0),
    "adafactor": (0.0, 0.0),
    "muon": (4.0, 8.0),
    "sgd-momentum": (4.0, 4.0),
    "sgd": (0.0, 0.0),
}
# Whose moments go to the host's memory where the device's is short.
PAGED = frozenset({"paged-adamw-8bit", "paged-adamw-8bit-bf16"})
# Weights and gradients in 16 bits, without a master weight (torchtune's single-device recipes).
PURE = frozenset({"adamw-bf16", "adamw-torch-bf16", "adamw-8bit-bf16", "paged-adamw-8bit-bf16"})
# PyTorch's own AdamW, unless fused, steps with all tensors at once: what it divides by is a list as
# large as a moment (``_multi_tensor_adamw``, ``exp_avg_sq_sqrt``; "~ sizeof(params) more peak
# memory", says its documentation), made when no activation is left.
AT_ONCE = frozenset({"adamw-torch", "adamw-torch-bf16"})


@record
class Recipe:
    """Bytes a parameter: of the weight, the gradient, and in fp32 beside the moments.

    ``beside`` is the master weight, and where a trainer keeps one a copy of the gradient;
    ``stepped`` is the gradient that the optimizer reads, where that is one made when it steps.
    """

    weight: float
    gradient: float
    beside: float
    stepped: float = 0.0


RECIPES = {
    "default": Recipe(2, 4, 4),
    # ``_copy_model_grads_to_main_grads`` of Megatron-Core's DistributedOptimizer: ``.float()``
    "megatron-bridge": Recipe(2, 2, 4, 4),
    "megatron-deepspeed": Recipe(2, 2, 8),
    "llm-foundry": Recipe(4, 4, 0),
    "torchtitan": Recipe(4, 4, 0),
    "llm.c": Recipe(2, 2, 4),
}

# "accumulate gradients in fp32 ... The additional memory usage is 4bytes x params and it's not
# sharded" (bigscience, train/tr11-176B-ml/chronicles-prequel.md, Rebalancing layers).
SUMMED_IN_FP32 = {"megatron-deepspeed": Recipe(2, 2 + 4, 4)}

# Adapters beside a frozen base: fp32 weights are their own masters (PEFT, autocast_adapter_dtype).
ADAPTER_RECIPE = Recipe(4, 4, 0)
PURE_RECIPE = Recipe(2, 2, 0)
GRADIENT_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0}


def optimizer_named(name: str) -> str:
    """The name of an optimizer as it is called here, from transformers' (``adamw_torch_fused``,
    ``paged_adamw_8bit``: ``OptimizerNames`` of its ``training_args.py``) or another spelling."""
    if not isinstance(name, str):
        check_word("optimizer", name, MOMENTS)
    spelled = name.lower().replace("_", "-")
    plain = re.sub(r"-(torch|hf|apex|bnb|fused|32bit)(?=-|$)", "", spelled)
    return next((known for known in (spelled, plain) if known in MOMENTS), name)


def recipe_of(
    trainer: str, precision: Precision, optimizer: str, zero: int, gradients: str | None = None
) -> Recipe:
    """What a trainer keeps for a parameter beside the moments, under a stage of ZeRO; its gradients
    in the format that is asked for, where masters are beside them. UsageError for an optimizer that
    is not known."""
    check_word("optimizer", optimizer, MOMENTS)
    if optimizer in PURE:
        return PURE_RECIPE
    if precision.activation_bytes >= 4:
        return Recipe(4, 4, 0)  # fp32 weights are their own masters
    usual = RECIPES.get(trainer, RECIPES["default"])
    summed = usual if zero > 1 or precision.name == "fp16" else SUMMED_IN_FP32.get(trainer, usual)
    width = None if gradients is None else GRADIENT_BYTES[gradients]
    if width in (None, min(summed.gradient, 4)) or not usual.beside:
        return summed
    # masters in fp32 step with gradients in fp32, whatever these were summed in
    return usual if width == usual.gradient else Recipe(usual.weight, width, 4, stepped=4)


def state_bytes(
    matrices: float, others: float, recipe: Recipe, optimizer: str, zero: int, replicas: int
) -> tuple[float, float, float]:
    """Bytes of weights, gradients and optimizer on a device under ZeRO 0 to 3.

    ``matrices`` are the parameters of the layers' matrices, ``others`` all else. Stage 1 divides
    the optimizer's states over the replicas, 2 the gradients too, 3 the weights too (Rajbhandari
    et al. 2020).
    """
    params = matrices + others
    of_matrices, of_others = MOMENTS[optimizer]
    moments = matrices * of_matrices + others * of_others
    return (
        recipe.weight * params / (replicas if zero >= 3 else 1),
        recipe.gradient * params / (replicas if zero >= 2 else 1),
        (recipe.beside * params + moments) / (replicas if zero >= 1 else 1),
    )


def spared_bytes(optimizer: str, whole: float) -> float:
    """Bytes of weights, and as many of gradients, by which parameters that are trained ``whole``
    beside adapters are narrower than these, where their optimizer is."""
    return (ADAPTER_RECIPE.weight - PURE_RECIPE.weight) * whole if optimizer in PURE else 0.0


def stepping_bytes(recipe: Recipe, optimizer: str, held: float) -> float:
    """Bytes that a step of the optimizer makes besides, of an optimizer that holds so many."""
    if optimizer not in AT_ONCE:
        return 0.0
    moments = MOMENTS[optimizer][0]
    return held * moments / 2 / (moments + recipe.beside)


def optimizer_bytes(recipe: Recipe, optimizer: str) -> float:
    """Bytes a parameter that a step of the optimizer moves: gradient read, moments and what is
    beside them read and written, the weight written."""
    moments = MOMENTS[optimizer][0]
    read = max(recipe.gradient, recipe.stepped)
    return read + 2 * (moments + recipe.beside) + recipe.weight
