"""EAGLE-3 heads: one layer that drafts for a model, of states inside that model.

Li et al. 2025 (EAGLE-3, section 3): three states of the model, of early, middle and late layers,
are mapped to one (fc), and a layer reads it beside the embedding of the next token, each behind a
norm of its own. Parts as in ``llama_eagle3.py`` of SGLang and vLLM, and ``qwen3_eagle3.py`` and
``deepseek_eagle3.py`` of vLLM: what the first layer projects for attention reads both, all else is
the family's dense layer. The head chooses from ``draft_vocab_size`` tokens. The table is the
model's own, and is not counted here, where it is as wide. Later tokens of a draft take the layer's
own state in place of fc's, which is counted for each.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Placed, Run, Stack
from thermoflop.model.architecture.mixers import Attention, LatentAttention
from thermoflop.model.architecture.parts import Norm, StatesMap, Table, lm_head
from thermoflop.model.config.architectures import class_name
from thermoflop.model.config.decoder import DEFAULTS, layer_of, norm_of
from thermoflop.model.config.drafting_classes import CLASSES
from thermoflop.model.config.keys import Config, Traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATES = 3  # of the model that it drafts for, where nothing is said


def read_eagle(config: Config) -> Description:
    """The description of a head that drafts."""
    if CLASSES.get(class_name(config, "")) != config.family.name:
        own = next(each for each, name in CLASSES.items() if name == config.family.name)
        raise InputError(f"a head that drafts needs its class in architectures ({own})")
    traits = Traits(config, DEFAULTS)
    hidden, vocab = traits["hidden"], traits["vocab"]
    target = config["target_hidden_size"] or hidden
    layer = layer_of(traits, "full", mixture=False)
    if not isinstance(layer.mixer, Attention | LatentAttention):
        raise InputError("a head that drafts needs a layer of attention")
    first = replace(layer, mixer=replace(layer.mixer, hidden=2 * hidden, outputs=hidden))
    runs = [Run(first, 1)]
    if traits["layers"] > 1:
        runs.append(Run(layer, traits["layers"] - 1))
    own = (Placed(Table("embed_tokens", "embed_tokens", vocab, hidden)),) * (target != hidden)
    states = states_read(config, config["num_aux_hidden_states"] or STATES)
    front = (
        *own,
        Placed(norm_of(traits, "embedding norm", hidden)),
        *map_of_states(config, states, target, hidden),
    )
    tail = (Placed(norm_of(traits, "final_norm", hidden)),)
    head = lm_head(hidden, config["draft_vocab_size"] or vocab, traits["tied"])
    return Description((Stack("decoder", hidden, tuple(runs), front, tail),), head=head)


def map_of_states(
    config: Config, states: int, target: int, hidden: int, *, block: bool = False
) -> tuple[Placed, ...]:
    """``fc`` of the states, behind a norm of all of them or of each where the file has one; nothing
    where none are read."""
    if not states:
        return ()
    width = states * target
    norms = []
    if config.get("norm_before_fc"):
        norms.append(Placed(Norm("norm of states", width)))
    if config.get("fc_norm"):
        norms.append(Placed(Norm("norms of states", target, vectors=states, copies=states)))
    fc = StatesMap("fc", "embed_proj", "embed_proj", width, hidden, states=states, block=block)
    return (*norms, Placed(fc))


def states_read(config: Config, otherwise: int) -> int:
    """How many states of the model are read: those of the layers that a file names, or
    ``otherwise``; 0 where it says that the last one is taken as it is."""
    if _said(config, "use_aux_hidden_state") is False:
        return 0
    listed = _said(config, "eagle_aux_hidden_state_layer_ids", "aux_hidden_state_layer_ids",
                   "target_layer_ids", "layer_ids")  # fmt: skip
    if listed is not None and not isinstance(listed, list):
        raise InputError(
            f"the layers whose states are read are {quote_value(listed)}: expected a list of them"
        )
    return len(listed or ()) or otherwise


def _said(config: Config, *names: str) -> Any:
    """What a file says by one of these names, in a section of its own or beside it."""
    sections = config.raw.get("eagle_config"), config.raw.get("dflash_config"), config.raw
    said = (each.get(name) for each in sections if isinstance(each, dict) for name in names)
    return next((value for value in said if value is not None), None)
