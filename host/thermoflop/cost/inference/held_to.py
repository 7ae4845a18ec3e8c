"""Questions that name an engine, held against what it runs: ``engines.abilities``."""

from __future__ import annotations

from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.abilities import (
    engine_on,
    no_cache,
    no_device,
    no_layout,
    no_weights,
)
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.formats import as_downloaded, choose_formats, lacking, unread
from thermoflop.cost.inference.setting import Setting
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.work.share import Layout
    from thermoflop.model.model import Model


def check_engine(
    profile: str | Profile | None, device: Device, dtypes: str | Sequence[str] | None,
    kv_dtype: str | None, model: Model | None = None,
) -> None:  # fmt: skip
    """UsageError for a device or a format that a profile's engine does not have, the format that
    the model's name means, or that it is published in, where no other is asked for."""
    if profile is None:
        return
    found = find_profile(profile)
    engine = found.engine
    _refuse(not_run(found, device))
    for name in [dtypes] if isinstance(dtypes, str) else dtypes or ():
        _refuse(no_weights(engine, name, device))
    if not dtypes and model is not None:
        name, said = lacking(engine, model, device)
        where = "which its name means" if name == model.named_format else "as it is published"
        _refuse(said and f"{said}, {where}: expected another dtype")
    if model is not None:
        asked: Sequence[str | None] = [dtypes] if isinstance(dtypes, str) else dtypes or (None,)
        for dtype in asked:
            _refuse(unread(engine, model, device, dtype))
    _refuse(no_cache(engine, kv_dtype) if isinstance(kv_dtype, str) else "")


def check_cards(profile: str | Profile | None, cards: Sequence[Device]) -> None:
    """UsageError where a profile's engine does not run on one of the cards that are counted as so
    many of one kind."""
    for card in () if profile is None else cards:
        _refuse(not_run(find_profile(profile), card))


def setting_of(
    model: Model, device: Device, plan: Layout, dtype: str | None, kv_dtype: str | None,
    profile: str | Profile | None, **more: Any,
) -> Setting:  # fmt: skip
    """What an estimate is made of where these formats and rates are asked for. UsageError for what
    the profile's engine does not run."""
    known = as_run(model, device, profile, dtype)
    check_engine(profile, device, dtype, kv_dtype, known)
    check_cards(profile, more.get("cards", ()))
    check_layout(profile, plan, device, known, dtype)
    precision, checkpoint = choose_formats(known, device, dtype, kv_dtype, profile)
    rates = rates_on(known, device, profile, dtype)
    return Setting(known, device, plan, precision, rates, checkpoint, asked=profile, **more)


def as_run(model: Model, device: Device, profile: str | Profile | None, dtype: str | None) -> Model:
    """The model as the files of a profile's engine have it; of none, of ``engine_of_files``, but
    Ollama's where the model's name is one of its own."""
    named = engine_of_files(model, device, dtype) if profile is None else profile
    if profile is None and dtype is None and named == "llama.cpp" and model.format_said:
        from thermoflop.model.config.named_format import means_file

        named = "ollama" if means_file(model.format_said, ollama=True) else named
    return as_downloaded(model, named, dtype)


def rates_on(
    model: Model, device: Device, profile: str | Profile | None, dtype: str | None
) -> Profile:
    """The rates of a profile; of none those of ``engine_of_files``, or pooled over all engines."""
    return find_profile(engine_of_files(model, device, dtype) if profile is None else profile)


def engine_of_files(model: Model, device: Device, dtype: str | None) -> str | None:
    """The engine that stands for one that is not named on a device, for a model in the format that
    is meant (``engine_on``)."""
    return engine_on(device, meant_format(model, dtype))


def meant_format(model: Model, dtype: str | None) -> str | None:
    """The format that is asked for, or else that of the model's name, ``gguf`` of Ollama's names
    whatever their download is in, or its publication."""
    if not isinstance(dtype, str | None):
        choose_precision(dtype)  # says what it is not
    if dtype is None and model.format_said:
        from thermoflop.model.config.named_format import means_file

        if means_file(model.format_said):
            return "gguf"
    published = None if model.quantization is None else model.quantization.method
    return dtype or model.named_format or published


def not_run(profile: Profile, device: Device) -> str:
    """Why a profile's engine does not run on a device, as a sentence, "" where it does: on one that
    the profile was fitted to it does."""
    return "" if profile.knows(device) else no_device(profile.engine, device)


def check_layout(
    profile: str | Profile | None, layout: Layout, device: Device, model: Model, dtype: str | None
) -> None:
    """UsageError for a layout that a profile's engine does not have on a device; of no profile, the
    engine that stands for one (``engine_of_files``)."""
    named = engine_of_files(model, device, dtype) if profile is None else profile
    if named is not None:
        reason = no_layout(find_profile(named).engine, layout, device)
        _refuse(
            reason
            and reason + f" (no engine is named, and {named} stands for it)" * (profile is None)
        )


def _refuse(reason: str) -> None:
    if reason:
        raise UsageError(reason)
