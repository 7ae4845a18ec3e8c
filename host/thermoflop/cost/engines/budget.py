"""The memory of a device as an engine divides it: its options, its pool, its own words."""

from __future__ import annotations

from math import hypot, inf

from thermoflop.base.record import record, replace
from thermoflop.base.units import digits, gigabytes, wrapped
from thermoflop.cost.engines.footprint import (
    FOOTPRINTS,
    GIB,
    HOPPER,
    MIB,
    Footprint,
    Load,
)
from thermoflop.cost.engines.generation import text_of
from thermoflop.cost.engines.options import (
    OLLAMA,
    OPTIONS,
    own_names,
    read_options,
    version_numbers,
)
from thermoflop.cost.engines.placement import outside_bytes
from thermoflop.cost.engines.pools import LAYOUTS as POOLS
from thermoflop.cost.engines.pools import Layout
from thermoflop.cost.engines.sglang_cache import sglang_layout, states_note
from thermoflop.cost.engines.sglang_choices import on_device
from thermoflop.cost.hardware.device import is_its_hosts
from thermoflop.cost.hardware.metal import metal_words
from thermoflop.cost.memory import Memory, beside_bytes
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.work.share import Share

# 80 % of what engines held besides weights and cache lies within these factors of what is predicted
# (``validate memory``), with a share of the weights and of the device: what a loader adds to a
# file's sizes, and what other programs hold.
SPREAD = {
    "vllm": (0.95, 1.07), "sglang": (0.8, 1.2), "tensorrt-llm": (0.6, 1.6),
    "llama.cpp": (0.9, 1.15), "ollama": (0.9, 1.15), "transformers": (0.9, 1.1),
    "autoawq": (0.8, 1.25),
}  # fmt: skip
WEIGHTS_SLACK, DEVICE_SLACK = 0.006, {"sglang": 0.008, "tensorrt-llm": 0.012}
# GGUF files of one name mix their formats differently (q4_k_m of two makers: 2 %); and what a
# driver, a context and other programs hold beside llama.cpp's buffers is 0.07 to 0.75 GiB where no
# screen is driven (its "unaccounted" on Quadro P1000, RTX 4090 and RTX PRO 6000).
GGUF_SLACK, GGML_DOUBT = 0.015, 0.35e9
# vLLM on a Hopper until 0.19, of which there are logs by the dozen, on other devices and since, and
# beyond the newest version of which a log was read. So wide 8 in 10 of what other systems printed
# lies in it.
VLLM_SEEN, VLLM_UNSEEN, VLLM_LATER = 0.25 * GIB, 0.9 * GIB, 1.3 * GIB
# On boards that share their memory vLLM takes what the system calls available for what is free
# (``MemorySnapshot.measure`` of utils/mem_utils.py), so that all that runs there counts: three logs
# of a Jetson Thor are 0.6, -0.2 and 2.2 GiB from what is predicted.
VLLM_SHARED = 1.7 * GIB
SEEN_BELOW, NEWEST_READ = (0, 20), (0, 31)
# So many times the sequences that have room in full run at once before it is said.
NOTABLY = 1.1
LAYOUTS = {**POOLS, "sglang": sglang_layout}
# What engines call the most sequences that they run at once.
MOST_AT_ONCE = {
    "vllm": "max_num_seqs", "sglang": "max_running_requests", "tensorrt-llm": "max_batch_size",
    "llama.cpp": "parallel", "ollama": "num_parallel",
}  # fmt: skip


@record
class Budget:
    """What an engine does with the memory of one device, made by ``fit`` for a named engine.

    Attributes:
        engine: the engine.
        options: its options by name, with defaults filled in where the engine has fixed ones.
        usable_bytes: what it may use of the device for weights, work and cache.
        weight_bytes: weights on the device.
        activation_bytes: the peak of a forward pass and of sampling, or its compute buffer.
        overhead_bytes: contexts, communicators and libraries that it counts.
        graph_bytes: CUDA graphs that it counts.
        cache_bytes: what is left for the cache.
        cache_low_bytes: low end of an 80 % interval of that.
        cache_high_bytes: high end.
        cache_tokens: tokens for which the cache has room, as the engine prints it.
        block_size: tokens of a block, rows of a cell or a page.
        context: tokens of a sequence, prompt and generated.
        sequences: sequences of that many tokens that have room at once; None where they need none.
        most_sequences: how many it runs at once at most; None where there is no limit.
        host_bytes: weights that stay in the memory of the host.
        notes: how its tokens are counted and what a sequence takes of the cache, in sentences,
            where its layers keep differently; (), the default: as many tokens as it has.

    Example:
        >>> import thermoflop as tf
        >>> budget = tf.fit("llama-3-8b", "h100", profile="vllm").budget
        >>> budget.cache_tokens % budget.block_size, budget.options["gpu_memory_utilization"]
        (0, 0.92)
    """

    engine: str
    options: dict[str, Any]
    usable_bytes: float
    weight_bytes: float
    activation_bytes: float
    overhead_bytes: float
    graph_bytes: float
    cache_bytes: float
    cache_low_bytes: float
    cache_high_bytes: float
    cache_tokens: int
    block_size: int
    context: int
    sequences: float | None
    most_sequences: int | None
    host_bytes: float = 0.0
    notes: tuple[str, ...] = ()


