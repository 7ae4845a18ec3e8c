"""What offloading leaves on a device, and what the host keeps and does for it."""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.states import MOMENTS
from thermoflop.cost.work.weights import layers_of

# What the optimizer of a host reads and writes a second, of all devices of a node together: two
# sockets of 6 channels of DDR4-2933 have 282 GB/s, of which a stream of both gets some 70 %. An
# assumption, printed with the result.
HOST_MEMORY_BYTES_S = 200e9
GRADIENT_BYTES = 4.0  # DeepSpeed's CPU Adam sums gradients in fp32


@record
class HostUse:
    """What offloading comes to, for one device.

    Attributes:
        parts: what the host keeps.
        host_bytes: bytes that the host keeps.
        moved_bytes: bytes over the link to the host in an iteration, both directions together.
        step_s: seconds of the optimizer on the host.
        exposed_s: seconds of an iteration that all of it adds.
        link_bytes_s: bytes a second of the link, in one direction.
        sharing: devices that share the memory of a host.

    Example:
        >>> import thermoflop as tf
        >>> t = tf.train("llama-2-7b", "a100", zero=2, offload="optimizer", global_batch=8)
        >>> t.host.host_bytes == 16 * 6_738_415_616, t.memory.optimizer_bytes
        (True, 0.0)
    """

    parts: tuple[str, ...]
    host_bytes: float
    moved_bytes: float
    step_s: float
    exposed_s: float
    link_bytes_s: float
    sharing: int


def left_on_device(
    iteration: Iteration, states: tuple[float, float, float], activations: float
) -> tuple[float, float, float, float]:
    """Weights, gradients, optimizer and activations that stay on the device."""
    weights, gradients, optimizer = states
    offload = iteration.offload
    if offload is None:
        return weights, gradients, optimizer, activations
    recipe = iteration.recipe
    if "optimizer" in offload.parts:
        optimizer = 0.0
        gradients = 0.0 if iteration.zero >= 2 else gradients
        if iteration.lora is None and not recipe.beside:  # the host keeps the masters
            weights *= iteration.precision.activation_bytes / recipe.weight
    if "parameters" in offload.parts:
        weights = 0.0
    if "activations" in offload.parts:  # of the layer at work and of the one that is on its way
        layers = layers_of(iteration.model.description) / iteration.plan.pp
        activations *= min(1.0, 2 / layers)
    return weights, gradients, optimizer, activations


def host_use(
    iteration: Iteration, owned: float, weights: float, activations: float, busy_s: float
) -> HostUse | None:
    """What the host keeps and does for one device: of ``owned`` parameters that are trained,
    ``weights`` and ``activations`` bytes of a micro-batch, beside ``busy_s`` of computing."""
    offload, count = iteration.offload, iteration.micro_batches
    if offload is None:
        return None
    wide, shared = iteration.precision.activation_bytes, iteration.zero >= 2
    host, down, up, step_s = 0.0, 0.0, 0.0, 0.0
    if "optimizer" in offload.parts:
        moments = MOMENTS[iteration.optimizer][0]
        host += owned * (moments + 4 + GRADIENT_BYTES)
        down += owned * wide * (count if shared else 1)
        up += owned * wide
        moved = owned * (GRADIENT_BYTES + 2 * (moments + 4) + wide)
        step_s = moved * offload.sharing / HOST_MEMORY_BYTES_S
    if "parameters" in offload.parts:
        host += weights
        up += 2 * count * weights
    if "activations" in offload.parts:
        host += activations
        down += count * activations
        up += count * activations
    waits = max(0.0, max(down, up) / offload.link_bytes_s - busy_s)
    return HostUse(
        tuple(sorted(offload.parts)), host, down + up, step_s, step_s + waits,
        offload.link_bytes_s, offload.sharing,
    )  # fmt: skip
