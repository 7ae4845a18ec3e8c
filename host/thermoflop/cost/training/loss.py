"""What the loss holds of the logits: as fp32 or not, of all tokens or of a few at a time.

Of an element of the logits, in 16 bits, bytes that are held and those of its gradient:

    full      2 + 4       2 + 4   PyTorch's cross_entropy of float logits, as transformers has it
    16-bit    2 + 2       2 + 2   the same of logits that nobody made float
    compiled  2           2       a kernel each way: torch.compile, FlashAttention's cross entropy
    in-place  2           -       gradients in the place of logits: llm.c, Transformer Engine
    chunked   2 + 4/8     2 + 4/8 float of an eighth at a time (torchtune, CEWithChunkedOutputLoss)
    fused     none but those of a chunk, of as many tokens as make them as large as the hidden
              states (Liger kernels, Hsu et al. 2024)

Where nothing is compiled, transformers shifts float logits by a token, which copies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.messages import check_word

if TYPE_CHECKING:
    from thermoflop.cost.training.iteration import Iteration
    from thermoflop.cost.work.share import Share

# Bytes beside an element in the activations' format: of another 16 bits, of 4, of an eighth of it.
BESIDE = {"full": 4.0, "16-bit": 2.0, "compiled": 0.0, "in-place": 0.0, "chunked": 4 / 8}
LOSSES = (*BESIDE, "fused")
# A loss over a vocabulary that is divided has kernels of its own: its log-probabilities, their
# exponentials, the gradient and the sum of both at once, in fp32 (PyTorch, ``loss_parallel``:
# ``_nll_loss_and_log_softmax_backward``). Megatron's kernel overwrites its input, which it has made
# fp32.
FLOAT_IN_PLACE = frozenset({"megatron-lm", "megatron-bridge", "megatron-deepspeed"})
# Losses that trainers have kernels of their own for: FlashAttention's, llm-foundry's default
# (models/mpt/modeling_mpt.py, ``fused_crossentropy``), and Transformer Engine's, which recipes of
# Megatron-Bridge ask for (``cross_entropy_fusion_impl = "te"``).
OWN = {"llm-foundry": "compiled", "megatron-bridge": "in-place"}


def usual_loss(trainer: str, *, compiled: bool, divided: bool) -> str:
    """What a trainer does unless told otherwise. torchtitan compiles the loss with the model since
    2025 (``components/loss.py``), XLA makes one kernel each way of it; over a vocabulary that is
    ``divided`` PyTorch's kernels are its own."""
    if trainer in OWN:
        return OWN[trainer]
    if trainer in FLOAT_IN_PLACE or not compiled or (divided and trainer != "maxtext"):
        return "full"
    return "compiled"


def gathered_elements(iteration: Iteration) -> float:
    """Elements a token that sequence parallelism gathers for a product: its whole input, which
    stays for the backward pass of the product, and a gradient as large."""
    hidden = float(iteration.model.description.stacks[-1].hidden)
    return hidden if iteration.plan.sequence else 0.0


def loss_bytes(iteration: Iteration, share: Share) -> tuple[float, float]:
    """Bytes of the logits with their loss, and what their gradients take besides."""
    check_word("loss", iteration.loss, LOSSES)
    head = share.description.head
    if head is None:
        return 0.0, 0.0
    tokens, wide = iteration.tokens(), iteration.precision.activation_bytes
    if iteration.loss == "fused":
        return 0.0, 2 * (wide + 4) * tokens * head.inputs
    elements = tokens * head.outputs
    held = (wide + BESIDE[iteration.loss]) * elements
    gradients = 0.0 if iteration.loss == "in-place" else held
    gradients += 2 * wide * tokens * gathered_elements(iteration)
    is_float = iteration.loss == "full"
    if iteration.plan.tp > 1 and is_float and iteration.engine not in FLOAT_IN_PLACE:
        gradients += 4 * elements
    if is_float and not iteration.compiled:
        held += 4 * elements
    return held, gradients
