"""What a model keeps between steps: keys and values, latents, recurrent states."""

from __future__ import annotations

from math import lcm

from thermoflop.base.number import Number, ceil_div, minimum
from thermoflop.base.record import record
from thermoflop.model.architecture.mixers import Attention, LatentAttention, Mixer
from thermoflop.model.architecture.recurrences import Recurrence
from thermoflop.model.architecture.sparse import CompressedAttention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.description import Description, Layer


def _attending(description: Description) -> Iterator[tuple[Number, Mixer]]:
    """Every mixer of the causal decoder, with the number of layers that have it."""
    for stack in description.stacks:
        if stack.role not in ("decoder", "mtp") or not stack.causal:
            continue
        for run in stack.runs:
            for mixer in (*run.layer.mixers, run.layer.cross):
                if mixer is not None:
                    yield run.times, mixer


def held_tokens(tokens: Number, window: Number | None, block_size: int | None) -> Number:
    """Tokens for which a layer keeps keys: its window at most, in whole blocks of tokens."""
    held = tokens if window is None else minimum(tokens, window)
    return held if block_size is None else ceil_div(held, block_size) * block_size


def _index_key(mixer: Attention | LatentAttention) -> Number:
    """Elements of an indexer's key of one token; 0 where a key is made of several."""
    return mixer.indexer.dim if mixer.indexer and mixer.indexer.ratio == 1 else 0


def elements_per_token(mixer: Attention | LatentAttention, mla: str = "latent") -> Number:
    """Elements that one layer keeps for one token: keys and values, or the latent with its rotary
    key (DeepSeek-V2, section 2.1), and the key of an indexer that scores each token; nothing where
    a layer reads the keys and values of another."""
    index = _index_key(mixer)
    if isinstance(mixer, LatentAttention):
        if mla == "expanded":
            return mixer.heads * (mixer.key_dim + mixer.value_dim) + index
        return index + (0 if mixer.shares else mixer.kv_rank + mixer.rope)
    if mixer.projects == "q":
        return 0
    return mixer.kv_width + mixer.kv_heads * mixer.value_width + index


def limits(description: Description) -> set[int]:
    """Lengths of a context from which on a query meets no more keys: windows, chunks, choices."""
    found = (getattr(mixer, "limits", ()) for _, mixer in _attending(description))
    return {int(limit) for each in found for limit in each}


def period(description: Description) -> int:
    """Tokens after which the steps of caches that grow by entries, not tokens, are in phase, and
    those of keys that an indexer scores."""
    parts = (
        getattr(mixer, name, None)
        for _, mixer in _attending(description)
        for name in ("compressor", "indexer")
    )
    return lcm(*(int(each.ratio) for each in parts if each is not None))


def unrecorded_elements(description: Description) -> Number:
    """Elements for one token that records of counts have less than what is kept here.

    They leave out the keys of indexers, and count a vector that is key and value twice.
    """
    total: Number = 0
    for times, mixer in _attending(description):
        if isinstance(mixer, CompressedAttention):
            total = total - times * mixer.head_dim
        elif isinstance(mixer, Attention | LatentAttention):
            total = total + times * _index_key(mixer)
    return total


def _entries(
    mixer: Mixer | None, mla: str = "latent"
) -> Iterator[tuple[Number, Number | None, Number]]:
    """What a mixer keeps of tokens: elements of an entry, the last tokens whose entries are kept
    (None: all), and how many tokens an entry is for."""
    if isinstance(mixer, Attention | LatentAttention):
        reach = mixer.window if isinstance(mixer, LatentAttention) else mixer.reach
        yield elements_per_token(mixer, mla), reach, 1
        # keys of an indexer that are made of several tokens each (vLLM: tokens_per_state)
        if mixer.indexer is not None and mixer.indexer.ratio != 1:
            yield mixer.indexer.dim, None, mixer.indexer.ratio
    elif isinstance(mixer, CompressedAttention):
        yield mixer.head_dim, mixer.window, 1
        if mixer.compressor is not None and not mixer.shares:
            yield mixer.entry, None, mixer.compressor.ratio


def grows_by_entries(description: Description) -> bool:
    """Whether a cache grows by entries of several tokens each."""
    made = (entry for _, mixer in _attending(description) for entry in _entries(mixer))
    return any(ratio != 1 for _, _, ratio in made)


def cache_elements(
    description: Description,
    tokens: Number,
    encoder: Number = 0,
    block_size: int | None = None,
    mla: str = "latent",
    windowed: bool = True,
) -> Number:
    """Elements in the cache of one sequence of ``tokens`` tokens (and ``encoder`` positions)."""
    total: Number = 0
    for times, mixer in _attending(description):
        length = encoder if isinstance(mixer, Attention) and mixer.cross else tokens
        for elements, window, ratio in _entries(mixer, mla):
            held = held_tokens(length, window if windowed else None, block_size)
            whole = held if ratio == 1 else held // ratio  # a mean of contexts is no whole number
            total = total + times * elements * whole
    return total


def state_elements(description: Description) -> Number:
    """Elements of the recurrent states of one sequence, whatever its length."""
    return sum(times * _state(mixer) for times, mixer in _attending(description))


def states_kept(description: Description) -> Number:
    """Elements of recurrent states that an engine keeps for a sequence."""
    return sum(times * _state(mixer, kept=True) for times, mixer in _attending(description))


def _state(mixer: Mixer | None, kept: bool = False) -> Number:
    """Elements of a mixer's state, or those that an engine keeps; what waits to be compressed."""
    if isinstance(mixer, Recurrence):
        return mixer.kept_elements if kept else mixer.state_elements
    return mixer.state_elements if isinstance(mixer, CompressedAttention) else 0


@record
class LayerCache:
    """What one mixer of a layer keeps: ``elements`` of each of the last ``window`` tokens (None: of
    all), and ``state_elements`` of a sequence, of which ``inputs`` are inputs of a convolution over
    so many ``channels``."""

    elements: Number
    window: Number | None = None
    state_elements: Number = 0
    inputs: Number = 0
    channels: Number = 0


def layer_caches(layer: Layer) -> tuple[LayerCache, ...]:
    """What a layer of the causal decoder keeps, one entry a mixer; compressed entries their own."""
    found = []
    for mixer in (*layer.mixers, layer.cross):
        state = _state(mixer, kept=True)
        if isinstance(mixer, Recurrence):
            window = mixer.convolution()
            channels = 0 if window is None else window.outputs
            found.append(LayerCache(0, None, state, mixer.kept_window, channels))
        for elements, window, ratio in _entries(mixer):
            found.append(LayerCache(elements if ratio == 1 else elements / ratio, window, state))
            state = 0  # it stands beside the first entry
    return tuple(found)
