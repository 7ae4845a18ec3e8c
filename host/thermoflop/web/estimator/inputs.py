"""The inputs of the estimator page, and their form as the query of its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import fields_of, record, replace
from thermoflop.web.estimator.fields import FIELDS, SHAPE, UPLOAD, FieldError, quote_value
from thermoflop.web.estimator.senses import senses_of
from thermoflop.web.estimator.upload import LONGEST_PACKED, read_packed

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKED = "config"
MOST_SHOWN = 3
# inputs that models have that see, hear or generate
PERCEIVED = ("images", "image_width", "image_height", "audio_s", "output")


@record
class Inputs:
    """All inputs of both tabs; ``config`` is an uploaded config.json, packed.

    Below ``rank`` stand those of the original page, at its defaults. ``groups`` 0 means the model's
    own number of key heads, or an eighth of its heads; ``price`` 0 that there is none.
    """

    mode: str = "estimate"
    model: str = "llama-3-8b"
    device: str = "H100-SXM-80GB"
    prompt: int = 1024
    output: int = 256
    users: int = 1
    dtype: str = "published"
    price: float = 0.0
    kv_dtype: str = "same"
    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    profile: str = "default"
    attention: str = "own"
    groups: int = 0
    rank: int = 512
    images: int = 0
    image_width: int = 1024
    image_height: int = 768
    audio_s: float = 0
    gpu: str = "A100"
    batch: int = 10
    heads: int = 16
    width: int = 768
    layers: int = 24
    start: int = 1
    end: int = 1024
    overhead_ms: float = 0.005
    efficiency: float = 0.5
    config: str = ""

    @property
    def original(self) -> bool:
        """Whether the tab of the original page is open."""
        return self.mode == "original"

    def is_used(self, name: str) -> bool:
        """Whether an input affects the answer."""
        if self.mode not in FIELDS[name].modes:
            return False
        if self.original:
            return True
        if name in ("heads", "width", "layers"):
            return self.model == SHAPE
        if name in PERCEIVED:
            return self._perceives(name)
        return self.profile == "own" if name in ("overhead_ms", "efficiency") else True

    def _perceives(self, name: str) -> bool:
        """Whether the chosen model sees or hears what an input says."""
        sees, hears, generates = senses_of(self.model, self.config)
        if name == "output":
            return generates
        if name in ("image_width", "image_height"):
            return sees and self.images > 0
        return sees if name == "images" else hears


DEFAULTS = Inputs()
# What an address of the first version left out: its page opened on the original, and its other mode
# on the same shape.
FIRST_VERSION = replace(
    DEFAULTS, mode="original", model=SHAPE, device="A100-PCIe-80GB", dtype="fp16"
)


def to_query(inputs: Inputs) -> dict[str, str]:
    """The tab and the inputs that differ from the defaults, as query parameters.

    An uploaded configuration goes along where it is short enough for one.
    """
    query = {
        name: str(value)
        for name, value in fields_of(inputs).items()
        if name != PACKED and (name == "mode" or value != getattr(DEFAULTS, name))
    }
    if inputs.model == UPLOAD and len(inputs.config) <= LONGEST_PACKED:
        query[PACKED] = inputs.config
    return query


def fits_address(inputs: Inputs) -> bool:
    """Whether the query holds all inputs."""
    return inputs.model != UPLOAD or len(inputs.config) <= LONGEST_PACKED


def from_query(pairs: Iterable[tuple[str, str]]) -> tuple[Inputs, list[str]]:
    """The inputs of a query, and a sentence for each parameter that makes no sense.

    What makes no sense is left at its default; nothing of it is looked up as a file.
    """
    last = dict(pairs)
    first_version = _is_first_version(last)
    inputs, wrong, unknown = FIRST_VERSION if first_version else DEFAULTS, [], []
    for name, raw in last.items():
        if name == PACKED or (first_version and name == "mode"):
            continue
        if name not in FIELDS:
            unknown.append(quote_value(name))
            continue
        try:
            inputs = replace(inputs, **{name: FIELDS[name].read(raw)})
        except FieldError as error:
            wrong.append(f"the address: {error}")
    if first_version:
        inputs = _of_first_version(inputs, last.get("mode", "original"))
    if unknown:
        more = f" and {len(unknown) - MOST_SHOWN} more" if len(unknown) > MOST_SHOWN else ""
        names = ", ".join(unknown[:MOST_SHOWN])
        wrong.append(f"the address has no inputs of this page: {names}{more}, ignored")
    if inputs.model == UPLOAD:
        inputs, refusals = _unpacked(inputs, last.get(PACKED, ""))
        wrong += refusals
    return inputs, wrong


def _is_first_version(query: dict[str, str]) -> bool:
    """Whether an address is one that the page's first version made: it had two modes, of which the
    one it opened on was not said, and batch, start and end in both."""
    mode = query.get("mode")
    if mode == "corrected":
        return True
    known = {"batch", "heads", "width", "layers", "start", "end", "gpu", "overhead_ms"}
    return mode is None and bool(known & set(query))


def _of_first_version(inputs: Inputs, mode: str) -> Inputs:
    """The inputs under the names of today."""
    if mode != "corrected":
        return inputs
    return replace(
        inputs, mode="estimate", users=inputs.batch, prompt=inputs.start,
        output=max(0, inputs.end - inputs.start),
    )  # fmt: skip


def _unpacked(inputs: Inputs, packed: str) -> tuple[Inputs, list[str]]:
    if not packed:
        missing = "the address names an uploaded config.json that is not in it: upload it again"
        return replace(inputs, model=SHAPE), [missing]
    try:
        if len(packed) > LONGEST_PACKED:
            raise FieldError("model", f"a config of {len(packed):,} letters is too long")
        read_packed(packed)
    except FieldError as error:
        return replace(inputs, model=SHAPE), [f"the address: {error}"]
    return replace(inputs, config=packed), []
