"""Layers that predict tokens further ahead (MTP), which a configuration names and a class drops.

DeepSeek-V3 (2024, section 2.2): a module takes the state of the model before it and the embedding
of the next token, each through a norm, projects both together back to the hidden size, and runs one
layer of the model's kind and a norm; table and head are those of the model. What GLM, Qwen, MiMo,
MiniMax, Nemotron and Step publish has the same parts.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import Description, Placed, Run, Stack
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.config.decoder import DEFAULTS, layer_of, norm_of
from thermoflop.model.config.keys import Config, Traits
from thermoflop.model.config.readers import AHEAD_KEYS, modules_ahead, read_section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from thermoflop.model.architecture.sparse import Streams

    Layers = Sequence[tuple[str, bool, Mapping[str, Any]]]

MOST = 100  # of such modules; published are 1 to 7


def with_ahead(config: Config, described: Description) -> Description:
    """The description with a stack for each module. UsageError where there is none."""
    count, stack = modules_ahead(config.raw), described.stack("decoder")
    if not 0 < count <= MOST or stack is None or not stack.causal:
        raise UsageError(
            f"mtp: this {config.family.name} names no layers that predict further ahead "
            f"({AHEAD_KEYS[0]})"
        )
    text = config
    if config.family.reader == "wrapper":
        own = config.family.traits
        text = read_section(
            config, own["text"], **(own["shared"](config) if "shared" in own else {})
        )
    traits = Traits(text, DEFAULTS)
    hidden = stack.hidden
    modules = traits["ahead"] or [[_last(traits)]]
    stacks, whole = [], stack.tail if traits["ahead_norm"] else ()
    # without what makes one state of several streams
    plain = tuple(each for each in whole if getattr(each.part, "group", "") != "streams")
    for index in range(count):
        layers = modules[min(index, len(modules) - 1)]
        runs = tuple(Run(layer_of(traits.changed(s), kind, mix), 1) for kind, mix, s in layers)
        streams = runs[0].layer.streams
        front, tail = _front(traits, hidden, streams), plain if streams is None else whole
        stacks.append(Stack("mtp", hidden, runs, front, tail))
    return replace(described, stacks=(*described.stacks, *stacks))


def _front(traits: Traits, hidden: int, streams: Streams | None) -> tuple[Placed, ...]:
    """Both norms and the projection; of several residual streams each passes one of its own size
    beside that of the embedding (mtp.py of vLLM's deepseek_v4 and qwen4_exp)."""
    embedding = Placed(norm_of(traits, "embedding norm", hidden))
    state, where = norm_of(traits, "state norm", hidden), ("mtp", "mtp")
    if streams is None:
        return embedding, Placed(state), Placed(Linear("eh_proj", *where, 2 * hidden, hidden))
    count = streams.count
    state = replace(state, vectors=count, copies=1 if streams.rank is None else count)
    return (
        embedding,
        Placed(state),
        Placed(Linear("e_proj", *where, hidden, hidden)),
        Placed(Linear("h_proj", *where, hidden, hidden), times=count),
    )


def _last(traits: Traits) -> tuple[str, bool, Mapping[str, Any]]:
    """Kind, mixture and shape of the model's last layer."""
    kinds, sparse, shapes = (traits[name] for name in ("kinds", "sparse", "shapes"))
    mixture = bool(traits["experts"]) if sparse is None else sparse[-1]
    return kinds[-1] if kinds else "full", mixture, shapes[-1] if shapes else {}
