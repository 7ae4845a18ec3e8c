"""What of a layer is kept for the backward pass in fewer bytes than the activations have, or not at
all."""

from __future__ import annotations

from thermoflop.cost.training.discarded import blocks_of, dispatched, neurons, results_of_heads
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.narrow import NARROW
from thermoflop.model.architecture.description import Layer
from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.architecture.mixers import Attention

# Bytes of an element that is kept for the backward pass in another format: what products in 8 bits
# read, which has been cast for them, and what activations read (Megatron-Core's
# ``activation_func_fp8_input_store``).
KEPT_BYTES = {"fp8": 1.0}
# Trainers whose products in 8 or 4 bits keep what they have cast for themselves and not what it was
# cast from: Transformer Engine's (pytorch/module/linear.py: ``saved_inputmat``; layernorm_linear.py
# and grouped_linear.py likewise).
CASTS_KEPT = frozenset({"megatron-bridge"})
# Trainers whose models drop nothing out, and so keep no mask of a byte a block: ``hidden_dropout``
# of Megatron-Bridge's recipes and ``resid_pdrop`` of llm-foundry's MPT are 0, and torchtitan's and
# MaxText's layers have none.
NO_DROPOUT = frozenset({"megatron-bridge", "llm-foundry", "torchtitan", "maxtext"})
MASK = 0.5  # of an element in 16 bits
# Of what is kept of scores, where nothing drops them out: the softmax's result, which is 2 of
# Korthikanti's 5 bytes; the others are a mask and what it leaves.
UNDROPPED = 0.4


def narrowed(
    layer: Layer, iteration: Iteration, attention: float, inner: float, norms: float
) -> tuple[float, float, float]:
    """Elements a token that attention and feed-forward keep, as many as are as long in the
    activations' format, and norms whose results are not kept; of all that ``attention``, ``inner``
    and ``norms`` are where everything is kept in that format."""
    precision, blocks = iteration.precision, blocks_of(layer)
    if iteration.kept_dtype is not None:
        # the stream and what attention reads stay in 16 bits
        spared = 1 - KEPT_BYTES[iteration.kept_dtype] / precision.activation_bytes
        inner, norms = inner * (1 - spared), norms + spared * (blocks - norms)
    elif keeps_casts(iteration):
        spared = 1 - precision.weight_bytes / precision.activation_bytes
        read = dispatched(layer.feed, iteration.plan)
        read += 0.0 if iteration.fine_grained else neurons(layer.feed)
        # a router reads the norm before experts in 16 bits
        narrow = blocks - isinstance(layer.feed, Moe) - norms
        inner, norms = inner - spared * read, norms + spared * max(0.0, narrow)
        # attention keeps its result, and the product behind it what it has cast of that
        attention += (1 - spared) * _attended(layer)
    return attention, inner, norms + (MASK * blocks if iteration.engine in NO_DROPOUT else 0.0)


def kept_of_scores(iteration: Iteration, scores: float) -> float:
    """Scores a token of which as much is kept as of so many that are dropped out."""
    return UNDROPPED * scores if iteration.engine in NO_DROPOUT else scores


def keeps_casts(iteration: Iteration) -> bool:
    """Whether products keep what they have cast, in 8 or 4 bits."""
    whole = iteration.lora is None and iteration.kept_dtype is None
    return whole and iteration.engine in CASTS_KEPT and iteration.precision.family in NARROW


def _attended(layer: Layer) -> float:
    """Elements that attention comes to."""
    mixers = (mixer for mixer in layer.mixers if isinstance(mixer, Attention))
    return float(sum(mixer.q_width for mixer in mixers)) + results_of_heads(layer)


def kept_text(form: str, iteration: Iteration) -> str:
    """What is kept of a layer for the backward pass, in words: see ``memory.form_of``."""
    if form == "full":
        return "inputs of layers alone"
    kept = "no attention scores" if form.endswith("selective") else "attention scores too"
    kept += ", no results of norms" if iteration.fine_grained else ""
    if iteration.kept_dtype is not None and not iteration.by_operator:
        kept += f", inputs of products and activations in {iteration.kept_dtype}"
    elif keeps_casts(iteration) and not iteration.by_operator:
        kept += f", inputs of products in {iteration.precision.name}"
    return kept + (", norms divided too" if form.startswith("tensor+sequence") else "")
