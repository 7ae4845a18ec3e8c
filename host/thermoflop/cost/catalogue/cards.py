"""Several cards as one name: ``2x3090``, ``rtx-4090 + rtx-4090``, ``rtx-3090 + 2 x rtx-4090``.

Cards that are alike are one device and how many. Others are counted as so many of one that stands
for them: where layers are split by memory and run one after the other (llama.cpp), a device of
their mean speeds; where every card does the same share of each step, one of the slowest of each.
"""

from __future__ import annotations

from collections import Counter

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import (
    as_device,
    counted,
    find_device,
    is_known,
    plain_names,
)
from thermoflop.cost.engines.abilities import engine_on
from thermoflop.cost.engines.engine import is_ollama
from thermoflop.cost.hardware.device import Device, pcie_bytes_s
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermoflop.cost.catalogue.profile import Profile

MOST_CARDS = 64


def named_cards(hardware: str | Device) -> list[Device]:
    """The cards that a text names, ``2 x rtx-3090 + rtx-4090``; none where it names no several."""
    if not isinstance(hardware, str) or "+" not in hardware or hardware.endswith(".toml"):
        return []
    ends = hardware.strip()[-1] == "+"  # of a list that lacks a card, or of a name: Xeon 8480+
    if _is_part_of_a_name(hardware) if ends else is_known(hardware):  # AMD's "AI Max+ 395" is one
        return []
    cards: list[Device] = []
    for part in hardware.split("+"):
        count, name = counted(part.strip())
        if not name:
            raise UsageError(f"{hardware!r:.60} is no list of cards: expected such as a + 2 x b")
        cards += [find_device(name)] * (count or 1)
        if len(cards) > MOST_CARDS:
            raise UsageError(
                f"{len(cards)} cards are more than a machine has: expected {MOST_CARDS}"
            )
    return cards


def _is_part_of_a_name(text: str) -> bool:
    """Whether a device of the catalogue is called so, letter by letter, whatever else it is."""
    said = text.strip().lower()
    return any(said in name.lower() for names in plain_names().values() for name in names)


def unlike(hardware: str | Device) -> tuple[Device, ...]:
    """The cards that a text names where they are not alike; none else."""
    cards = named_cards(hardware)
    return tuple(cards) if any(card != cards[0] for card in cards) else ()


def alike(hardware: str | Device, devices: int | None) -> tuple[str | Device, int | None]:
    """One device and how many, where a text names several that are alike; else as they are.
    UsageError where text and ``devices`` say two numbers."""
    if not isinstance(hardware, str):
        return hardware, devices
    count, one = counted(hardware)
    found: str | Device = one
    if count is None:
        cards = named_cards(hardware)
        if not cards or any(card != cards[0] for card in cards):
            return hardware, devices
        count, found = len(cards), cards[0]
    elif not is_known(one) and not one.endswith(".toml"):
        return hardware, devices
    if devices not in (None, count):
        raise UsageError(f"{hardware!r:.60} and devices={devices!r:.20} say two numbers of devices")
    return found, count


def pooled(
    hardware: str | Device,
    devices: int | None,
    tp: int | None,
    pp: int,
    profile: str | Profile | None = None,
    *,
    dp: int = 1,
    evenly: bool = False,
    dtype: str | None = None,
) -> tuple[str | Device, int | None, int | None, int]:
    """Device, devices, tp and pp of a question, cards that are not alike counted as those of one
    kind: ``evenly`` where each does as much as the others, whatever the profile's engine does.
    Devices without a degree go to what the engine splits that is named, or stands for one that is
    not, for ``dtype`` too (llama.cpp: layers), those of ``dp`` replicas aside. UsageError for
    degrees of parallelism besides cards that are not alike."""
    hardware, devices = alike(hardware, devices)
    cards = named_cards(hardware)
    if not cards:
        free = devices is not None and tp is None and pp == 1 and not evenly
        if free and devices and devices % dp == 0 and _splits_layers_on(hardware, profile, dtype):
            return hardware, devices, 1, devices // dp
        return hardware, devices, tp, pp
    count = len(cards)
    if devices not in (None, count) or pp not in (1, count):
        raise UsageError(f"{hardware!r:.60} are {count} devices: give no devices and no degrees")
    if not evenly and splits_layers(profile):
        if tp not in (None, 1) or dp != 1:  # one replica's layers lie on all of them
            raise UsageError(f"{hardware!r:.60} share layers: give no degrees")
        return mean_card(cards), None, 1, count
    return slowest_card(cards), count, tp, pp


def _splits_layers_on(
    hardware: str | Device, profile: str | Profile | None, dtype: str | None
) -> bool:
    """Whether devices that are alike get layers of their own: by the engine of a profile, or that
    which stands for one where none is named."""
    engine = engine_on(as_device(hardware), dtype) if profile is None else profile
    return engine is not None and splits_layers(engine)


def splits_layers(profile: str | Profile | None) -> bool:
    """Whether the engine of a profile gives each device layers of its own; without one, as
    llama.cpp does."""
    from thermoflop.cost.catalogue.profiles import find_profile

    if profile is None or is_ollama(profile):
        return True
    return find_profile(profile).engine.splits == "layers"


def slowest_card(cards: Sequence[Device]) -> Device:
    """A device of the least that any of the cards has: each waits for the slowest at every step,
    and holds as much as the smallest."""
    return _of(cards, f"slowest of {_names(cards)}", min, min(card.memory_bytes for card in cards))


def mean_card(cards: Sequence[Device]) -> Device:
    """A device so many of which, with a like share of the layers each, take as long as the cards
    with layers in proportion to their memory: seconds for a byte and a FLOP are means, weighed by
    layers, for a token passes one card after the other."""
    whole = sum(card.memory_bytes for card in cards)
    shares = [card.memory_bytes / whole for card in cards]

    def mean(rates: Sequence[float]) -> float:
        return 1 / sum(share / rate for share, rate in zip(shares, rates, strict=True))

    return _of(cards, f"mean of {_names(cards)}", mean, whole / len(cards))


def _of(
    cards: Sequence[Device], name: str, rate: Callable[[Sequence[float]], float], memory: float
) -> Device:
    """A device whose rates are those of the cards put together by ``rate``."""
    first, slow = cards[0], min(cards, key=lambda card: pcie_bytes_s(card.pcie))
    formats = [each for each in first.peaks if all(card.has_peak(each) for card in cards)]

    def every(field: str, put: Callable[[list[float]], float]) -> float | None:
        values = [getattr(card, field) for card in cards]
        return put(values) if all(values) else None

    cores = slow.cores or 128
    return replace(
        slow, name=name, memory_bytes=memory, idle_w=None, cores=cores,
        vendor=first.vendor if {card.vendor for card in cards} == {first.vendor} else "",
        bandwidth_bytes_s=rate([card.bandwidth_bytes_s for card in cards]),
        peaks={each: rate([card.peak(each) for card in cards]) for each in formats},
        half_accumulate_flops_s=every("half_accumulate_flops_s", rate),
        boost_mhz=rate([card.core_hz for card in cards]) / cores / 1e6,
        link_bytes_s=every("link_bytes_s", min),
        cache_bytes=min(card.cache_bytes for card in cards),
        power_w=every("power_w", lambda watts: sum(watts) / len(watts)),
    )  # fmt: skip


def _names(cards: Sequence[Device]) -> str:
    """``2 RTX 3060 + RTX 4090``."""
    counts = Counter(card.name for card in cards)
    return " + ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())
