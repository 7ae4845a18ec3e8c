"""What is asked of a server: users or a rate, targets, shares; and which models serve users."""

from __future__ import annotations

from thermoflop.base.plain import checked_between, is_between, is_number
from thermoflop.cost.inference.arguments import checked_whole
from thermoflop.cost.serving.simulation import Arrivals
from thermoflop.cost.serving.trace import read_trace
from thermoflop.errors import UsageError
from thermoflop.model.model import Model
from thermoflop.model.sizes import instead_of

OUTPUT = 256  # tokens where nothing is said
MOST_USERS = 10**9


def generating(model: Model, generate: int | None) -> Model:
    """The model. UsageError for one that generates nothing from a prompt alone."""
    if getattr(generate, "ndim", 0):
        checked_whole("generate", generate, 2)
    if not model.generates:
        if model.purpose == "unmask":
            raise UsageError(
                f"{model.name} {instead_of(model.purpose, encodes=True)}: `estimate` times one step"
            )
        raise UsageError(f"{model.name} generates nothing: no users to serve, `estimate` times it")
    if generate == 0:
        raise UsageError("generate=0 generates nothing: no users to serve")
    if generate == 1:
        raise UsageError("generate=1 leaves no time between tokens: expected at least 2")
    if model.is_encoder_decoder:
        raise UsageError(
            f"{model.name} has an encoder and a decoder: expected a model that reads prompts and "
            "generates with the same layers"
        )
    return model


def load_asked(
    users: int | None, rate: float | None, burstiness: float, trace: str | None
) -> Arrivals:
    """Users or a rate, and how requests come."""
    users = checked_load(users, rate)
    if not is_between(burstiness, 0, 1e12):
        raise UsageError(f"burstiness={burstiness!r:.40} makes no sense: expected a number above 0")
    rate = None if rate is None else float(rate)
    recorded = None if trace is None else read_trace(trace)
    if recorded is not None and users is None and rate is None:
        span = recorded.arrivals_s[-1] if recorded.arrivals_s else 0.0
        if span <= 0:
            raise UsageError(f"{trace} says no times: expected users or a rate besides")
        rate = (len(recorded.arrivals_s) - 1) / span
    if users is None and rate is None:
        users = 1
    return Arrivals(rate, users, burstiness, recorded)


def count_asked(name: str, value: int | None, least: int, most: int) -> int | None:
    """A whole number as Python's own, also of numpy's, or None where nothing is said."""
    return None if value is None else checked_whole(name, value, least, most)


def checked_load(users: int | None, rate: float | None) -> int | None:
    """The users, if any. UsageError for both, and for what is no load."""
    if users is not None and rate is not None:
        raise UsageError("users and rate are two questions: give one of them")
    checked_between("rate", rate, 0, 1e12, "requests/s, 0 < rate < 10^12")
    return count_asked("users", users, 1, MOST_USERS)


def checked_share(name: str, value: float) -> float:
    """A share as it is, from 0 to below 1. UsageError for what is none."""
    if not is_number(value) or not 0 <= value < 1:
        raise UsageError(f"{name}={value!r:.40} makes no sense: expected 0 to below 1")
    return float(value)


def checked_target(name: str, value: float | None) -> float | None:
    """A target as Python's own number, also of numpy's. UsageError for one that makes no sense."""
    target = checked_between(name, value, 0, 1e12, "seconds, 0 < s < 10^12")
    return None if target is None else float(target)
