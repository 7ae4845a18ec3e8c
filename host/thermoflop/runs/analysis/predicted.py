"""Predicted beside measured: the predictions in run.json, and what the run measured.

The measured side needs the run's own words. A phase named ``prefill`` and one named ``decode`` give
times; with ``tokens=`` (of all sequences together) they are scaled to the predicted batch and
prompt, without it one prompt, and one generation less its first token, are assumed. ``ttft_s=``,
``token_s=``, ``total_s=`` and ``tokens_per_s=`` are taken as they were said (their mean). Energy,
power and memory come from the GPUs that drew most, as many as the prediction has, and only if the
prediction was for such GPUs and they are real. Warm-ups and a second command do not count.
``how`` says in words where a measured value is from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import finite, inside, mapping
from thermoflop.runs.analysis.quantity import NAMES, SCALED, Compared

if TYPE_CHECKING:
    from thermoflop.runs.analysis.figures import Analysis, WindowFigures
    from thermoflop.runs.analysis.phases import Window


# what a benchmark prints, the size of a prediction that it is, and its name
_SIZES = (
    ("prompt_tokens", "prompt", "prompts"), ("generated_tokens", "generate", "generations"),
)  # fmt: skip
_SAME = 0.1  # a tokenizer adds a few
_Value = tuple[float, str] | None  # what was measured, and where that is from


def compared(analysis: Analysis) -> list[Compared]:
    """Every predicted quantity of a run; empty where nothing was predicted."""
    predicted = mapping(analysis.data.run, "predictions")
    quantities = mapping(predicted, "quantities")
    if not quantities:
        return []
    measured = _Measured(analysis, predicted).all()
    rows = []
    for key, (phase, name, unit) in NAMES.items():
        given = quantities.get(key)
        if isinstance(given, dict):
            bound, expected, low, high = (
                finite(given.get(end)) for end in ("bound", "expected", "low", "high")
            )
            value, how = measured.get(key, (None, _why_not(key, analysis)))
            rows.append(Compared(key, phase, name, unit, bound, expected, low, high, value, how))
    return rows


def unlike(analysis: Analysis) -> list[str]:
    """What a benchmark printed of its sizes and format that is not what was predicted for."""
    predicted = mapping(analysis.data.run, "predictions")
    texts = []
    for last in (trial.window.last for trial in analysis.trials if trial.window.counts):
        requests = finite(last.get("requests")) or 1.0
        for key, size, what in _SIZES:
            now, then = finite(last.get(key)), finite(predicted.get(size))
            if now is not None and then and abs(now / requests - then) > _SAME * then:
                texts.append(f"its {what} of {now / requests:g} tokens were predicted as {then:g}")
        name, dtype = last.get("format"), predicted.get("dtype")
        if isinstance(name, str) and isinstance(dtype, str) and name != dtype:
            texts.append(f"it ran in {name}, and {dtype} was predicted for (--dtype)")
    return [f"predicted is another run: {text}" for text in dict.fromkeys(texts)]


def _why_not(key: str, analysis: Analysis) -> str:
    if key not in ("joules_per_token", "power_w", "rise_c", "memory_bytes"):
        return ""
    if analysis.data.label("GPU"):
        return "the GPU is simulated"
    return "" if analysis.data.run["predictions"].get("reads_gpus", True) else "no such GPU here"


def assume_work(window: Window, predictions: Any) -> None:
    """FLOPs and bytes of a token, where the run noted only its tokens: for MFU and MBU."""
    if not window.sums.get("tokens"):
        return
    for kind in ("flops", "bytes"):
        a_token, peak = f"{kind}_per_token", f"peak_{kind}_per_s"
        amount = finite(inside(predictions, "work", window.name.lower(), a_token))
        rate = finite(inside(predictions, "work", peak))
        if amount and rate and kind not in window.sums:
            window.last.setdefault(a_token, amount)
            window.last.setdefault(peak, rate)


class _Measured:
    """The measured side, in the units of the predictions."""

    def __init__(self, analysis: Analysis, predicted: dict[str, Any]) -> None:
        self._analysis = analysis
        self._batch = finite(predicted.get("batch")) or 1.0
        self._prompt = finite(predicted.get("prompt")) or 1.0
        self._generate = finite(predicted.get("generate")) or 0.0
        is_real = not analysis.data.label("GPU")
        self._reads_gpus = is_real and bool(predicted.get("reads_gpus", True))
        self._devices = int(finite(predicted.get("devices")) or 1)
        self._trials = [t for t in analysis.trials if t.window.counts]
        phases = [p for p in analysis.phases if p.window.counts and not p.window.untimed]
        self._prefill = [p for p in phases if p.window.name.lower() == "prefill"]
        self._decode = [p for p in phases if p.window.name.lower() == "decode"]

    def all(self) -> dict[str, tuple[float, str]]:
        """By key: the value, and where it is from."""
        first, token = self._ttft_s(), self._token_s()
        known = {"ttft_s": first, "token_s": token}
        if token is not None:
            known["decode_tokens_per_s"] = (self._batch / token[0], token[1])
        known["total_s"] = total = self._total_s(first, token)
        known["tokens_per_s"] = self._tokens_per_s(total)
        if self._reads_gpus:
            known["joules_per_token"] = self._joules_per_token()
            known["power_w"] = self._power_w()
            known["rise_c"] = self._rise_c()
            known["memory_bytes"] = self._memory_bytes()
        return {key: value for key, value in known.items() if value is not None and value[0] > 0}

    def _said(self, key: str, rows: Sequence[WindowFigures], tokens: float) -> _Value:
        """As the run said it, or the seconds of these tokens at the rate that it said."""
        rate = _noted(rows, "tokens_per_s")
        at_rate = None if rate is None else (tokens / rate[0], rate[1])
        return _noted(self._trials, key) or at_rate

    def _ttft_s(self) -> _Value:
        tokens = self._batch * self._prompt
        if said := self._said("ttft_s", self._prefill, tokens):
            return said
        per = _per(self._prefill, tokens, "one prompt a phase assumed")
        return None if per is None else (per[0], per[1] + self._scaled_prompt())

    def _token_s(self) -> _Value:
        if said := self._said("token_s", self._decode, self._batch):
            return said
        steps = max(1.0, self._generate - 1)
        per_step = _per(self._decode, self._batch, f"{steps:.0f} steps a phase assumed")
        if per_step is None or _tokens(self._decode):
            return per_step
        return per_step[0] / steps, per_step[1]

    def _total_s(self, first: _Value, token: _Value) -> _Value:
        noted = _noted(self._trials, "total_s")
        if noted is not None or first is None or token is None or self._generate < 1:
            return noted
        how = "from prefill and decode" + self._scaled()
        return first[0] + (self._generate - 1) * token[0], how

    def _scaled(self) -> str:
        """That what is said of a whole generation is scaled from another number of tokens."""
        phases = min(map(len, filter(None, (self._prefill, self._decode))), default=1)
        tokens = _tokens(self._decode) / self._batch / (self._prompts() or phases)
        if not tokens or self._generate - 1.5 < tokens < self._generate + 0.5:
            return self._scaled_prompt()  # the first is made by the prompt, and counted or not
        return _scaled("made", tokens, self._generate) + self._scaled_prompt()

    def _scaled_prompt(self) -> str:
        """The same of a prompt."""
        tokens = _tokens(self._prefill) / self._batch / max(1, len(self._prefill))
        is_other = tokens and not self._prompts()
        return _scaled("read", tokens, self._prompt) if is_other else ""

    def _prompts(self) -> int:
        """How many predicted prompts were read; 0 where they were others."""
        prompts = _tokens(self._prefill) / (self._batch * self._prompt)
        return round(prompts) if abs(prompts - round(prompts)) <= _SAME else 0

    def _tokens_per_s(self, total: _Value) -> _Value:
        noted = _noted(self._trials, "tokens_per_s", outside=(*self._prefill, *self._decode))
        if noted is not None:
            return noted
        if total is not None:
            return self._batch * self._generate / total[0], total[1]
        if self._analysis.phases:
            return None
        seconds, tokens = _seconds(self._trials), _tokens(self._trials)
        return (tokens / seconds, "the command as a whole") if tokens and seconds else None

    def _joules_per_token(self) -> _Value:
        """Of one prompt and its generation, per generated token."""
        if self._prefill and self._decode and self._generate >= 1:
            first = self._joules(self._prefill, self._batch * self._prompt)
            rest = self._joules(self._decode, self._batch * (self._generate - 1))
            if first is None or rest is None:
                return None
            how = "from prefill and decode" + self._scaled()
            return (first + rest) / (self._batch * self._generate), how
        if self._analysis.phases:
            return None
        tokens = _tokens(self._trials)
        joules = self._joules(self._trials, tokens) if tokens else None
        return (joules / tokens, "the command as a whole") if joules else None

    def _joules(self, rows: Sequence[WindowFigures], tokens_predicted: float) -> float | None:
        """Energy of the tokens predicted; of one phase where the run noted none."""
        joules, tokens = self._top(rows), _tokens(rows)
        if joules is None:
            return None
        return joules * tokens_predicted / tokens if tokens else joules / len(rows)

    def _top(self, rows: Sequence[WindowFigures]) -> float | None:
        """Joules of the GPUs that drew most, over all rows; None where those of one are unknown."""
        total = []
        for row in rows:
            each = [e.joules for e in row.own_energy.values() if e.joules is not None]
            if not len(each) == len(row.own) >= self._devices:
                return None
            total.append(math.fsum(sorted(each, reverse=True)[: self._devices]))
        return math.fsum(total)

    def _power_w(self) -> _Value:
        rows = [*self._prefill, *self._decode] or ([] if self._analysis.phases else self._trials)
        seconds, joules = _seconds(rows), self._top(rows)
        if not rows or seconds <= 0 or joules is None:
            return None
        watts = joules / seconds / self._devices
        return watts, "mean over prefill and decode" if self._prefill else "mean over the command"

    def _rise_c(self) -> _Value:
        for heat in self._analysis.heat:
            is_own = heat.name.startswith("GPU") and "neighbour" not in heat.name
            fit = heat.fit if is_own else None
            if fit is not None and fit.ambient_c is not None and fit.is_resistance_known:
                return fit.end_c - fit.ambient_c, f"{heat.name}: first-order fit"
        return None

    def _memory_bytes(self) -> _Value:
        import numpy as np

        own = self._analysis.data.own_gpus
        used = [each["mem_used_bytes"] for each in own if "mem_used_bytes" in each]
        highest = [float(np.nanmax(column)) for column in used if np.isfinite(column).any()]
        return (max(highest), "most in use, by whomever") if highest else None


def _scaled(did: str, tokens: float, asked: float) -> str:
    n = f"{tokens:,.0f}" if tokens >= 100 else f"{tokens:.3g}"
    return f"; the command {did} {n} tokens where {asked:,.0f} were asked for: {SCALED} {n}"


def _noted(
    rows: Sequence[WindowFigures], key: str, outside: Sequence[WindowFigures] = ()
) -> _Value:
    """The mean of the run's notes of ``key``, without those made in the rows ``outside``."""
    sums, n = [], 0
    others = [row.window for row in outside]
    for row in rows:
        for note in row.window.notes:
            value = finite(note.sums.get(key))
            elsewhere = any(other.start_s <= note.t_s <= other.end_s for other in others)
            if value is not None and value > 0 and not elsewhere:
                sums.append(value)
                n += note.counts[key]
    if not n:
        return None
    times = f", mean of {n}" if n > 1 else ""
    return math.fsum(sums) / n, f"said as {key}={times}"


def _per(rows: Sequence[WindowFigures], tokens_predicted: float, assumed: str) -> _Value:
    """Seconds for ``tokens_predicted`` tokens; of one phase when the run did not say its tokens."""
    seconds = _seconds(rows)
    if not rows or seconds <= 0:
        return None
    times = f"{len(rows)} phase{'s' if len(rows) > 1 else ''}"
    tokens = _tokens(rows)
    if tokens:
        return seconds * tokens_predicted / tokens, f"{tokens:,.0f} tokens in {times}"
    return seconds / len(rows), f"{times}, {assumed}"


def _tokens(rows: Sequence[WindowFigures]) -> float:
    """All tokens; 0 unless every window noted some."""
    each = [row.window.sums.get("tokens", 0.0) for row in rows]
    return math.fsum(each) if each and all(n > 0 for n in each) else 0.0


def _seconds(rows: Sequence[WindowFigures]) -> float:
    return math.fsum(row.window.duration_s for row in rows)