@record
class EngineMemory:
    """How an engine divides a device: asked once, and then for any load. ``positions`` are those
    that the model has, the longest sequence where no option says less."""

    engine: str
    options: dict[str, Any]
    device: Device
    positions: int | None = None

    @property
    def key(self) -> str:
        """The engine whose memory it is: Ollama's is llama.cpp's."""
        return "llama.cpp" if self.engine == "ollama" else self.engine

    def divide(self, share: Share, load: Load) -> tuple[Footprint, Layout]:
        """What it takes besides the cache, and how it keeps that."""
        own = on_device(self.options, self.device) if self.key == "sglang" else self.options
        served = self.options.get("max_model_len") or self.positions
        options = {**own, "max_model_len": served}
        footprint = FOOTPRINTS[self.key](share, self.device, options, load)
        layout = LAYOUTS[self.key](share, load, options, footprint.in_flight)
        if share.beside is None:
            return footprint, layout
        weights, cache = beside_bytes(share, load.context, 1)
        held = footprint.weight_bytes + weights
        return replace(footprint, weight_bytes=held), layout.with_beside(float(cache))

    def memory(self, share: Share, load: Load) -> Memory:
        """The memory of a load: the reserve is what the engine counts besides, and what it leaves
        alone."""
        footprint, layout = self.divide(share, load)
        slots = self.options.get("parallel") or load.sequences
        words = ", ".join(
            f"{name}={value}" for name, value in self._said(footprint).items() if value is not None
        )
        beside = footprint.overhead_bytes + footprint.graph_bytes
        reserve = self.device.memory_bytes - footprint.usable_bytes + beside
        taken = footprint.activation_bytes + reserve
        less, more = (each / taken if taken else 0.0 for each in self.doubt(footprint))
        return Memory(
            footprint.weight_bytes,
            layout.fixed_bytes + max(slots, load.sequences) * layout.sequence_bytes,
            footprint.activation_bytes, reserve, self.device.memory_bytes,
            spread=(1 - less, 1 + more), spread_bytes=taken,
            assumed=f"{self.engine}: {words or 'no option decides'}{self._metal()}",
            recalled=self.device.recalls("memory"),
        )  # fmt: skip

    def _said(self, footprint: Footprint) -> dict[str, Any]:
        """Its options by its own names, with what it settles."""
        return own_names(self.engine, {**self.options, **(footprint.settled or {})})

    def running(self, share: Share, load: Load) -> float | None:
        """Sequences of a load for which the pool has room at once while they are served; None where
        they need none."""
        many = self._sharing(load) or load.sequences
        footprint, layout = self.divide(share, replace(load, sequences=many))
        return layout.running(footprint.cache_bytes)

    def limit(self, share: Share, load: Load) -> tuple[int | None, str]:
        """The most sequences that a server runs at once, whatever memory holds (None: as many as
        that), and the option that says so."""
        if shared := self._sharing(load):
            return shared, "ctx_size"
        return self._limit(self.divide(share, load)[0])

    def _limit(self, footprint: Footprint) -> tuple[int | None, str]:
        return footprint.sequences, footprint.limited_by or MOST_AT_ONCE.get(self.engine, "")

    def _sharing(self, load: Load) -> int | None:
        """Sequences that have room in llama.cpp's ``ctx_size`` where no option says into how many
        slots it is cut; None where one does, and of others."""
        if self.engine != "llama.cpp" or self.options["parallel"] or not self.options["ctx_size"]:
            return None
        return max(1, int(self.options["ctx_size"] // load.context))

    def doubt(self, footprint: Footprint) -> tuple[float, float]:
        """Bytes by which an engine takes less, and more, than is predicted in 80 % of runs: of its
        work, of the weights, and of the device. They do not know of each other."""
        low, high = SPREAD[self.engine]
        work = footprint.activation_bytes + footprint.overhead_bytes + footprint.graph_bytes
        weights = WEIGHTS_SLACK * footprint.weight_bytes
        device = DEVICE_SLACK.get(self.engine, 0.0) * self.device.memory_bytes
        if self.key == "vllm":
            device = self._unseen_bytes()
        elif self.key == "llama.cpp":
            weights, device = GGUF_SLACK * footprint.weight_bytes, GGML_DOUBT
        both = hypot(weights, device, footprint.group_bytes)
        return hypot((1 - low) * work, both), hypot((high - 1) * work, both, footprint.doubt_bytes)

    def _unseen_bytes(self) -> float:
        """What a device and a version that were read of little, or not at all, add."""
        if is_its_hosts(self.device):
            return VLLM_SHARED
        if self.is_later:
            return VLLM_LATER
        version = version_numbers(self.options["version"])
        read = version < SEEN_BELOW and self.device.name.startswith(HOPPER)
        return VLLM_SEEN if read else VLLM_UNSEEN

    @property
    def is_later(self) -> bool:
        """Whether a version is named that is newer than any of which a log was read."""
        named = self.options.get("version")
        return named is not None and version_numbers(named) > NEWEST_READ

    def _later(self) -> tuple[str, ...]:
        """What stands in for a version that is newer than any that was read."""
        if not self.is_later:
            return ()
        newest, asked = text_of(NEWEST_READ), self.options["version"]
        return (f"{asked} is taken as {newest}, the newest that was read: wider interval",)

    def _unseen(self, share: Share) -> tuple[str, ...]:
        """What of a model that sees or hears is in a file of its own, and not counted."""
        tower = 0.0 if self.options.get("mmproj", True) else outside_bytes(share)[2]
        if not tower:
            return ()
        return (f"without what sees or hears, a file of its own: mmproj=true, {gigabytes(tower)}",)

    def _metal(self) -> str:
        """How much of an Apple's memory its GPU may take, as a phrase."""
        if self.device.vendor != "Apple":
            return ""
        return f"; {metal_words(self.device.memory_bytes)}"

    def waiting(self, share: Share, load: Load, replicas: int = 1) -> str:
        """How many of a load run at once, where the others wait; "" where all do."""
        most, name = self._limit(self.divide(share, load)[0])
        if most is None or most >= load.sequences:
            return ""
        most, asked = replicas * most, replicas * load.sequences
        return f"{most:,} of the {asked:,} run at once ({name}), the others wait"

    def check(self, load: Load) -> None:
        """UsageError where an option allows no sequence of so many tokens."""
        most = self.longest(load)
        if most is not None and load.context > most:
            name = "max_model_len" if self.options.get("max_model_len") else "ctx_size"
            option = f"{name}={self.options[name]}"
            if self.engine == "ollama":
                option = f"num_ctx={most}"
            raise UsageError(
                f"{self.engine} with {option} takes {most:,} tokens a sequence: "
                f"{load.context:,} are asked for"
            )

    def longest(self, load: Load) -> int | None:
        """The longest sequence that the options allow; None where they say nothing."""
        if size := self.options.get("ctx_size"):  # shared by the slots
            return int(size // (self.options["parallel"] or load.sequences))
        limit = self.options.get("max_model_len")
        return None if limit is None else int(limit)

    def budget(self, share: Share, load: Load) -> Budget:
        """How the device is divided, with the room of its pool."""
        footprint, layout = self.divide(share, load)
        pool, (less, more) = footprint.cache_bytes, self.doubt(footprint)
        options = {**self.options, **(footprint.settled or {})}
        return Budget(
            self.engine, self._said(footprint),
            footprint.usable_bytes, footprint.weight_bytes,
            footprint.activation_bytes, footprint.overhead_bytes, footprint.graph_bytes, pool,
            max(0.0, pool - more), pool + less,
            layout.tokens(pool),
            layout.block_size, load.context, layout.sequences(pool), footprint.sequences,
            footprint.host_bytes,
            (*self._later(), *self._unseen(share),
             *_notes(layout, pool, load.context, footprint.sequences, options)),
        )  # fmt: skip


def _notes(
    layout: Layout, pool: float, context: int, most: int | None, options: dict[str, Any]
) -> tuple[str, ...]:
    """How tokens are counted and what a sequence takes, where layers keep differently; and that the
    longest sequence has no room, without which it does not start."""
    found, longest = [], layout.longest or 0
    times = int(pool / layout.unit_bytes) / layout.longest_units if layout.longest_units else None
    windows, states = layout.window_units, layout.state_units
    if pool < layout.unit_bytes:  # no token has room, of whatever length
        return ()
    if windows or states:
        by_longest, by_block = (layout.counted(pool, by) for by in (True, False))
        if times is not None:
            found.append(
                f"tokens as it prints them from 0.21 on: {times:.2f} x max_model_len {longest:,}; "
                f"before: {by_block:,}" if layout.by_longest else
                f"tokens as it printed them until 0.20; from 0.21 on: {by_longest:,}"
            )  # fmt: skip
        parts = {"its tokens": layout.sequence_units - windows - states, "windows": windows,
                 "recurrent states": states}  # fmt: skip
        held = ", ".join(f"{units:,g} for {name}" for name, units in parts.items() if units)
        size = f"{layout.unit_bytes / MIB:,.3g} MiB ({layout.block_size:,} tokens)"
        found.append(
            f"a sequence of {context:,} takes {layout.sequence_units:,g} blocks of {size}: {held}"
        )
    running = min(layout.running(pool) or 0.0, inf if most is None else most)
    if running > NOTABLY * (layout.sequences(pool) or 0.0):
        found.append(
            f"about {int(running):,} run at once while served: each takes blocks as it grows"
            + ", and its windows give back those that they have left" * bool(windows)
        )
    if said := states_note(layout, pool, options):
        found.append(said)
    if times is not None and times < 1:
        found.append(
            f"not one sequence of max_model_len {longest:,} has room, without which it does not "
            "start: give a smaller --max-model-len"
        )
    return tuple(found)


def engine_memory(
    engine: str, device: Device, given: Mapping[str, Any] | None
) -> tuple[EngineMemory, tuple[str, str] | None]:
    """An engine on a device, and the formats of keys and values that its options ask for.

    UsageError for an engine without such options, a name or a value that it does not know.
    """
    options = read_options(engine, given)
    both = options.pop("kv_cache_dtype", None) or options.pop("kv_cache_type", None)
    if engine == "ollama":
        renamed = {OLLAMA[name]: value for name, value in options.items()}
        # what sees is a part of Ollama's models
        options = {**read_options("llama.cpp", None), "mmproj": True, **renamed}
        if options["ctx_size"]:  # Ollama's num_ctx is that of one slot
            options["ctx_size"] *= options["parallel"] or 1
    keys, values = options.pop("cache_type_k", None), options.pop("cache_type_v", None)
    asked = (both, both) if both else None
    if keys or values:
        asked = (keys or "fp16", values or "fp16")
    return EngineMemory(engine, options, device), asked


def has_options(engine: str) -> bool:
    """Whether the memory of an engine is known in detail."""
    return engine in OPTIONS


def budget_text(budget: Budget) -> list[str]:
    """The budget in the engine's own words."""
    room = budget.sequences
    at_once = "any number of" if room is None else f"{int(room):,}"
    plural = "s" * (at_once != "1")
    if budget.engine in ("llama.cpp", "ollama"):
        words = (
            f"{budget.engine}: compute buffer {budget.activation_bytes / MIB:,.0f} MiB; room for "
            f"{at_once} slot{plural} of {budget.context:,}"
        )
        if budget.host_bytes:
            words += f"; {budget.host_bytes / MIB:,.0f} MiB stay on the host"
        return [wrapped(words), *map(wrapped, budget.notes)]
    if budget.engine in ("transformers", "autoawq"):
        attention = budget.options.get("attn_implementation", "eager")
        return [f"{budget.engine}: the whole prompt at once, {attention} attention"]
    if room is None and not budget.cache_tokens:  # an encoder
        most = "any number" if budget.most_sequences is None else f"{budget.most_sequences:,}"
        return [f"{budget.engine}: no cache to hold; it runs {most} at once"]
    words = (
        f"{budget.engine}: KV cache {budget.cache_tokens:,} tokens; {at_once} sequence{plural} "
        f"of {budget.context:,} at once"
    )
    each = budget.cache_tokens / budget.cache_bytes if budget.cache_bytes else 0.0
    low, high = each * budget.cache_low_bytes, each * budget.cache_high_bytes
    between = f"80 % interval {digits(low)} .. {digits(high)} tokens"
    if budget.most_sequences is not None and (room is None or room > budget.most_sequences):
        words += f" (it runs at most {budget.most_sequences:,})"
    lines = [wrapped(words), between]
    if budget.notes:
        return lines + [wrapped(note) for note in budget.notes]
    if room is not None and int(room) * budget.context > budget.cache_tokens:
        # tokens are printed as if every layer kept each; those of a window or a state do not
        lines.append("layers of a window or a state keep less of a long sequence than its tokens")
    return lines
