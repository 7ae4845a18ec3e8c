"""An uploaded config.json: bounded, read in memory only, and packed so that an address holds it."""

from __future__ import annotations

import base64
import json
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from thermoflop.errors import ThermoflopError, UnknownModel
from thermoflop.web.estimator.fields import FieldError, quote_value

if TYPE_CHECKING:
    from thermoflop.model.model import Model

LARGEST_BYTES = 1_000_000
LONGEST_PACKED = 6000
LONGEST_NAME = 60


def pack_config(content: bytes, file_name: str) -> str:
    """Pack an uploaded file into text. Raises FieldError for what is no config.json."""
    from thermoflop.base.files import parse_json

    if len(content) > LARGEST_BYTES:
        raise FieldError(
            "model", f"the file has more than {LARGEST_BYTES:,} bytes: a config.json is smaller"
        )
    name = plain_name(file_name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FieldError("model", f"{name} is not text in UTF-8: expected a config.json") from None
    try:
        config = parse_json(text, name)
    except ThermoflopError as error:
        raise FieldError("model", str(error)[:300]) from None
    body = json.dumps([name, config], separators=(",", ":")).encode()
    packed = base64.urlsafe_b64encode(zlib.compress(body, 9)).decode()
    read_packed(packed)
    return packed


def plain_name(file_name: str) -> str:
    """The last part of a path, short and printable."""
    last = file_name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    printable = "".join(letter if letter.isprintable() else "?" for letter in last)
    return printable[:LONGEST_NAME] or "config.json"


@lru_cache(maxsize=16)
def read_packed(packed: str) -> Model:
    """The model of a packed configuration. Raises FieldError for an invalid one."""
    name, config = _opened(packed)
    from thermoflop.model.load import read_model

    try:
        return read_model(config, name.removesuffix(".json"), "uploaded")
    except ThermoflopError as error:
        raise FieldError("model", error.sentence[:400] + _as_another(error)) from None
    except RecursionError:
        raise FieldError("model", f"{name} is nested too deeply to be a config.json") from None


def _as_another(error: ThermoflopError) -> str:
    """What can be done in the file itself about a type that nobody knows."""
    if not (isinstance(error, UnknownModel) and error.fitting):
        return ""
    return f"; a file whose model_type is changed to {error.fitting} is counted as that"


def _opened(packed: str) -> tuple[str, dict[str, Any]]:
    """The file name and the configuration; unpacks at most the largest file's size."""
    wrong = FieldError(
        "model", f"config {quote_value(packed[:20])} is not one that this page packed"
    )
    try:
        inflate = zlib.decompressobj()
        body = inflate.decompress(base64.urlsafe_b64decode(packed), 2 * LARGEST_BYTES)
        if inflate.unconsumed_tail:
            raise wrong
        contents = json.loads(body)
    except (ValueError, zlib.error, RecursionError):
        raise wrong from None
    match contents:
        case [str(name), dict(config)]:
            return plain_name(name), config
    raise wrong
