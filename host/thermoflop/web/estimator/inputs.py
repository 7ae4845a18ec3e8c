"""The inputs of the estimator page, and their form as the query of its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import fields_of, record, replace
from thermoflop.web.estimator.fields import FIELDS, SHAPE, UPLOAD, FieldError, quote_value
from thermoflop.web.estimator.upload import LONGEST_PACKED, read_packed

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKED = "config"
MOST_SHOWN = 3


@record
class Inputs:
    """All inputs, at the original's defaults; ``config`` is an uploaded config.json, packed.

    ``groups`` 0 means the model's own number of key heads, or an eighth of its heads.
    """

    mode: str = "original"
    model: str = SHAPE
    batch: int = 10
    heads: int = 16
    width: int = 768
    layers: int = 24
    start: int = 1
    end: int = 1024
    gpu: str = "A100"
    device: str = "A100-PCIe-80GB"
    overhead_ms: float = 0.005
    efficiency: float = 0.5
    dtype: str = "fp16"
    kv_dtype: str = "same"
    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    profile: str = "default"
    attention: str = "own"
    groups: int = 0
    rank: int = 512
    config: str = ""

    @property
    def corrected(self) -> bool:
        """Whether the corrected mode is chosen, which uses the estimator."""
        return self.mode == "corrected"

    def is_used(self, name: str) -> bool:
        """Whether an input affects the answer."""
        if self.mode not in FIELDS[name].modes:
            return False
        if not self.corrected:
            return True
        if name in ("heads", "width", "layers"):
            return self.model == SHAPE
        return self.profile == "own" if name in ("overhead_ms", "efficiency") else True


DEFAULTS = Inputs()


def changed(inputs: Inputs, name: str, raw: object) -> Inputs:
    """The inputs with one of them changed. Raises FieldError for a value it does not take.

    Changing between the modes takes the device along where both know it.
    """
    after = replace(inputs, **{name: FIELDS[name].read(raw)})
    if name == "mode" and after.mode != inputs.mode:
        return _along(after)
    return after


def _along(inputs: Inputs) -> Inputs:
    from thermoflop.cost.mqa_page.kernels import CATALOGUE_NAMES

    if inputs.corrected:
        if inputs.device in CATALOGUE_NAMES.values():
            return replace(inputs, device=CATALOGUE_NAMES[inputs.gpu])
        return inputs
    known = {catalogue: gpu for gpu, catalogue in CATALOGUE_NAMES.items()}
    return replace(inputs, gpu=known.get(inputs.device, inputs.gpu))


def to_query(inputs: Inputs) -> dict[str, str]:
    """The inputs that differ from the defaults, as query parameters.

    An uploaded configuration goes along where it is short enough for one.
    """
    query = {
        name: str(value)
        for name, value in fields_of(inputs).items()
        if name != PACKED and value != getattr(DEFAULTS, name)
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
    inputs, wrong, unknown = DEFAULTS, [], []
    last = dict(pairs)
    for name, raw in last.items():
        if name == PACKED:
            continue
        if name not in FIELDS:
            unknown.append(quote_value(name))
            continue
        try:
            inputs = replace(inputs, **{name: FIELDS[name].read(raw)})
        except FieldError as error:
            wrong.append(f"the address: {error}")
    if unknown:
        more = f" and {len(unknown) - MOST_SHOWN} more" if len(unknown) > MOST_SHOWN else ""
        names = ", ".join(unknown[:MOST_SHOWN])
        wrong.append(f"the address has no inputs of this page: {names}{more}, ignored")
    if inputs.model == UPLOAD:
        inputs, refusals = _unpacked(inputs, last.get(PACKED, ""))
        wrong += refusals
    return inputs, wrong


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
