"""Where a configuration comes from, and everything that can be wrong with a file."""

from __future__ import annotations

import os

from thermoflop.base.files import open_reading, read_json
from thermoflop.base.record import record, replace
from thermoflop.errors import InputError, UnknownModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from typing import Any

    from thermoflop.model.architecture.quantization import Quantization
    from thermoflop.model.config.gguf_metadata import Metadata
    from thermoflop.model.config.stored_files import StoredWeights

# Where a configuration speaks of its number formats; the second is an older name, the third MLX's.
QUANTIZATION_KEYS = ("quantization_config", "compression_config", "quantization")


@record
class Source:
    """A configuration, a name for it, where it comes from, and what lies beside it.

    ``beside`` is the hf_quant_config.json in the same folder, where there is one; ``beside_fault``
    says why it could not be read. ``stored`` are the weights that lie there, ``stored_fault`` says
    why they do not count; ``formats`` are those of a GGUF file, ``metadata`` what it states;
    ``named_format`` is what a name in the catalogue says besides, ``format_said`` the sentence
    about it; ``hub_id`` the Hugging Face id that was asked for; ``purpose`` what the catalogue or
    the architecture of a GGUF file says that it is for (``Model.purpose``); "" where it says
    nothing; ``ours``: whether the
    configuration is written here, and not a publisher's file.
    """

    raw: Mapping[str, Any]
    name: str = ""
    origin: str = ""
    beside: Mapping[str, Any] | None = None
    beside_fault: str = ""
    stored: StoredWeights | None = None
    stored_fault: str = ""
    formats: Quantization | None = None
    metadata: Metadata | None = None
    named_format: str | None = None
    format_said: str = ""
    hub_id: str = ""
    purpose: str = ""
    ours: bool = False


def read_source(source: str | PathLike[str] | Mapping[str, Any]) -> Source:
    """The configuration that a dictionary, a path, a Hugging Face id or a name stands for."""
    if isinstance(source, dict):
        return Source(source, "", "dictionary")
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"{source!r:.60} is no model: expected a path, a dictionary or a name")
    path = os.fspath(source)
    if not isinstance(path, str) or not path or "\0" in path:
        raise InputError(f"{path!r:.60} is no path to a config.json and no name of a model")
    if _is_path(path):
        return _from_path(path)
    return named_source(path)


def named_source(name: str) -> Source:
    """The configuration that a name or a Hugging Face id stands for, never a path."""
    if "/" in name or " " in name:
        from thermoflop.model.config.pasted import plain

        name = plain(name)
    # an id with its owner is more exact in the user's own cache than in the catalogue
    cached = _from_cache(name) if "/" in name else None
    found = cached or _from_catalogue(name) or _from_cache(name) or _unknown(name)
    owner, slash, _ = name.rpartition("/")
    asked = slash and "/" not in owner and owner.lower() not in ("ollama", "library")
    return replace(found, hub_id=name) if asked else found


def _is_path(path: str) -> bool:
    """Whether something lies there; a folder without a config.json gives way to a known name."""
    if not os.path.exists(path):  # noqa: PTH110 - pathlib costs more than this whole module
        return False
    if path.startswith(("/dev/stdin", "/dev/fd/", "/proc/self/fd/")):
        return False
    if not os.path.isdir(path) or os.path.exists(os.path.join(path, "config.json")):  # noqa: PTH110, PTH112, PTH118
        return True
    from thermoflop.model.config.catalogue import entry

    return entry(path) is None


