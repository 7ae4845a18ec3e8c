"""Where llama.cpp puts a model: layers and experts on the devices, the rest on the host.

``-ngl`` leaves the first layers to the host, and the output too where not even it is asked for;
``--n-cpu-moe`` the experts of the first layers; the table of tokens always stays there
(``load_tensors`` of llama.cpp's ``llama-model.cpp``). What sees or hears is a file of its own
(``--mmproj``): none of these layers, and where it is given whole on the first device
(``clip.cpp``).
"""

from __future__ import annotations

from thermoflop.base.record import record, replace
from thermoflop.cost.memory import STATE_BYTES, uniform
from thermoflop.cost.work.weights import held_beside, is_beside, weights_held
from thermoflop.model.architecture.cache import LayerCache, layer_caches
from thermoflop.model.architecture.feedforward import Moe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.work.share import Share

EXPERTS, TOKENS = "experts", "embed_tokens"


@record
class PlacedLayer:
    """Bytes of a layer's weights, of its experts among them, and what it caches.

    ``active`` is the share of its experts that work on a token, ``decodes`` whether a decode step
    runs it: an encoder's it does not.
    """

    weight_bytes: float
    expert_bytes: float
    active: float
    caches: tuple[LayerCache, ...]
    decodes: bool = True


@record
class Placement:
    """What is on the device (the fullest of several) and on the host, in bytes.

    ``host_active_bytes`` are read for every token from the host, ``active_bytes`` in all;
    ``host_layers`` that a token runs have a part there.
    """

    device_bytes: float
    host_bytes: float
    host_active_bytes: float
    active_bytes: float
    layers: int
    caches: tuple[LayerCache, ...]
    host_layers: int


def placed_layers(share: Share) -> list[PlacedLayer]:
    """Every layer of the text, stack after stack, in its order."""
    return share.fact("placed layers", lambda: _placed_layers(share))


def _placed_layers(share: Share) -> list[PlacedLayer]:
    held: dict[int, list[float]] = {}
    for each in weights_held(share.description, share.checkpoint or uniform(share)):
        for layer in each.layers:
            sizes = held.setdefault(layer, [0.0, 0.0])
            sizes[0] += each.bytes_each
            sizes[1] += each.bytes_each if each.part.group == EXPERTS else 0.0
    placed, before = [], 0
    for stack in share.description.stacks:
        first, found = 0, []
        for run in stack.runs:
            places = run.at or range(first, first + int(run.times))
            caches = layer_caches(run.layer) if stack.causal else ()
            feed = run.layer.feed
            active = float(feed.top_k) / float(feed.experts) if isinstance(feed, Moe) else 1.0
            for place_ in () if is_beside(share.description, stack.role) else places:
                weights, experts = held.get(before + place_, (0.0, 0.0))
                one = PlacedLayer(weights, experts, min(1.0, active), caches, stack.causal)
                found.append((place_, one))
            first += int(run.times)
        placed += [layer for _, layer in sorted(found, key=lambda each: each[0])]
        before += first
    return _with_its_windows(placed)


def _with_its_windows(layers: list[PlacedLayer]) -> list[PlacedLayer]:
    """The layers with the windows that llama.cpp keeps: those of models that have others besides.
    Where every layer has one (Mistral v0.1, Phi-3, StarCoder 2) its graphs know none
    (``llama-model.cpp``: ``swa_type`` stays NONE for these), and caches hold every token."""
    windows = [cache.window for layer in layers for cache in layer.caches if cache.elements]
    if None in windows:
        return layers
    return [
        replace(layer, caches=tuple(replace(cache, window=None) for cache in layer.caches))
        for layer in layers
    ]


def outside_bytes(share: Share) -> tuple[float, float, float]:
    """Bytes of what lies outside the layers: tables, which stay on the host, the output, which for
    a tied one is the table of tokens again, and towers with their connectors."""
    return share.fact("outside bytes", lambda: _outside_bytes(share))


def _outside_bytes(share: Share) -> tuple[float, float, float]:
    tables = output = tower = again = 0.0
    for each in weights_held(share.description, share.checkpoint or uniform(share)):
        if held_beside(share.description, each):
            tower += each.sets * each.bytes_each
        elif not each.layers and each.where.endswith("front"):
            tables += each.sets * each.bytes_each
            again += each.sets * each.bytes_each if each.part.name == TOKENS else 0.0
        elif not each.layers:
            output += each.sets * each.bytes_each
    head = share.description.head
    return tables, output + (again if head is not None and head.tied else 0.0), tower


def place(
    share: Share,
    gpu_layers: int | None = None,
    cpu_experts: float = 0,
    devices: int = 1,
    batch: int = 1,
    sees: bool = False,
) -> Placement:
    """The last ``gpu_layers`` on the devices (None: all, and the output), the experts of the first
    ``cpu_experts`` layers on the host; ``batch`` tokens choose experts in a step. ``sees``: with
    what sees or hears, on the first device."""
    layers = placed_layers(share)
    count = len(layers) if gpu_layers is None else min(gpu_layers, len(layers))
    first = len(layers) - count
    tables, output, tower = outside_bytes(share)
    with_output = gpu_layers is None or gpu_layers > len(layers)
    kept, host, host_active, active = [], tables, 0.0, output
    host_layers = sum(layer.decodes for layer in layers[:first])
    for index, layer in enumerate(layers):
        dense = layer.weight_bytes - layer.expert_bytes
        busy = layer.decodes * layer.expert_bytes * (1 - (1 - layer.active) ** batch)
        read = layer.decodes * dense + busy
        active += read
        if index < first:
            host, host_active = host + layer.weight_bytes, host_active + read
        elif index < cpu_experts:
            host, host_active = host + layer.expert_bytes, host_active + busy
            host_layers += busy > 0
            kept.append(dense)
        else:
            kept.append(layer.weight_bytes)
    if not with_output:
        host, host_active = host + output, host_active + output
    each = -(-len(kept) // devices)
    stages = [sum(kept[at : at + each]) for at in range(0, len(kept), max(each, 1))] or [0.0]
    last = output if with_output else 0.0
    beside = tower if sees else 0.0
    fullest = max(max(stages) + last, stages[0] + beside + (last if devices == 1 else 0.0))
    caches = tuple(cache for layer in layers[first:][:each] for cache in layer.caches)
    return Placement(fullest, host, host_active, active, count, caches, host_layers)


def cells_of(context: int, window: float | None, ubatch: int) -> int:
    """Cells of a layer for a sequence: rows of 256; of a window, that and a micro-batch
    (``llama_kv_cache_iswa``)."""
    cells = -(-context // 256) * 256
    return cells if window is None else min(cells, -(-int(window + ubatch) // 256) * 256)


def cache_bytes(
    caches: Sequence[LayerCache], kv_bytes: float, context: int, ubatch: int, full: bool = False
) -> float:
    """Bytes of a sequence's cache as llama.cpp keeps it: whole rows, and states in fp32; ``full``:
    windows keep every token."""
    return sum(
        cells_of(context, None if full or cache.window is None else float(cache.window), ubatch)
        * float(cache.elements) * kv_bytes + float(cache.state_elements) * STATE_BYTES
        for cache in caches
    )  # fmt: skip
