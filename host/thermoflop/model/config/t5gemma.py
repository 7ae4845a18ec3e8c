"""T5Gemma: Gemma 2's layers as an encoder and as a decoder, each in a section of its own."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Description, Layer, Placed, Stack
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Table, lm_head
from thermoflop.model.config import decoder
from thermoflop.model.config.architectures import built
from thermoflop.model.config.family import Section
from thermoflop.model.config.keys import Config, Traits
from thermoflop.model.config.readers import read_section

# where each half says how it is built; the head's tie is the outer configuration's to decide
_SECTIONS = {side: Section(side, "t5_gemma_module") for side in ("encoder", "decoder")}


def read_t5gemma(config: Config) -> Description:
    """Both halves, with tables of tokens of their own, and the map to the vocabulary."""
    kind = built(config, "ForConditionalGeneration", ("generation", "bare"))
    halves = {}
    for side, section in _SECTIONS.items():
        config.nested[side] = read_section(config, section)
        halves[side] = Traits(config.nested[side], decoder.DEFAULTS)
    source = halves["encoder"]["hidden"]
    stacks = tuple(_half(traits, side, source) for side, traits in halves.items())
    for traits in halves.values():
        traits.config.check_all()
    last = halves["decoder"]
    head = lm_head(last["hidden"], last["vocab"], config["tie_word_embeddings"])
    return Description(stacks, head=head if kind == "generation" else None)


def _half(traits: Traits, side: str, source: int) -> Stack:
    """One side: tokens, layers, a norm."""
    hidden, decodes = traits["hidden"], side == "decoder"
    tokens = Table("embed_tokens", "embed_tokens", traits["vocab"], hidden)
    runs = decoder.decoder_runs(traits)
    if decodes:
        runs = tuple(replace(run, layer=_crossing(traits, run.layer, source)) for run in runs)
    tail = (Placed(decoder.norm_of(traits, "final_norm", hidden)),)
    return Stack(side, hidden, runs, (Placed(tokens),), tail, decodes)


def _crossing(traits: Traits, layer: Layer, source: int) -> Layer:
    """A layer that attends to the encoder as well, between norms of its own."""
    cross: Attention = replace(decoder.attention_of(traits), cross=True, source=source, rotary=None)
    names = ("pre_cross_norm", "post_cross_norm")
    norms = tuple(decoder.norm_of(traits, name, layer.hidden) for name in names)
    kind = layer.kind.replace(" + MLP", " + cross + MLP")
    return replace(layer, kind=kind, cross=cross, norms=(*layer.norms, *norms))