def _from_path(path: str) -> Source:
    """A config.json, or the one in a folder, named after the folder it lies in."""
    if os.path.isdir(path):  # noqa: PTH112
        path = _in_folder(path)
    if path.endswith(".gguf") or _begins_as_gguf(path):
        return _from_gguf(path)
    if path.endswith(".safetensors"):
        raise InputError(f"{path} holds weights alone: expected its folder, with a config.json")
    folder = os.path.basename(os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH119, PTH120
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    return _with_beside(path, folder if name == "config" and folder else name, path)


def _in_folder(folder: str) -> str:
    """The config.json in a folder, or the GGUF file where there is no other."""
    path = os.path.join(folder, "config.json")  # noqa: PTH118
    if os.path.isfile(path):  # noqa: PTH113
        return path
    files = sorted(name for name in os.listdir(folder) if name.endswith(".gguf"))  # noqa: PTH208
    first = [name for name in files if "-of-" not in name or "-00001-of-" in name]
    whole = [name for name in first if "mmproj" not in name.lower()]  # what sees for another
    if len(whole) == 1:
        return os.path.join(folder, whole[0])  # noqa: PTH118
    some = f", and not {len(whole)} GGUF files" if whole else ""
    raise InputError(f"{path} does not exist: expected a folder with a config.json{some}")


def _begins_as_gguf(path: str) -> bool:
    """Whether a file is GGUF whatever it is called, as Ollama's blobs are."""
    if path.endswith((".json", ".safetensors")):
        return False

    with open_reading(path, "a config.json") as file:
        return file.read(4) == b"GGUF"


def _from_gguf(path: str) -> Source:
    """The model that a GGUF file's metadata states, with the weights that it holds."""
    from thermoflop.model.config.gguf_architectures import UNMASKING
    from thermoflop.model.config.gguf_formats import formats_of
    from thermoflop.model.config.gguf_header import read_gguf
    from thermoflop.model.config.gguf_model import config_of, metadata_of, stored_of

    gguf = read_gguf(path)
    data = metadata_of(gguf, path)
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    if name.startswith("sha256-"):  # a blob of Ollama
        name = str(gguf.metadata.get("general.name") or name[:19])
    formats = formats_of(gguf) if gguf.tensors else None
    config, stored = config_of(data), stored_of(data)
    return Source(
        config, name, path, stored=stored, formats=formats, metadata=data, ours=True,
        purpose="unmask" if data.name in UNMASKING else "",
    )  # fmt: skip


def _with_beside(
    path: str, name: str, origin: str, check: Callable[[str], None] = lambda _path: None
) -> Source:
    """A config.json and what lies beside it: weights, and what a tool that quantizes wrote, which
    can change no count. ``check`` is asked of each path before it is read."""
    raw = read_json(path)
    stored, missing = _stored(path, check)
    found = Source(raw, name, origin, stored=stored, stored_fault=missing)
    other = os.path.join(os.path.dirname(path), "hf_quant_config.json")  # noqa: PTH118, PTH120
    if not os.path.isfile(other) or os.path.basename(path) != "config.json":  # noqa: PTH113, PTH119
        return found
    try:
        check(other)
        return replace(found, beside=read_json(other, "an hf_quant_config.json"))
    except InputError as fault:
        return replace(found, beside_fault=str(fault))


def _stored(path: str, check: Callable[[str], None]) -> tuple[StoredWeights | None, str]:
    """The weights in safetensors beside a config.json, by their headers."""
    folder = os.path.dirname(path) or "."  # noqa: PTH120
    there = any(name.endswith(".safetensors") for name in os.listdir(folder))  # noqa: PTH208
    if not there or os.path.basename(path) != "config.json":  # noqa: PTH119
        return None, ""
    from thermoflop.model.config.safetensors_header import read_folder

    return read_folder(folder, check)


def _from_cache(name: str) -> Source | None:
    """The configuration of a Hugging Face id in the user's local cache, or None."""
    from thermoflop.model.config.hub_cache import check_inside, find_cached

    path = find_cached(name)
    if path is None:
        return None
    return _with_beside(path, name.rsplit("/", 1)[-1], f"{path}, in the local cache", check_inside)


def _from_catalogue(name: str) -> Source | None:
    """The configuration of a named model, or None."""
    from thermoflop.model.config.catalogue import entry

    named = entry(name)
    if not named:
        return None
    found = Source(
        named["config"],
        named["name"],
        named["source"],
        purpose=named.get("purpose", ""),
        ours=True,
    )
    owner, _, short = name.lower().rpartition("/")
    if short == named["name"] and owner != "ollama":
        return found
    from thermoflop.model.config.named_format import said_format

    said, why = said_format(name, found.raw)
    return replace(found, named_format=said, format_said=why)


def _unknown(name: str) -> Source:
    """UnknownModel, with the name that may be meant."""
    from thermoflop.model.config.catalogue import entry
    from thermoflop.model.config.nearest_names import nearest_names
    from thermoflop.model.config.pasted import is_closed

    if name in ("-", "/dev/stdin") or name.startswith("/dev/fd/"):
        raise UnknownModel(f"{name!r} is a pipe, which is not read: save it and give its path")
    if is_closed(name):
        raise UnknownModel(f"{name[:80]!r} cannot be counted: its configuration is not published")
    if name.endswith((".json", ".gguf", ".safetensors")) or name.startswith((".", "/", "~")):
        plain, ending = os.path.splitext(os.path.basename(name))  # noqa: PTH119, PTH122
        meant = entry(plain) if ending == ".gguf" else None
        raise UnknownModel(
            f"{name[:200]!r} does not exist: expected a name",
            also=", a file or a folder"
            + (f"; as a name, {plain} is {meant['name']}" if meant else ""),
        )
    near = nearest_names(name.rpartition("/")[2].lower())
    verb = "name is" if len(near) == 1 else "names are"
    hint = f"; the nearest {verb} {', '.join(near)}" if near else ""
    raise UnknownModel(
        f"{name[:80]!r} is no name in the catalogue{hint}",
        also="; nor is it a file or a folder; `thermoflop models` lists the names, and the "
        "config.json of a repository is read by its path",
    )
