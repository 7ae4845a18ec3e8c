"""Tokenizers of images: convolutions to a grid of codes and back (VQ-GAN, Esser et al. 2021).

Their work is not counted where they only draw images; their parameters are part of the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

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
