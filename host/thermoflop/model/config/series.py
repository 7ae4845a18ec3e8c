"""What predicts series of numbers, patch by patch: TimesFM (Das 2024), as transformers 5.24 has it.

A token is a patch. Two small networks, each with a map beside it, stand in the place of the table
of tokens and of the map to a vocabulary.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description, Placed, Stack
from thermoflop.model.architecture.parts import Linear, Table
from thermoflop.model.config import decoder
from thermoflop.model.config.architectures import built
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.keys import Config, Traits


def read_series(config: Config) -> Description:
    """A patch and which of its numbers are missing, layers, and quantiles of what follows."""
    traits = Traits(config, decoder.DEFAULTS)
    hidden, older = traits["hidden"], "freq_size" in config
    runs = decoder.decoder_runs(traits)
    if older:
        norm = layer_norm("mlp_norm", hidden)
        runs = tuple(
            replace(run, layer=replace(run.layer, norms=(run.layer.norms[0], norm))) for run in runs
        )
    front = list(_block("patch_embed", 2 * config["patch_length"], traits, hidden, biased=True))
    if older:
        frequencies = Table("freq_emb", "embed_type", config["freq_size"], hidden)
        front.append(Placed(frequencies))
    tail: tuple[Placed, ...] = ()
    if built(config, "ModelForPrediction", ("prediction", "bare")) == "prediction":
        tail = tuple(part for steps in _ahead(config, older) for part in
                     _block("other", hidden, traits, steps, biased=older))  # fmt: skip
    return Description((Stack("decoder", hidden, runs, tuple(front), tail, causal=True),))


def _ahead(config: Config, older: bool) -> list[int]:
    """Numbers that each head gives: a mean and the quantiles of every step."""
    quantiles = config["quantiles"] or [at / 10 for at in range(1, 10)]
    if not isinstance(quantiles, list | tuple) or len(quantiles) > 1000:
        raise InputError("quantiles is no list of numbers")
    steps = ["horizon_length"] if older else ["horizon_length", "output_quantile_len"]
    return [config[key] * (1 + len(quantiles)) for key in steps]


def _block(
    group: str, width: int, traits: Traits, outputs: int, *, biased: bool
) -> tuple[Placed, ...]:
    """Two maps, and one beside them."""
    inner = traits["inner"]
    sizes = {"input_layer": (width, inner), "output_layer": (inner, outputs),
             "residual_layer": (width, outputs)}  # fmt: skip
    return tuple(Placed(Linear(name, group, group, *each, biased)) for name, each in sizes.items())
