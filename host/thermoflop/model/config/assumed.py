"""What a configuration says and is left out, what it does not say and is taken from its class, and
what a step is of a model that writes no token after token: sentences for whoever reads the numbers.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.config.ignored_keys import changes_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from thermoflop.model.architecture.description import Description
    from thermoflop.model.config.keys import Config

# Keys that one sentence names.
_MOST_NAMED = 8
# Sizes that the file of every published model states, under the names that classes have for them.
_SIZES = (
    "hidden_size", "n_embd", "d_model", "dim",
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers",
    "num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads",
    "intermediate_size", "d_ff", "encoder_ffn_dim", "ffn_dim",
    "vocab_size",
)  # fmt: skip
# At 1 these change nothing, whoever reads them: every layer, no groups, no factor.
_NEUTRAL_AT_1 = ("_factor", "_freq", "_group", "_groups", "_interval", "_period", "_step")
# What SmolVLM's files keep in the section of the text, of models that it comes from.
_OF_OTHERS = ("perceiver_config", "pixel_shuffle_factor")


def assumed(
    config: Config, description: Description, *, whole: bool, asked: bool
) -> tuple[str, ...]:
    """A sentence on each such thing; none for a configuration that says what its class reads.

    ``whole``: whether it is a published file, and not one of ours, which states what differs from
    the class. ``asked``: whether the family is the user's word, so that what its class passes by
    may mean something to the code that the model came with.
    """
    absent = _from_class(config) if whole else ()
    passed = _passed_by(config) if asked else ()
    others = (*_other_heads(config, description), *_tied_anyway(config, description))
    return (*absent, *_left_out(config), *passed, *others)


def _from_class(config: Config) -> Iterator[str]:
    """Sizes that the file leaves out. Sections of a wrapper leave out what their class takes."""
    keys, text = config.family.keys, config.nested.get("text_config")
    absent = [key for key in _SIZES if key in keys and not config.given(key)]
    absent = [key for key in absent if type(keys[key].default) is int]
    if absent and text is None:
        values = ", ".join(f"{keys[key].default:,}" for key in absent)
        yield (
            f"the configuration leaves out {_listed(absent)}: taken from the class of "
            f"{config.family.name} ({values})"
        )
    places = (config,) if text is None else (config, text)
    stated = any(each.given(key) for each in places for key in ("text_config", *_SIZES))
    if text is not None and not stated:
        yield (
            "the configuration leaves out text_config: taken from the class of "
            f"{config.family.name} ({text.family.name})"
        )


def _left_out(config: Config) -> Iterator[str]:
    """Keys that other classes read: transformers passes them by, and other code might not."""
    for each in (config, *config.nested.values()):
        keys = [key for key in each.meaningless if not _is_neutral(key, each.raw[key])]
        if keys:
            yield (
                f"{_listed(keys)} {'means' if len(keys) == 1 else 'mean'} nothing to "
                f"{each.family.name}: left out, as transformers does"
            )


def _other_heads(config: Config, description: Description) -> Iterator[str]:
    """A width of heads that the class passes by, and that is not the one which it makes."""
    said = config.raw.get("attention_head_dim")
    if said is None or "attention_head_dim" not in config.family.ignored:
        return
    mixers = [run.layer.mixer for run in description.runs]
    made = [int(mixer.head_dim) for mixer in mixers if isinstance(mixer, Attention)]
    if made and said not in made:
        width = quote_value(said)
        yield f"attention_head_dim is {width}, and the class makes heads {min(made)} wide"


def _passed_by(config: Config) -> Iterator[str]:
    """Keys that the class of a family reads, or not, and that change no count of it."""
    family, raw = config.family, config.raw
    keys = [
        key
        for key, value in raw.items()
        if key in family.ignored and not changes_nothing(key, value) and not _is_neutral(key, value)
    ]
    if keys:
        yield f"{_listed(keys)} changed no count, as in the class of {family.name}"


def _is_neutral(key: str, value: object) -> bool:
    return key in _OF_OTHERS or (value == 1 and key.endswith(_NEUTRAL_AT_1))


def _tied_anyway(config: Config, description: Description) -> Iterator[str]:
    """A head that the file says is of its own, and that the class ties."""
    head = description.head
    unheard = "tie_word_embeddings" in config.family.ignored
    said = config.raw.get("tie_word_embeddings")
    if unheard and said is False and head is not None and head.tied:
        yield (
            f"tie_word_embeddings is false, and the class of {config.family.name} ties the head "
            f"all the same: weights with one of its own hold {head.matrix_parameters:,} more"
        )


def _listed(keys: Sequence[str]) -> str:
    """The names of keys, at most so many."""
    few = [key[:60] for key in keys[:_MOST_NAMED]]
    if len(keys) > len(few):
        return f"{', '.join(few)} and {len(keys) - len(few)} more keys"
    return " and ".join(filter(None, (", ".join(few[:-1]), few[-1])))
