"""Tokenizers of images: convolutions to a grid of codes and back (VQ-GAN, Esser et al. 2021).

Their work is not counted where they only draw images; their parameters are part of the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Convolution, Norm, Part, Table
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.keys import Config
from thermoflop.model.config.projectors import linear

_GROUP = "image_codes"


def _convolution(inputs: int, outputs: int, taps: int) -> Convolution:
    return Convolution("convolution", _GROUP, _GROUP, inputs, outputs, taps, bias=True)


def _norm(width: int) -> Norm:
    """A norm over groups of channels has as many weights as channels."""
    return layer_norm("group_norm", width)


def _block(inputs: int, outputs: int) -> Iterator[Part]:
    """Two norms and convolutions; a third one where the number of channels changes."""
    yield from (_norm(inputs), _convolution(inputs, outputs, 9))
    yield from (_norm(outputs), _convolution(outputs, outputs, 9))
    if inputs != outputs:
        yield _convolution(inputs, outputs, 1)


def _attention(width: int) -> Iterator[Part]:
    """A norm, and maps of queries, keys, values and results."""
    yield _norm(width)
    yield from [_convolution(width, width, 1)] * 4


def _middle(width: int) -> Iterator[Part]:
    yield from _block(width, width)
    yield from _attention(width)
    yield from _block(width, width)


def _level(inputs: int, outputs: int, blocks: int, attends: bool) -> Iterator[Part]:
    """Blocks of one resolution, each with an attention at the coarsest one."""
    for at in range(blocks):
        yield from _block(inputs if at == 0 else outputs, outputs)
        if attends:
            yield from _attention(outputs)


def _encoder(config: Config, channels: list[int], latent: int) -> Iterator[Part]:
    """From pixels to codes, each level half as high and wide as the one before."""
    yield _convolution(config["in_channels"], config["base_channels"], 9)
    last = len(channels) - 1
    for at, pair in enumerate(pairwise([config["base_channels"], *channels])):
        yield from _level(*pair, config["num_res_blocks"], at == last)
        if at != last:
            yield _convolution(pair[1], pair[1], 9)
    yield from _middle(channels[-1])
    yield _norm(channels[-1])
    yield _convolution(channels[-1], latent * (2 if config["double_latent"] else 1), 9)


def _decoder(config: Config, channels: list[int], latent: int) -> Iterator[Part]:
    """From codes to pixels, each level with one block more than the encoder's."""
    yield _convolution(latent, channels[-1], 9)
    yield from _middle(channels[-1])
    before = channels[-1]
    for at, width in reversed(list(enumerate(channels))):
        coarsest = at == len(channels) - 1
        yield from _level(before, width, config["num_res_blocks"] + 1, coarsest)
        if at:
            yield _convolution(width, width, 9)
        before = width
    yield _norm(before)
    yield _convolution(before, config["out_channels"], 9)


def janus_codes(config: Config) -> Iterator[Part]:
    """Janus: the tokenizer, and what reads and predicts codes in the text model's width."""
    latent, code, width = (
        config[key] for key in ("latent_channels", "embed_dim", "projection_dim")
    )
    channels = [config["base_channels"] * times for times in config["channel_multiplier"]]
    if not channels:
        raise InputError("channel_multiplier is empty: expected a whole number for each level")
    yield from _encoder(config, channels, latent)
    yield from _decoder(config, channels, latent)
    yield from (_convolution(latent, code, 1), _convolution(code, latent, 1))
    yield Table("codes", _GROUP, config["num_embeddings"], code)
    yield Table("generation_embeddings", _GROUP, config["num_embeddings"], code)
    yield linear("generation_aligner 1", code, width, group=_GROUP)
    for _ in range(1, config["num_hidden_layers"]):
        yield linear("generation_aligner", width, width, group=_GROUP)
    yield linear("generation_head 1", config["image_token_embed_dim"], width, group=_GROUP)
    yield linear("generation_head 2", width, config["num_embeddings"], group=_GROUP)


def apertus_codes(config: Config) -> Iterator[Part]:
    """Apertus 1.5: from pixels to codes alone, which the text reads as words."""
    latent, code = config["latent_channels"], config["embed_dim"]
    channels = [config["base_channels"] * times for times in config["channel_multiplier"] or ()]
    coarsest = config["resolution"] // 2 ** max(0, len(channels) - 1)
    if not channels or list(config["attn_resolutions"] or ()) != [coarsest]:
        raise InputError(
            f"attn_resolutions is {quote_value(config['attn_resolutions'])}: expected the coarsest "
            f"alone, {[coarsest]}"
        )
    yield from _encoder(config, channels, latent)
    yield _convolution(latent, code, 1)
    yield linear("codes", code, config["codebook_size"], False, _GROUP)


def sound_codes(config: Config) -> int:
    """Weights of WavTokenizer's encoder (Ji et al. 2024): convolutions by halves, an LSTM."""

    def convolution(inputs: int, outputs: int, taps: int) -> int:
        return outputs * inputs * taps + 2 * outputs  # a bias, and the length of each filter

    width: int = config["num_filters"]
    taps: int = config["kernel_size"]
    weights: int = convolution(config["audio_channels"], width, taps)
    for ratio in reversed(config["upsampling_ratios"] or ()):
        inner = width // config["compress"]
        block = convolution(width, inner, config["residual_kernel_size"])
        block += convolution(inner, width, 1) + convolution(width, width, 1)
        weights += config["num_residual_layers"] * block + convolution(width, 2 * width, 2 * ratio)
        width *= 2
    weights += config["num_lstm_layers"] * 8 * (width * width + width)
    return weights + convolution(width, config["hidden_size"], config["last_kernel_size"])
