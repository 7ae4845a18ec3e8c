"""An encoder and a decoder of families of their own (EncoderDecoderModel and its kin), and TrOCR's
decoder.

The decoder is the causal class of its family with attention to the encoder in every layer, unless
it says ``add_cross_attention`` false, or nothing, where its class has none otherwise; what the
encoder leaves goes through one matrix where the widths differ and the decoder says nothing.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Description, Layer, Placed, Run, Stack
from thermoflop.model.architecture.parts import Linear, Table
from thermoflop.model.config.architectures import built
from thermoflop.model.config.blocks import biased_attention, biased_mlp, layer_norm
from thermoflop.model.config.decoder import DEFAULTS
from thermoflop.model.config.family import Section
from thermoflop.model.config.heads import head_of
from thermoflop.model.config.keys import Config, Traits
from thermoflop.model.config.readers import read_section, reader_of

# families whose halves have been tried in a pair; decoders keep all keys of attention in one width
SEEING, READING = ("vit", "deit"), ("bert", "camembert", "roberta", "xlm-roberta")
WRITING = (*READING, "gpt2", "trocr", "bart", "mbart")
# the pair says it of both
_OF_A_PAIR = ("add_cross_attention", "cross_attention_hidden_size", "is_encoder_decoder")


def read_pair(config: Config) -> Description:
    """Both halves, each read by its family."""
    kind = "EncoderDecoderModel"
    built(config, kind, ("bare",))
    sees = config.family.name.startswith("vision")
    encoder = _half(config, Section("encoder", "vit" if sees else "bert", fixed=False), "Model")
    decoder = _half(config, Section("decoder", "bert", fixed=False), "ForCausalLM", is_decoder=True)
    for half, families in ((encoder, SEEING if sees else READING), (decoder, WRITING)):
        if half.family.name not in families:
            raise UnknownModel(
                f"{config.family.name} of {quote_value(half.family.name)} is not described: "
                f"{', '.join(families)} are"
            )
    first, second = (reader_of(half.family.reader)(half) for half in (encoder, decoder))
    encoder.check_all()
    decoder.check_all()
    source, told = first.stacks[0], (config["decoder"] or {}).get("cross_attention_hidden_size")
    if told not in (None, source.hidden):
        raise UnknownModel(f"cross_attention_hidden_size is {quote_value(told)} where the encoder "
                           f"is {source.hidden} wide")  # fmt: skip
    if source.hidden != second.stacks[0].hidden and told is None:
        maps = ("enc_to_dec_proj", "projector", "projector", source.hidden)
        tail = (*source.tail, Placed(Linear(*maps, second.stacks[0].hidden, bias=True)))
        source = replace(source, tail=tail)
    target = second.stacks[0]
    # a pair without a decoder's section takes one with it (EncoderDecoderConfig of transformers 5)
    attends = (config["decoder"] or {"add_cross_attention": True}).get("add_cross_attention")
    runs = tuple(replace(run, layer=_attending(run.layer, bool(attends))) for run in target.runs)
    # what sees is an encoder of as many positions as its image has, for each sequence
    stacks = (replace(source, role="encoder", causal=False), replace(target, runs=runs))
    extras = (*first.extras, *second.extras)
    return Description(stacks, extras, second.head)


def _half(config: Config, section: Section, ending: str, **more: bool) -> Config:
    """A half's own configuration, for the class of its family that the pair builds."""
    width = (config[section.key] or {}).get("cross_attention_hidden_size")
    changes = {**dict.fromkeys(_OF_A_PAIR), "architectures": [ending], **more}
    if (config[section.key] or {}).get("model_type") == "trocr":
        changes["cross_attention_hidden_size"] = width
    return read_section(config, section, **changes)


def _attending(layer: Layer, added: bool) -> Layer:
    """A layer with attention to the encoder: that which it kept idle, or, if ``added``, one like
    its own."""
    kind = layer.kind.replace(" + MLP", " + cross + MLP")
    if layer.idle is not None:
        return replace(layer, kind=kind, cross=layer.idle, idle=None)
    if not added:
        return layer
    heads = layer.mixer.heads  # type: ignore[union-attr]
    cross = biased_attention(layer.hidden, heads, cross=True)
    norms = (*layer.norms, layer_norm("cross_norm", layer.hidden))
    return replace(layer, kind=kind, cross=cross, norms=norms)


def read_trocr(config: Config) -> Description:
    """TrOCR's decoder: BART's, whose attention to the image may read another width."""
    hidden, vocab = config["d_model"], config["vocab_size"]
    attention = biased_attention(hidden, config["decoder_attention_heads"])
    cross = replace(attention, cross=True, source=config["cross_attention_hidden_size"])
    mlp = biased_mlp(hidden, config["decoder_ffn_dim"], config["activation_function"])
    norms = tuple(layer_norm(f"{name}_norm", hidden) for name in ("self", "cross", "output"))
    layer = Layer("attention + MLP", hidden, norms, attention, feed=mlp, idle=cross)
    front = [Placed(Table("embed_tokens", "embed_tokens", vocab, hidden))]
    if config["use_learned_position_embeddings"]:
        rows = config["max_position_embeddings"] + 2
        front.append(Placed(Table("embed_positions", "embed_pos", rows, hidden)))
    if config["layernorm_embedding"]:
        front.append(Placed(layer_norm("embed_norm", hidden)))
    stack = Stack("decoder", hidden, (Run(layer, config["decoder_layers"]),), tuple(front))
    return Description((stack,), **head_of(config, Traits(config, DEFAULTS), vocab, hidden))
