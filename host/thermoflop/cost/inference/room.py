"""Whether a model fits: its memory on a layout, by the engine's own rule where one is named."""

from __future__ import annotations

from bisect import bisect_left

from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.abilities import plugin_of
from thermoflop.cost.engines.budget import (
    MOST_AT_ONCE,
    EngineMemory,
    engine_memory,
    has_options,
)
from thermoflop.cost.engines.engine import is_ollama
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.engines.options import given_options
from thermoflop.cost.engines.sglang_choices import apart
from thermoflop.cost.hardware.precision import Precision, choose_precision
from thermoflop.cost.inference.formats import choose_formats
from thermoflop.cost.inference.held_to import check_engine, engine_of_files
from thermoflop.cost.memory import Memory, memory_of
from thermoflop.cost.work.share import Layout, Share, choose_layout
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.work.weights import Checkpoint
    from thermoflop.model.model import Model

LARGEST = 2**40
MOST_DEVICES = 1024
# Ways that heads are divided at most: devices of one node.
MOST_HEADS = 8
# From so many devices on, whole nodes are tried where heads are divided: nobody starts nine stages.
# Layers go on any number of cards, up to so many.
WHOLE_NODES = {"heads": MOST_HEADS, "layers": 64}


@record
class Room:
    """A model in a format on devices of one kind, and the engine that divides their memory.

    ``splits``: ``layers`` where the engine spreads layers, not heads. ``dtype`` and ``kv_dtype``
    are the names that were asked for, ``asked`` the profile (None: none was named).
    """

    model: Model
    device: Device
    precision: Precision
    dtype: str | None
    kv_dtype: str | None
    checkpoint: Checkpoint | None = None
    engine: EngineMemory | None = None
    splits: str = "heads"
    page: int | None = None
    asked: str | Profile | None = None

    def share(self, plan: Layout, model: Model | None = None, beside: Share | None = None) -> Share:
        """What one device of a layout holds, of another form of the model, or beside a draft."""
        whole = self.model if model is None else model
        return Share(whole.description, plan, self.precision, self.checkpoint, beside)

    def memory(self, share: Share, load: Load) -> Memory:
        """Memory of the fullest device while a replica serves a load."""
        if self.engine is not None:
            return self.engine.memory(share, load)
        read = max(1, min(load.prompt, load.context))
        return memory_of(share, self.device, read, load.context - read, load.sequences, self.page)

    def in_format(self, dtype: str | None, kv_dtype: str | None) -> Room:
        """The same in other formats."""
        version = None if self.engine is None else self.engine.options.get("version")
        precision, checkpoint = choose_formats(
            self.model, self.device, dtype, kv_dtype, self.asked, version
        )
        return replace(
            self, precision=precision, checkpoint=checkpoint, dtype=dtype, kv_dtype=kv_dtype
        )

    def drafting(self, tokens: int) -> Room:
        """The same while so many tokens are drafted, where the engine's options say how many are:
        SGLang's one more, the one that is known, and vLLM's as they are."""
        if self.engine is None or not tokens:
            return self
        options = dict(self.engine.options)
        for name, more in (("speculative_num_draft_tokens", 1), ("num_speculative_tokens", 0)):
            if options.get(name, 0) is None:
                options[name] = tokens + more
        return replace(self, engine=replace(self.engine, options=options))

    def with_slots(self, slots: int | None, share: Share) -> Room:
        """The same where so many sequences of a replica were asked for, which SGLang takes in the
        place of what is usual for a model or while tokens are drafted."""
        name = "max_running_requests"
        if self.engine is None or slots is None or self.engine.options.get(name, 0) is not None:
            return self
        options = {**self.engine.options, name: slots * apart(share.plan)}
        return replace(self, engine=replace(self.engine, options=options))

    def in_passes(self, tokens: int, plan: Layout) -> Room:
        """The same where a pass of a replica has so many tokens, for which SGLang sets memory aside
        before it loads."""
        name = "chunked_prefill_size"
        if self.engine is None or self.engine.options.get(name, 0) is not None:
            return self
        options = {**self.engine.options, name: tokens * apart(plan)}
        return replace(self, engine=replace(self.engine, options=options))

    def running_more(
        self, share: Share, load: Load, most: int, given: Mapping[str, Any] | None
    ) -> Room:
        """The same where the engine runs as many sequences at once as memory holds, ``most`` at
        most, as a command may say; as it is where an option that was given says how many."""
        usual, name = self.limit(share, load)
        engine = self.engine
        if engine is None or usual is None or name in given_options(engine.engine, given):
            return self
        held = min(most, self.running(share, load))
        if held <= usual or name != MOST_AT_ONCE[engine.engine]:
            return self
        held *= apart(share.plan) if engine.engine == "sglang" else 1
        return replace(self, engine=replace(engine, options={**engine.options, name: held}))

    def seeing(self) -> Room:
        """The same with what sees or hears, where an engine has that in a file of its own."""
        if self.engine is None or "mmproj" not in self.engine.options:
            return self
        options = {**self.engine.options, "mmproj": True}
        return replace(self, engine=replace(self.engine, options=options))

    def plan(
        self, devices: int | None, tp: int | None, pp: int, dp: int, ep: int, cp: int
    ) -> Layout:
        """The layout of these degrees; devices without one go to what the engine splits."""
        if devices is not None and tp is None:
            others = dp * cp
            if self.splits == "layers" and pp == 1 and devices % others == 0:
                tp, pp = 1, devices // others
        return choose_layout(devices, tp, pp, dp, ep, cp)

    def layouts(self, devices: int) -> Iterator[Layout]:
        """Ways to spread the model over devices: heads as far as they go, up to 8; layers beyond"""
        heads = range(MOST_HEADS, 0, -1) if self.splits == "heads" else (1,)
        for tp in heads:
            if devices % tp == 0:
                yield Layout(tp, devices // tp)

    @property
    def most_devices(self) -> int:
        """Devices that a replica may have: one of an engine that others' plugin runs there."""
        engine = None if self.asked is None else find_profile(self.asked).engine
        return 1 if engine is not None and plugin_of(engine, self.device) else MOST_DEVICES

    def fewest(self, load: Load) -> Layout | None:
        """The fewest devices that hold a load: any number of one node's, or whole nodes of 8 (see
        ``WHOLE_NODES``); None where ``most_devices`` are too few.

        No fewer are tried than weights and cache need where they are spread evenly.
        """
        alone = self.memory(self.share(Layout()), load)
        room = float(alone.capacity_bytes - alone.reserve_bytes)
        if room <= 0:
            return None
        devices = max(1, int((alone.weight_bytes + alone.kv_bytes) / room))
        if devices > WHOLE_NODES.get(self.splits, MOST_HEADS):
            devices += -devices % MOST_HEADS
        while devices <= self.most_devices:
            for plan in self.layouts(devices):
                try:
                    share = self.share(plan)
                except UsageError:
                    continue
                if self.memory(share, load).fits:
                    return plan
            whole = devices >= WHOLE_NODES.get(self.splits, MOST_HEADS)
            devices += MOST_HEADS - devices % MOST_HEADS if whole else 1
        return None

    def longest(self, share: Share, load: Load) -> int:
        """The longest context at these sequences, never longer than the model has positions."""
        most = self.model.max_positions or LARGEST
        allowed = None if self.engine is None else self.engine.longest(load)
        most = most if allowed is None else min(most, allowed)

        def holds(tokens: int) -> bool:
            return bool(self.memory(share, load.of_length(tokens)).fits)

        return min(most, largest(holds, most))

    def most(self, share: Share, load: Load) -> int:
        """The most sequences at once of this context."""
        limit = None
        if self.engine is not None:
            limit = self.engine.divide(share, load)[0].sequences
        found = largest(
            lambda sequences: bool(self.memory(share, replace(load, sequences=sequences)).fits)
        )
        return found if limit is None else min(found, limit)

    def running(self, share: Share, load: Load) -> int:
        """The most sequences that memory holds at once while they are served."""
        if self.engine is None:
            return self.most(share, load)
        held = self.engine.running(share, load)
        return int(min(LARGEST, LARGEST if held is None else held))

    def limit(self, share: Share, load: Load) -> tuple[int | None, str]:
        """The most sequences that the engine runs at once, whatever memory holds, and the option
        that says so; None and "" where it has no such limit, or is not known."""
        return (None, "") if self.engine is None else self.engine.limit(share, load)


def largest(holds: Callable[[int], bool], most: int = LARGEST) -> int:
    """The largest whole number for which something holds that holds for all smaller ones; or 0."""
    beyond = 1
    while beyond <= most and holds(beyond):
        beyond += beyond
    smaller = range(1, min(beyond, most + 1))
    return bisect_left(smaller, True, key=lambda number: not holds(number))


def room_of(
    model: Model,
    device: Device,
    dtype: str | None,
    kv_dtype: str | None,
    page: int | None,
    profile: str | Profile | None,
    options: Mapping[str, Any] | None,
) -> Room:
    """The room of a question. UsageError for an engine's option that it does not know."""
    version = options.get("version") if isinstance(options, dict) else None
    precision, checkpoint = choose_formats(model, device, dtype, kv_dtype, profile, version)
    engine, splits = None, "heads"
    if profile is not None:
        check_engine(profile, device, dtype, kv_dtype, model)
        engine, formats, splits = engine_of(profile, device, options)
        if formats is not None:
            precision, kv_dtype = _kept_as(precision, kv_dtype, formats)
    elif options:
        raise UsageError("engine_options need the engine: name it with profile (--profile)")
    elif unnamed := engine_of_files(model, device, dtype):  # as its rates are, in an estimate
        engine, _, splits = engine_of(unnamed, device, None)
    if engine is not None:
        engine = replace(engine, positions=model.max_positions)
    return Room(
        model, device, precision, dtype, kv_dtype, checkpoint, engine, splits, page, profile
    )  # fmt: skip


def engine_of(
    profile: str | Profile, device: Device, options: Mapping[str, Any] | None
) -> tuple[EngineMemory | None, tuple[str, str] | None, str]:
    """How a profile's engine, of the version that its name carries, divides a device (None: not
    known), the formats of keys and values that its options ask for, and what it splits."""
    engine = find_profile(profile).engine
    name = "ollama" if is_ollama(profile) else engine.name
    if not options and not has_options(name):
        return None, None, engine.splits
    return *engine_memory(name, device, _with_version(name, profile, options)), engine.splits


def _with_version(
    engine: str, profile: str | Profile, options: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """The options, with the version that the name of a profile carries (``vllm 0.11``), or the last
    one of its generation (``vllm@0.11``), of an engine that divides memory by it."""
    name = profile if isinstance(profile, str) else profile.name
    words = name.replace("@", " ").split()
    if engine in ("vllm", "sglang") and len(words) > 1 and words[1][:1] in "v0123456789":
        return {"version": words[1], **(options or {})}
    return options


def _kept_as(
    precision: Precision, kv_dtype: str | None, formats: tuple[str, str]
) -> tuple[Precision, str | None]:
    """The formats of a run whose cache is as an engine's options say; UsageError where the cache
    was asked for in another one besides."""
    keys, values = (choose_precision("bf16", name).kv_bytes for name in formats)
    if kv_dtype is not None and precision.kv_bytes != keys:
        raise UsageError(f"kv_dtype={kv_dtype} and the engine's option ask for different caches")
    kept = replace(precision, kv_bytes=(keys + values) / 2)
    return kept, formats[0] if keys == values else None
