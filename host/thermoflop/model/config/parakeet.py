"""Parakeet: its encoder alone, with characters at every position, or with what chooses tokens."""

from __future__ import annotations

from thermoflop.model.architecture.description import Description, Placed
from thermoflop.model.architecture.parts import Convolution, Linear, Vector
from thermoflop.model.config.architectures import built
from thermoflop.model.config.conformers import CONVOLUTION, conformer_stack
from thermoflop.model.config.keys import Config
from thermoflop.model.config.readers import read_sections


def read_parakeet(config: Config) -> Description:
    """The encoder alone."""
    built(config, "ParakeetEncoder", ("encoder",))
    return Description((conformer_stack(config, ()),))


def read_characters(config: Config) -> Description:
    """The encoder, and characters at every position that it leaves."""
    built(config, "ParakeetForCTC", ("characters",))
    encoder = read_sections(config)["encoder_config"]
    sizes = (encoder["hidden_size"], config["vocab_size"], 1)
    return Description(
        (
            conformer_stack(
                encoder, (Placed(Convolution("ctc_head", *CONVOLUTION, *sizes, bias=True)),)
            ),
        )
    )


def read_transducer(config: Config) -> Description:
    """The encoder, and a map of every position for what chooses tokens beside it.

    That (an LSTM over the tokens so far, and a joint network of both) works once for every token
    and every blank, as many as there are: it is held.
    """
    built(config, "ParakeetForTDT", ("transducer",))
    encoder = read_sections(config)["encoder_config"]
    hidden, words = config["decoder_hidden_size"], config["vocab_size"]
    out = Linear("encoder_projector", "other", "other", encoder["hidden_size"], hidden, bias=True)
    # four gates of inputs and states, with two biases each
    cell = 4 * (2 * hidden * hidden + 2 * hidden)
    held = {
        "prediction": words * hidden + config["num_decoder_layers"] * cell + (hidden + 1) * hidden,
        "joint": (hidden + 1) * (words + len(config.get("durations") or ())),
    }
    kept = (Placed(Vector(name, name, count), "aside") for name, count in held.items())
    return Description((conformer_stack(encoder, (Placed(out),)),), tuple(kept))
