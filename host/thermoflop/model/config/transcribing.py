"""A Conformer that hears and a decoder that writes: Canary and Cohere Transcribe.

The encoder is Parakeet's; the decoder is Vaswani's (2017), with norms before its blocks, as
``modeling_canary.py`` and ``modeling_cohere_asr.py`` of transformers 5.24 build it.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Layer, Placed, Stack
from thermoflop.model.architecture.parts import Linear, Table, lm_head
from thermoflop.model.config import decoder
from thermoflop.model.config.architectures import built
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.conformers import conformer_stack
from thermoflop.model.config.keys import Config, Traits
from thermoflop.model.config.readers import read_sections


def read_transcribing(config: Config) -> Description:
    """Both halves; what the encoder leaves may go through one matrix."""
    kind = built(config, "ForConditionalGeneration", ("generation", "bare"))
    sections = read_sections(config)
    hears, writes = sections["encoder_config"], sections.get("decoder_config", config)
    traits = Traits(writes, decoder.DEFAULTS)
    hidden, vocab, width = traits["hidden"], traits["vocab"], hears["hidden_size"]
    tail: tuple[Placed, ...] = ()
    if config.family.traits["maps_encoder"]:
        where = ("projector", "projector", "projector")
        tail = (Placed(Linear(*where, width, hidden, bias=True)),)
    elif width != hidden:
        raise InputError(f"the encoder is {width} wide, and the decoder that reads it {hidden}")
    encoder = replace(conformer_stack(hears, tail), role="encoder")
    runs = tuple(
        replace(run, layer=_crossing(traits, run.layer)) for run in decoder.decoder_runs(traits)
    )
    front = [Placed(Table("embed_tokens", "embed_tokens", vocab, hidden))]
    if traits["positions"]:
        front.append(Placed(Table("embed_positions", "embed_pos", traits["positions"], hidden)))
    front.append(Placed(layer_norm("embed_norm", hidden)))
    last = (Placed(layer_norm("final_norm", hidden)),)
    head = lm_head(hidden, vocab, config["tie_word_embeddings"], bias=True)
    stacks = (encoder, Stack("decoder", hidden, runs, tuple(front), last))
    return Description(stacks, head=head if kind == "generation" else None)


def _crossing(traits: Traits, layer: Layer) -> Layer:
    """A layer that attends to what was heard as well, behind a norm of its own."""
    cross = replace(decoder.attention_of(traits), cross=True)
    norms = (*layer.norms, layer_norm("cross_norm", layer.hidden))
    return replace(layer, kind="attention + cross + MLP", cross=cross, norms=norms)
