"""What a model keeps between steps: keys and values, latents, recurrent states."""

from __future__ import annotations

from math import lcm

from thermoflop.base.number import ceil_div, minimum
from thermoflop.base.record import record
from thermoflop.model.architecture.compressed import CompressedAttention
from thermoflop.model.architecture.mixers import Attention, LatentAttention
from thermoflop.model.architecture.side_by_side import SideBySide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.base.number import Number
    from thermoflop.model.architecture.description import Description, Layer
    from thermoflop.model.architecture.mixers import Mixer


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


def elements_per_token(mixer: Attention | LatentAttention, mla: str = "latent") -> Number:
    """Elements that one layer keeps for one token: keys and values, or the latent with its rotary
    key (DeepSeek-V2, section 2.1), and the key of an indexer; nothing where a layer reads the keys
    and values of another."""
    index = mixer.indexer.dim if mixer.indexer else 0
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
    """Tokens after which the steps of caches that grow by entries, not tokens, are in phase."""
    compressors = (getattr(mixer, "compressor", None) for _, mixer in _attending(description))
    return lcm(*(int(each.ratio) for each in compressors if each is not None))


def unrecorded_elements(description: Description) -> Number:
    """Elements for one token that records of counts have less than what is kept here.

    They leave out the keys of indexers, and count a vector that is key and value twice.
    """
    total: Number = 0
    for times, mixer in _attending(description):
        if isinstance(mixer, CompressedAttention):
            total = total - times * mixer.head_dim
        elif isinstance(mixer, Attention | LatentAttention) and mixer.indexer is not None:
            total = total + times * mixer.indexer.dim
    return total


def _compressed_elements(
    mixer: CompressedAttention, tokens: Number, block_size: int | None, windowed: bool
) -> Number:
    """Elements that one layer keeps: its window, compressed entries and the indexer's."""
    held = held_tokens(tokens, mixer.window if windowed else None, block_size)
    total = held * mixer.head_dim
    if mixer.compressor is not None:
        index = mixer.indexer.dim if mixer.indexer else 0
        entries = held_tokens(tokens, None, block_size) // mixer.compressor.ratio
        total = total + entries * (mixer.head_dim + index)
    return total


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
        if isinstance(mixer, LatentAttention):
            held = held_tokens(tokens, mixer.window if windowed else None, block_size)
        elif isinstance(mixer, Attention):
            window = mixer.window if mixer.chunk is None else mixer.chunk
            length = encoder if mixer.cross else tokens
            held = held_tokens(length, window if windowed else None, block_size)
        elif isinstance(mixer, CompressedAttention):
            total = total + times * _compressed_elements(mixer, tokens, block_size, windowed)
            continue
        else:
            continue
        total = total + times * elements_per_token(mixer, mla) * held
    return total


def state_elements(description: Description) -> Number:
    """Elements of the recurrent states of one sequence, whatever its length."""
    total: Number = 0
    for times, mixer in _attending(description):
        if not isinstance(mixer, Attention | LatentAttention | SideBySide):
            total = total + times * mixer.state_elements
    return total


def states_kept(description: Description) -> Number:
    """Elements of recurrent states that an engine keeps for a sequence.

    A convolution of four taps needs three positions from before; transformers keeps all four.
    """
    spare: Number = 0
    for times, mixer in _attending(description):
        convolution = getattr(mixer, "convolution", lambda: None)()
        if convolution is not None:
            spare = spare + times * convolution.outputs
    return state_elements(description) - spare


@record
class LayerCache:
    """What one mixer of a layer keeps: ``elements`` of each of the last ``window`` tokens (None: of
    all), and ``state_elements`` of a sequence."""

    elements: Number
    window: Number | None = None
    state_elements: Number = 0


def layer_caches(layer: Layer) -> tuple[LayerCache, ...]:
    """What a layer of the causal decoder keeps, one entry a mixer; compressed entries their own."""
    found = []
    for mixer in (*layer.mixers, layer.cross):
        if isinstance(mixer, LatentAttention):
            found.append(LayerCache(elements_per_token(mixer), mixer.window))
        elif isinstance(mixer, Attention):
            window = mixer.window if mixer.chunk is None else mixer.chunk
            found.append(LayerCache(elements_per_token(mixer), window))
        elif isinstance(mixer, CompressedAttention):
            found.append(LayerCache(mixer.head_dim, mixer.window, mixer.state_elements))
            if mixer.compressor is not None:
                width = mixer.head_dim + (mixer.indexer.dim if mixer.indexer else 0)
                found.append(LayerCache(width / mixer.compressor.ratio))
        elif mixer is not None and not isinstance(mixer, SideBySide):
            convolution = getattr(mixer, "convolution", lambda: None)()
            spare = 0 if convolution is None else convolution.outputs
            found.append(LayerCache(0, None, mixer.state_elements - spare))
    return tuple(found)
