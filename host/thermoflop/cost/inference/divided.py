"""The memory of a run as its engine divides it: the rule of ``fit``, which decides."""

from __future__ import annotations

from thermoflop.base.number import Number, kind_of
from thermoflop.base.record import record
from thermoflop.base.units import gigabytes, wrapped
from thermoflop.cost.engines.engine import DEFAULT
from thermoflop.cost.hardware.device import is_its_hosts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.cost.engines.budget import EngineMemory
    from thermoflop.cost.engines.footprint import Load
    from thermoflop.cost.inference.room import Room
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.memory import Memory

OLLAMA = "ollama"


@record
class Divided:
    """``memory`` of the fullest device as an engine called ``name`` divides it; ``where`` says on
    which of several cards, ``engine`` is None there; ``ask`` is the command that says more,
    ``hosted`` whether of a part on the host too."""

    name: str
    memory: Memory
    ask: str
    load: Load
    engine: EngineMemory | None = None
    where: str = "a device"
    hosted: bool = False

    @property
    def sizes(self) -> str:
        """Bytes taken and there, in words."""
        total, capacity = self.memory.total_bytes, self.memory.capacity_bytes
        return f"{gigabytes(total)} of {gigabytes(capacity)} {self.where}"


def divided(
    setting: Setting, batch: Number, prompt: Number, generate: Number, page: int | None
) -> Divided | None:
    """A run of ``batch`` sequences in all replicas as ``fit`` divides its memory; None where no
    engine is named, or how it divides memory is not known: then what the model needs is summed
    up."""
    rule = _rule(setting, page)
    return None if rule is None else rule(load_of(setting, batch, prompt, generate))


def load_of(setting: Setting, batch: Number, prompt: Number, generate: Number) -> Load:
    """What one replica serves."""
    from thermoflop.cost.engines.footprint import Load

    tokens = int(prompt)
    return Load(int(batch // setting.plan.dp), tokens, tokens + int(generate))


def _rule(setting: Setting, page: int | None) -> Callable[[Load], Divided] | None:
    """How memory is divided, for any load; None likewise."""
    name, cards = setting.profile.engine.name, setting.cards
    if name == DEFAULT.name and not cards:
        return None
    room = _room(setting, page)
    if cards and (setting.asked is None or room.splits == "layers"):
        return lambda load: _over_cards(setting, room, load)
    engine = room.engine
    if engine is None:
        return None
    if engine.engine == OLLAMA:  # whose rates are llama.cpp's, and whose memory is its own
        name = OLLAMA
    ask, in_turn = f"fit --profile {name}", setting.plan.devices == setting.plan.pp
    hosted = in_turn and engine.key == "llama.cpp" and not is_its_hosts(setting.device)
    return lambda load: Divided(
        name, engine.memory(setting.share, load), ask, load, engine, hosted=hosted
    )


def _room(setting: Setting, page: int | None) -> Room:
    """What ``fit`` makes of the same question."""
    from thermoflop.cost.inference.room import Room, engine_of

    device, asked = setting.device, setting.asked or setting.profile.engine.name
    engine, _, splits = engine_of(asked, device, None)
    return Room(
        setting.model, device, setting.precision, None, None, setting.share.checkpoint, engine,
        splits, page,
    )  # fmt: skip


def _over_cards(setting: Setting, room: Room, load: Load) -> Divided:
    """Whole layers of cards that are not alike; without an engine as llama.cpp splits them."""
    from thermoflop.cost.inference.unequal import Split, fullest
    from thermoflop.cost.work.share import Layout

    own = setting.profile.engine.name
    card = fullest(Split(room, setting.cards, room.share(Layout())).place(load))
    name, ask = (own, f"fit --profile {own}") if own != DEFAULT.name else ("llama.cpp", "fit")
    return Divided(name, card.memory, ask, load, None, f"on {card.device.name}")


def fits_as_divided(
    setting: Setting, batch: Number, prompt: Number, generate: Number, memory: Memory
) -> Number:
    """Whether a run fits, as ``fit`` says: by the rule of its engine where that is known, else by
    ``memory``, the sum of what the model needs; of arrays, which of them do."""
    if any(kind_of(size) == "numpy" for size in (batch, prompt, generate)):
        return _fit_in_rows(setting, batch, prompt, generate, memory)
    own = divided(setting, batch, prompt, generate, memory.page_tokens)
    return bool((memory if own is None else own.memory).fits)


def _fit_in_rows(
    setting: Setting, batch: Number, prompt: Number, generate: Number, memory: Memory
) -> Number:
    """The same of each row. What holds so many sequences holds fewer: of each prompt and
    generation the largest batch that fits is looked for, and not every one asked about."""
    from bisect import bisect_left

    import numpy as np

    rule = _rule(setting, memory.page_tokens)
    if rule is None:
        return memory.fits
    sizes = np.broadcast_arrays(*(np.asarray(size) for size in (batch, prompt, generate)))
    batches, *tokens = (size.ravel() for size in sizes)
    pairs, which = np.unique(np.stack(tokens), axis=1, return_inverse=True)
    counts = np.unique(batches)

    def most(pair: tuple[int, int]) -> float:
        def lacks(count: int) -> bool:
            return not rule(load_of(setting, count, *pair)).memory.fits

        place = bisect_left(counts, True, key=lacks)
        return float(counts[place - 1]) if place else 0.0

    fewer = batches <= np.array([most(pair) for pair in pairs.T])[which.ravel()]
    return fewer.reshape(sizes[0].shape)


def differs(own: Divided | None, memory: Memory) -> bool:
    """Whether the engine's own rule, which decides, says otherwise than the sum."""
    return own is not None and bool(own.memory.fits) != bool(memory.fits)


def differing(own: Divided | None, memory: Memory, setting: Setting) -> list[str]:
    """What the engine's own rule says of the memory, where the sum says otherwise, and of a batch
    that it does not run at once."""
    if own is None or not differs(own, memory):
        return _waiting(own, setting)
    from thermoflop.cost.engines.raised import raised

    verdict = "it fits" if own.memory.fits else "DOES NOT FIT"
    said = f"{verdict} as {own.name} divides memory: {own.sizes}; `{own.ask}` says why"
    if not own.memory.fits and own.engine is not None:
        more = raised(own.engine, setting.share, own.load)
        said += "" if more is None else f"; it would fit with {more.flag} {more.value:g}"
    return [wrapped(said), *_waiting(own, setting)]


def _waiting(own: Divided | None, setting: Setting) -> list[str]:
    """How many of a batch that fits run at once, where the engine lets the others wait."""
    if own is None or own.engine is None or not own.memory.fits:
        return []
    waits = own.engine.waiting(setting.share, own.load, setting.plan.dp)
    return [wrapped(f"{own.name}: {waits}; the times are of all at once")] if waits else []


def divided_line(own: Divided | None, memory: Memory) -> list[str]:
    """What ``fit`` counts for the engine, below the sum of what the model needs."""
    if own is None:
        return []
    took = gigabytes(own.memory.total_bytes) if own.engine is not None else own.sizes
    if differs(own, memory):
        missing = gigabytes(own.memory.shortfall_bytes)
        took += ", fits" if own.memory.fits else f", DOES NOT FIT, {missing} missing"
    if own.hosted and not own.memory.fits:
        took += "; how fast with a part on the host"
    return [wrapped(f"  as {own.name} divides it {took}: `{own.ask}`", "    ")]
