"""A figure that was measured beside its bound, expectation and interval, and the verdict."""

from __future__ import annotations

import math

from thermoflop.base.record import record
from thermoflop.base.units import digits, seconds, table, wrapped
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.cost.roofline.span import Span

_NAMED = " The model, its format, the sizes or the device is another than named here."
_NOT_ALL = "cannot all have run there."
_MOST_OFF = 9.0  # tenfold: beyond that, percent are hard to read


@record
class Judged:
    """One figure that was measured, in tokens a second or seconds, and its estimate.

    Attributes:
        name: what was measured, such as ``each token after it``.
        is_rate: whether it is tokens a second; else seconds.
        measured: what was measured.
        expected: the expectation.
        low: lower end of the interval that holds 80 % of measured runs.
        high: upper end of that interval.
        bound: no run is faster; None where there is none.

    Example:
        >>> import thermoflop as tf
        >>> figure = tf.check("llama3.1:8b", "rtx 4070", 72).figures[0]
        >>> figure.verdict, figure.low < figure.measured < figure.expected < figure.bound
        ('inside', True)
    """

    name: str
    is_rate: bool
    measured: float
    expected: float
    low: float
    high: float
    bound: float | None

    @property
    def verdict(self) -> str:
        """``inside`` its interval, ``slower`` or ``faster``, or ``beyond`` its bound."""
        bound = self.measured if self.bound is None else self.bound
        if self._is_faster_than(bound) and not math.isclose(self.measured, bound):
            return "beyond"
        if self.low <= self.measured <= self.high:
            return "inside"
        return "faster" if self._is_faster_than(self.expected) else "slower"

    @property
    def off(self) -> float:
        """Measured over expected, less one."""
        return self.measured / self.expected - 1

    def _is_faster_than(self, value: float) -> bool:
        return self.measured > value if self.is_rate else self.measured < value


@record
class Check:
    """Every figure of a result beside its estimate, made by ``check``. Print it for a report.

    Attributes:
        title: what ran, on what.
        figures: each with its verdict.
        notes: what the estimate rests on, and what was not checked, as sentences.
        missing: where it does not fit: what it takes and the device has, such as ``66.6 GB of
            25.8 GB``; "", the default, where it does.
        hosted: which part of the model is in the computer's memory in the run that the figures are
            of, where it does not fit or llama-bench says so; "", the default: none.
        instead: a sentence on another format that the result may be of; "" by default.

    Example:
        >>> import thermoflop as tf
        >>> tf.check("llama3.1:8b", "rtx 4070", 40).verdict.split(":")[0]
        'Slower than it should be'
    """

    title: str
    figures: tuple[Judged, ...]
    notes: tuple[str, ...]
    missing: str = ""
    hosted: str = ""
    instead: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing is slower than its interval, nor beyond its bound; of what does not fit,
        whether all is as with a part in the computer's memory."""
        verdicts = {each.verdict for each in self.figures}
        if self.missing:
            return bool(self.hosted) and verdicts == {"inside"}
        return not {"slower", "beyond"} & verdicts

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        if self.missing and not self.hosted:
            return f"Not possible as named: it takes {self.missing}, and {_NOT_ALL}{self._other}"
        if beyond := self._named("beyond"):
            return (
                f"Not possible: {beyond} beyond what the data sheet allows.{self._other or _NAMED}"
            )
        if self.hosted:
            return self._beside_host
        slower, faster = self._named("slower"), self._named("faster")
        if slower and faster:
            return (
                f"Slower than it should be: {slower}; and faster: {faster}. Another load, size or "
                "setting than named here is likelier than heat."
            )
        if slower:
            return (
                f"Slower than it should be: {slower}. Heat, another program, a setting? "
                "`thermoflop record` keeps clocks and temperatures beside the result."
            )
        if faster:
            return (
                f"Faster than nine runs in ten: {faster}. That is good, or the model, its format, "
                f"the sizes or the device is another than named here.{self._other}"
            )
        return "Good: it lies in the interval in which eight in ten runs lie."

    @property
    def _other(self) -> str:
        return self.instead and f" {self.instead}"

    @property
    def _beside_host(self) -> str:
        """The verdict on a run with a part of the model in the computer's memory."""
        takes = f"It does not fit ({self.missing}), and is" if self.missing else "It is"
        slower, faster = self._named("slower"), self._named("faster")
        if slower:
            return (
                f"{takes} slower than with {self.hosted}: {slower}. More may lie there than has "
                "to, or that memory is slower, or its channels are not all in use."
            )
        if faster:
            why = self._other or " That memory is faster, or what ran is another than named here."
            return f"{takes} faster than with {self.hosted}: {faster}.{why}"
        return f"{takes} as fast as expected with {self.hosted}."

    def _named(self, verdict: str) -> str:
        return ", ".join(each.name for each in self.figures if each.verdict == verdict)

    def __str__(self) -> str:
        unit = "tokens/s" if all(each.is_rate for each in self.figures) else ""
        heads = [unit, "measured", "expected", "80 % interval", "bound", "off", ""]
        rows = [heads, *map(_cells, self.figures)]
        # what decides goes last
        least = ("off", "80 % interval", "expected") if self._named("beyond") else ("bound", "off")
        told = [wrapped(self.title), table(rows, least=least), wrapped(self.verdict)]
        return "\n\n".join([*told, "\n".join(map(wrapped, self.notes))])


def beside(name: str, span: Span, measured_s: float, tokens: float = 0) -> Judged:
    """A time beside its span; as the rate of so many tokens, where there are any."""
    times = measured_s, span.expected_s, span.low_s, span.high_s, span.bound_s
    if not span.expected_s:
        raise UsageError(f"nothing is estimated of {name!r}: expected at least 2 tokens generated")
    if not tokens:
        return Judged(name, False, *times)
    measured, expected, high, low, bound = (tokens / time for time in times)
    return Judged(name, True, measured, expected, low, high, bound)


def off_text(figure: Judged) -> str:
    """``off`` in words: percent, as far as they say anything."""
    times = 1 + figure.off
    if figure.off >= _MOST_OFF:
        return f"{digits(times)} x" if times < 1000 else "> 1,000 x"
    return f"{100 * figure.off:+.0f} %" if times > 0.005 else "< -99 %"


def _cells(figure: Judged) -> list[str]:
    """A row of the table."""
    write = digits if figure.is_rate else seconds
    return [
        figure.name, write(figure.measured), write(figure.expected),
        f"{write(figure.low)} .. {write(figure.high)}",
        "" if figure.bound is None else write(figure.bound),
        off_text(figure), figure.verdict.removeprefix("inside"),
    ]  # fmt: skip


def check_json(check: Check) -> dict[str, Any]:
    """A check as one object."""
    names = ("name", "measured", "expected", "low", "high", "bound", "verdict", "off")
    return {
        "title": check.title, "verdict": check.verdict, "is_good": check.is_good,
        "figures": [
            {**{name: getattr(each, name) for name in names},
             "unit": "tokens/s" if each.is_rate else "s"}
            for each in check.figures
        ],
        "notes": list(check.notes),
    }  # fmt: skip
