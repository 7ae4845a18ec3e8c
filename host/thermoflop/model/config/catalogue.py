"""The named models: one small JSON file each in ``data/models``, with its source.

A file holds ``name``, ``source``, ``config`` (the keys of the published config.json that say
something about the shape), ``recalled`` where the configuration was written from memory and not
read or measured, ``checked``, the published figures that such a one was held against, ``params``,
a published total that the tests hold the count against, ``purpose``, which is ``embed`` or
``rank`` where a decoder is trained to do that, and ``trained``, tokens of the sequences that a
model which numbers no positions was trained on, with their source.
"""

from __future__ import annotations

import os
from functools import cache

from thermoflop.base.files import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "models")  # noqa: PTH118, PTH120
# Words of a name that change no shape: how it was tuned, and what it was stored in.
_TUNED = frozenset(
    """
    instruct it chat hf base pt sft dpo thinking latest gguf ggml awq gptq exl2 bnb mlx f16 fp16
    bf16 fp8 mxfp8 nvfp4 mxfp4 fp4 nf4 int4 int8 4bit 8bit w4a16 w8a8 w8a16 w4a8 dynamic block
    quantized unsloth qat meta nvidia text
    """.split()  # noqa: SIM905 - a list of words
)
_BETWEEN = str.maketrans("", "", "-_ :")


def names() -> list[str]:
    """The names of all models, in order."""
    return sorted(file[:-5] for file in os.listdir(_FOLDER) if file.endswith(".json"))  # noqa: PTH208


def canonical(name: str) -> str:
    """The name in the catalogue for what people write, or the name itself where there is none.

    Any case, with or without the owner, Ollama's spelling (``llama3.1:8b``), a common short name,
    and the tuned and quantized forms of a model, which have the shape of the model itself.
    """
    short = name.rsplit("/", 1)[-1].lower()
    if len(short) > 100 or os.path.isfile(_path_of(short)):  # noqa: PTH113
        return short
    return _by_other_name(short) or short


def others_of(name: str) -> tuple[str, list[str]]:
    """For a name that several models share, such as deepseek-v4: the one that it means, and the
    others that begin with it; none for a name that one model has."""
    import re

    def spaced(text: str) -> str:  # llama3:8b as llama-3-8b
        return re.sub(r"(?<=[a-z])(?=\d)|[_: ]", "-", text)

    meant, begun = canonical(name), spaced(name.rsplit("/", 1)[-1].lower()) + "-"
    if not spaced(meant).startswith(begun):
        return meant, []
    # fp8 and the like are the same model
    like = (each for each in names() if spaced(each).startswith(begun))
    return meant, [each for each in like if not each.startswith(meant)]


def sized_as(name: str) -> str:
    """The model of another name that a name is counted as, whose sizes it has (qwen3.6-27b:
    qwen3.5-27b); "" where the words of one name are among those of the other."""
    import re

    def words(text: str) -> set[str]:
        dotted = re.sub(r"(?<=\d)_(?=\d)", ".", text.lower()).replace(".0", "")
        return set(re.findall(r"[a-z]+|\d+(?:\.\d+)?", dotted))

    meant = canonical(name)
    own, others = words(name.rsplit("/", 1)[-1]), words(meant)
    return "" if own <= others or others <= own else meant


def sized_names(words: Iterable[str]) -> dict[str, str]:
    """The other names with all of some words in them that ``sized_as`` knows, and what each is
    counted as; tags of Ollama's library (with a colon) where there are no others."""
    found = {
        name: meant
        for name in read_json(_beside("names.json"))
        if all(word in name for word in words) and (meant := sized_as(name))
    }
    untagged = {name: meant for name, meant in found.items() if ":" not in name}
    return untagged or found


def hub_id(name: str) -> str | None:
    """The Hugging Face id of a model of the catalogue by its name there, where it is known.

    Where the source of an entry names the id, a test holds this one to it; the others were written
    down from memory.
    """
    found: str | None = read_json(_beside("hub_ids.json")).get(name)
    return found


def _beside(file: str) -> str:
    return os.path.join(os.path.dirname(_FOLDER), file)  # noqa: PTH118, PTH120


def _path_of(name: str) -> str:
    return os.path.join(_FOLDER, f"{name}.json")  # noqa: PTH118


def _by_other_name(name: str) -> str | None:
    """The name in the catalogue that a spelling, a short name or a tuned form stands for."""
    import re

    from thermoflop.model.config.named_format import GGUF

    # a format, and which attempt at one it is (DeepSeek-R1-FP4-v2), are no shape
    shape = re.sub(rf"{GGUF}|(?<=fp[48])-v\d$", "", name)
    words = re.split(r"[-_ :]+|(?<=quantized)\.", shape)
    # without a size, "flan-t5-base" would lose the word that says which one it is
    tuned = (
        _TUNED
        if any(re.fullmatch(r"(\d+x)?[\d.]+[bm]", word) for word in words)
        else (_TUNED - {"base"})
    )
    plain = "-".join(word for word in words if word not in tuned)
    known = _known()
    return known.get(_squashed(name)) or known.get(_squashed(plain))


@cache
def _known() -> dict[str, str]:
    """Every other name, squashed, and what it stands for in the catalogue."""
    known = {_squashed(key): value for key, value in read_json(_beside("names.json")).items()}
    known.update((_squashed(each), each) for each in names())
    return known


def _squashed(name: str) -> str:
    """A name without what people put between its words."""
    return name.translate(_BETWEEN)


def entry(name: str) -> dict[str, Any] | None:
    """What the catalogue holds under a name, or None."""
    key = canonical(name)
    # a name from outside must not lead out of the folder, nor be longer than a file name can be
    if not key or key.startswith(".") or "\\" in key or len(key) > 100:
        return None
    path = _path_of(key)
    return read_json(path) if os.path.isfile(path) else None  # noqa: PTH113
