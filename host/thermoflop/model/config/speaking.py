"""Models that speak: a thinker that reads and writes text, and parts that make speech of it.

A step of text is the thinker's, and so are all counts of work. What speaks is held beside it, each
part as one number of parameters: it runs when speech is asked for, at a pace of its own.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Placed
from thermoflop.model.architecture.parameters import total
from thermoflop.model.architecture.parts import Vector
from thermoflop.model.config.architectures import built, class_name
from thermoflop.model.config.keys import Config
from thermoflop.model.config.readers import read_section, read_sections, reader_of


def read_speaking(config: Config) -> Description:
    """The thinker's description, and what speaks as parts that are kept, where it is built.

    Traits: ``text``, the Section of the thinker; ``sections``, those of what speaks.
    """
    built(config, "ForConditionalGeneration", ("generation",))
    name = class_name(config, "")
    if "Talker" in name:
        raise InputError(f"architectures names {name:.60}: what speaks is not counted alone")
    thinker = read_section(config, config.family.traits["text"], architectures=None)
    described = reader_of(thinker.family.reader)(thinker)
    thinker.check_all()
    config.nested.update(text_config=thinker.nested["text_config"])
    if not config["enable_audio_output"] or "Thinker" in name:
        return described
    read_sections(config)
    voice = _qwen3_voice(config)
    kept = (Placed(Vector(name, name, count), "aside") for name, count in voice.items())
    return replace(described, extras=(*described.extras, *kept))


def _body(config: Config) -> int:
    """Parameters of a section that is a decoder, without its table of words and its head."""
    described = reader_of(config.family.reader)(config)
    config.check_all()
    tables = 1 if config["tie_word_embeddings"] else 2
    return int(total(described) - tables * config["vocab_size"] * config["hidden_size"])


def _qwen3_voice(config: Config) -> dict[str, int]:
    """Qwen3-Omni's talker, with the predictor of the codes beside its own, and its vocoder."""
    talker, vocoder = (config.nested[key] for key in ("talker_config", "code2wav_config"))
    text, predictor = (talker.nested[key] for key in ("text_config", "code_predictor_config"))
    hidden, inner = text["hidden_size"], text["intermediate_size"]
    # of the thinker's states, and of its words
    projections = 2 * (talker["thinker_hidden_size"] * inner + inner + inner * hidden + hidden)
    own = (1 if talker["tie_word_embeddings"] else 2) * text["vocab_size"] * hidden
    # a table and a head for each group of codes but the first
    others = 2 * (predictor["num_code_groups"] - 1) * predictor["vocab_size"]
    predicting = _body(predictor) + others * predictor["hidden_size"]
    return {
        "talker": _body(text) + own + projections + predicting,
        "code2wav": _vocoder(vocoder),
    }


def _vocoder(config: Config) -> int:
    """A decoder of codes, and transposed convolutions that make samples of its states."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    width = hidden // config["num_attention_heads"]
    queries = config["num_attention_heads"] * width
    keys = config["num_key_value_heads"] * width
    biases = (queries + 2 * keys + hidden) if config["attention_bias"] else 0
    # per layer two norms and two scales of what a block adds
    layer = hidden * (2 * queries + 2 * keys) + biases + 3 * hidden * inner + 4 * hidden
    codes = config["codebook_size"] * config["num_quantizers"] * hidden
    count = config["num_hidden_layers"] * layer + hidden + codes
    for factor in config["upsampling_ratios"]:
        # ConvNeXt's block: a convolution over 7 of each channel, a norm, four times as wide, scale
        block = 8 * hidden + 2 * hidden + 8 * hidden * hidden + 5 * hidden + hidden
        count += hidden * hidden * factor + hidden + block
    if min((*config["upsampling_ratios"], *config["upsample_rates"]), default=1) < 1:
        raise InputError("upsample_rates and upsampling_ratios are whole numbers from 1")
    before = config["decoder_dim"]
    if before >> len(config["upsample_rates"]) < 1:
        raise InputError(f"decoder_dim {before} cannot be halved for each of upsample_rates")
    count += hidden * before * 7 + before
    for index, rate in enumerate(config["upsample_rates"]):
        after = config["decoder_dim"] >> index + 1
        # three units of two activations (two numbers a channel) and convolutions over 7 and 1
        unit = 4 * after + 7 * after * after + after + after * after + after
        count += 2 * before + before * after * 2 * rate + after + 3 * unit
        before = after
    return int(count + 2 * before + 7 * before + 1)
