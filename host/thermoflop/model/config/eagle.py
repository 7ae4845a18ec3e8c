"""EAGLE-3 heads: one layer that drafts for a model, of states inside that model.

Li et al. 2025 (EAGLE-3, section 3): three states of the model, of early, middle and late layers,
are mapped to one (fc), and a layer reads it beside the embedding of the next token, each behind a
norm of its own. Parts as in ``llama_eagle3.py`` of SGLang and vLLM: the first layer's queries, keys
and values read both, all else is Llama's. The head chooses from ``draft_vocab_size`` tokens. The
table is the model's own, and is not counted here, where it is as wide. Later tokens of a draft take
the layer's own state in place of fc's, which is counted for each.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Placed, Run, Stack
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear, Table, lm_head
from thermoflop.model.config.architectures import class_name
from thermoflop.model.config.decoder import DEFAULTS, layer_of, norm_of
from thermoflop.model.config.keys import Config, Traits

CLASSES = ("LlamaForCausalLMEagle3", "Eagle3LlamaForCausalLM")
STATES = 3  # of the model that it drafts for


def read_eagle(config: Config) -> Description:
    """The description of a head that drafts."""
    if class_name(config, "") not in CLASSES:
        raise InputError(f"a head that drafts needs its class in architectures ({CLASSES[0]})")
    traits = Traits(config, DEFAULTS)
    hidden, vocab = traits["hidden"], traits["vocab"]
    target = config["target_hidden_size"] or hidden
    layer = layer_of(traits, "full", mixture=False)
    if not isinstance(layer.mixer, Attention):
        raise InputError("a head that drafts needs a layer of attention")
    first = replace(layer, mixer=replace(layer.mixer, hidden=2 * hidden, outputs=hidden))
    runs = [Run(first, 1)]
    if traits["layers"] > 1:
        runs.append(Run(layer, traits["layers"] - 1))
    own = (Placed(Table("embed_tokens", "embed_tokens", vocab, hidden)),) * (target != hidden)
    front = (
        *own,
        Placed(norm_of(traits, "embedding norm", hidden)),
        Placed(Linear("fc", "embed_proj", "embed_proj", STATES * target, hidden)),
    )
    tail = (Placed(norm_of(traits, "final_norm", hidden)),)
    head = lm_head(hidden, config["draft_vocab_size"] or vocab, traits["tied"])
    return Description((Stack("decoder", hidden, tuple(runs), front, tail),), head=head)
