"""Questions that name an engine, held against what it runs: ``engines.abilities``."""

from __future__ import annotations

from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.abilities import no_cache, no_device, no_layout, no_weights
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.catalogue.profiles import Profile
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.work.share import Layout
    from thermoflop.model.model import Model


def check_engine(
    profile: str | Profile | None, device: Device, dtypes: str | Sequence[str] | None,
    kv_dtype: str | None, model: Model | None = None,
) -> None:  # fmt: skip
    """UsageError for a device or a format that a profile's engine does not have, the format of the
    model's name where no other is asked for. A device that the profile was fitted to it has."""
    if profile is None:
        return
    found = find_profile(profile)
    engine = found.engine
    _refuse("" if found.knows(device) else no_device(engine, device))
    for name in [dtypes] if isinstance(dtypes, str) else dtypes or ():
        _refuse(no_weights(engine, name))
    named = None if dtypes or model is None or model.stored is not None else model.named_format
    if named is not None and (said := no_weights(engine, named)):
        _refuse(f"{said}, which the name of the model means; --dtype says another")
    _refuse(no_cache(engine, kv_dtype) if isinstance(kv_dtype, str) else "")


def check_layout(profile: str | Profile | None, layout: Layout) -> None:
    """UsageError for a layout that a profile's engine does not have."""
    if profile is not None:
        _refuse(no_layout(find_profile(profile).engine, layout))


def _refuse(reason: str) -> None:
    if reason:
        raise UsageError(reason)
