"""What a benchmark printed, beside what the same run should give: whether the number is good.

Prompts and generations of one batch are held against ``tf.estimate``, what a client saw of a full
server against ``tf.serving``: the sizes are those that the benchmark prints, or else its defaults.
"""

from __future__ import annotations

import re

from thermoflop.base.record import record
from thermoflop.base.units import digits, seconds, table, wrapped
from thermoflop.errors import InputError, UsageError
from thermoflop.runs.engines.printed import (
    MOST_BYTES,
    BenchTest,
    EngineResult,
    format_of,
    llama_bench_tests,
    read_result,
    users_at_once,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.roofline.span import Span
    from thermoflop.cost.serving.result import Serving
    from thermoflop.model.model import Model

# Whose engine a program runs, where its output does not say.
_PROFILES = {
    "llama-bench": "llama.cpp", "llama.cpp": "llama.cpp", "ollama": "ollama",
    "Ollama's API": "ollama", "vllm bench latency": "vllm", "vllm bench throughput": "vllm",
    "a serving benchmark": "vllm", "sglang.bench_one_batch": "sglang",
    "trtllm-bench": "tensorrt-llm",
}  # fmt: skip
_SERVERS = ("a serving benchmark", "vllm bench throughput", "trtllm-bench", "genai-perf")
_RATES = ("llama-bench", "llama.cpp", "ollama", "Ollama's API")  # which print tokens a second
NUMBER = "your number"


@record
class Measured:
    """What a benchmark printed: the program, its values by the keys of marks, the tests of
    llama-bench, its engine (None: not known), and what it says of its run."""

    program: str
    values: dict[str, float]
    tests: tuple[BenchTest, ...] = ()
    profile: str | None = None
    gpu: str | None = None
    users: int | None = None
    dtype: str | None = None


@record
class Judged:
    """One figure that was measured, in tokens a second or seconds, and its estimate."""

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
        beyond = self.bound is not None and self._is_faster_than(self.bound * (1 + 1e-9))
        if beyond:
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

    @property
    def cells(self) -> list[str]:
        """A row of the table."""
        write = digits if self.is_rate else seconds
        said = {"inside": "", "beyond": "beyond the bound"}.get(self.verdict, self.verdict)
        return [
            self.name, write(self.measured), write(self.expected),
            f"{write(self.low)} .. {write(self.high)}",
            "" if self.bound is None else write(self.bound),
            f"{100 * self.off:+.0f} %", said,
        ]  # fmt: skip


@record
class Check:
    """Every figure of a result beside its estimate. Print it for a report."""

    title: str
    figures: tuple[Judged, ...]
    notes: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing is slower than its interval, nor beyond its bound."""
        return not {"slower", "beyond"} & {each.verdict for each in self.figures}

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        if beyond := self._named("beyond"):
            return (
                f"Not possible: {beyond} beyond what the data sheet allows. The model, its format, "
                "the sizes or the device is another than named here."
            )
        if slower := self._named("slower"):
            return (
                f"Slower than it should be: {slower}. Heat, another program, a setting? "
                "`thermoflop record` keeps clocks and temperatures beside the result."
            )
        if faster := self._named("faster"):
            return (
                f"Faster than nine runs in ten: {faster}. That is good, or the model, its format, "
                "the sizes or the device is another than named here."
            )
        return "Good: it lies in the interval in which eight in ten runs lie."

    def _named(self, verdict: str) -> str:
        return ", ".join(each.name for each in self.figures if each.verdict == verdict)

    def json(self) -> dict[str, Any]:
        """As plain values."""
        names = ("name", "measured", "expected", "low", "high", "bound", "verdict", "off")
        return {
            "title": self.title, "verdict": self.verdict, "is_good": self.is_good,
            "figures": [
                {**{name: getattr(each, name) for name in names},
                 "unit": "tokens/s" if each.is_rate else "s"}
                for each in self.figures
            ],
            "notes": list(self.notes),
        }  # fmt: skip

    def __str__(self) -> str:
        unit = "tokens/s" if all(each.is_rate for each in self.figures) else ""
        heads = [unit, "measured", "expected", "80 % interval", "bound", "", ""]
        rows = [heads, *(each.cells for each in self.figures)]
        if not any(row[4] for row in rows[1:]):  # of a full server there is no bound
            rows = [[*row[:4], *row[5:]] for row in rows]
        told = [wrapped(self.title), table(rows, least=("bound",)), wrapped(self.verdict)]
        return "\n\n".join([*told, "\n".join(map(wrapped, self.notes))])


def read_measured(source: str, data: bytes | None = None) -> Measured:
    """What a source says: a number of tokens a second, or the output of a benchmark, which is in
    ``data`` or else in the file that the source names. InputError where it says nothing."""
    number = re.fullmatch(r"([\d,]*\.?\d+) ?(?:t|tok|tokens)?(?:/s|ps)?", source.strip())
    if data is None and number and float(number[1].replace(",", "")) > 0:
        return Measured(NUMBER, {"tokens_per_s": float(number[1].replace(",", ""))})
    if data is None:
        from thermoflop.base.files import read_bytes

        data = read_bytes(source, "the output of a benchmark, or tokens/s as a number")
    output = data[-MOST_BYTES:]
    tests, result = tuple(llama_bench_tests(output)), read_result(output)
    if not tests and result is None:
        raise InputError(
            f"{source!r:.60} has no result of a benchmark in it: expected what llama-bench, ollama "
            "run --verbose, vllm bench, sglang's benchmarks, trtllm-bench or genai-perf print"
        )
    return _told(result or EngineResult("llama-bench", {}), tests, output)


def _told(result: EngineResult, tests: tuple[BenchTest, ...], output: bytes) -> Measured:
    """A result with what else its output says of the run."""
    models = {test.model for test in tests}
    if len(models) > 1:
        raise InputError(f"llama-bench ran {len(models)} models: keep the rows of one of them")
    text = output.decode("utf-8", "replace")
    backend = re.search(r"^Backend:\s+(vllm|sglang)", text, re.MULTILINE)
    gpus = re.findall(r"^ *Device \d+: ([^,\n]+), compute capability", text, re.MULTILINE)
    numbers = {key: float(v) for key, v in result.values.items() if not isinstance(v, str)}
    return Measured(
        result.program, numbers, tests, backend[1] if backend else _PROFILES.get(result.program),
        gpus[0] if len(gpus) == 1 else None, users_at_once(output),
        format_of(models.pop()) or None if models else None,
    )  # fmt: skip


def check(
    model: Model, hardware: str | Device, measured: Measured, options: dict[str, Any]
) -> Check:
    """A result beside what a model on a device should give.

    Args:
        model: what ran.
        hardware: on which device, as in ``tf.estimate``.
        measured: what ``read_measured`` found.
        options: keyword arguments of ``tf.estimate``, whose batch is the users of a server; those
            that are None are taken from the result.

    Raises:
        UsageError: where the result does not say a size that it depends on.
    """
    given = {name: value for name, value in options.items() if value is not None}
    given = {**_stated(measured), **given}
    if measured.program in _SERVERS:
        return _served(model, hardware, measured, given)
    if measured.tests:
        return _tested(model, hardware, measured, given)
    return _run(model, hardware, measured, given)


def _stated(measured: Measured) -> dict[str, Any]:
    """The options that the result itself says, or that its program has unasked."""
    from thermoflop.runs.engines.asked import sizes_unasked

    values, requests = measured.values, measured.values.get("requests", 1.0)
    said: dict[str, Any] = {"profile": measured.profile, "dtype": measured.dtype}
    said |= sizes_unasked(measured.program)
    if measured.program in _SERVERS:
        said["batch"] = measured.users
    for key, size in (("prompt_tokens", "prompt"), ("generated_tokens", "generate")):
        if key in values:
            said[size] = max(1, round(values[key] / requests))
    return {name: value for name, value in said.items() if value is not None}


def _tested(
    model: Model, hardware: str | Device, measured: Measured, options: dict[str, Any]
) -> Check:
    """The tests of llama-bench, each with the context that it has: none before its first token."""
    from thermoflop.cost.inference.estimate import estimate

    options = {key: value for key, value in options.items() if key not in ("prompt", "generate")}
    figures = []
    for test in measured.tests:
        if test.prompt:
            sizes = {"prompt": test.depth + test.prompt, "prefix": test.depth, "generate": 1}
        else:
            sizes = {"prompt": max(1, test.depth), "generate": test.generate + 1}
        estimated = estimate(model, hardware, **{**options, **sizes})
        span = estimated.first_token if test.prompt else estimated.per_token
        tokens = estimated.batch * (test.prompt or 1)
        figures.append(_judged(test.name, span, tokens / test.tokens_per_s, tokens))
    return Check(_title(estimated, measured), tuple(figures), (estimated.provenance,))


def _run(
    model: Model, hardware: str | Device, measured: Measured, options: dict[str, Any]
) -> Check:
    """One batch: first token, each token after it, all of it."""
    from thermoflop.cost.inference.estimate import estimate

    estimated = estimate(model, hardware, **options)
    figures = tuple(_figures(estimated, measured))
    sizes = f"batch {estimated.batch}, prompt {estimated.prompt}, {estimated.generate} generated"
    return Check(f"{_title(estimated, measured)}, {sizes}", figures, (estimated.provenance,))


def _figures(estimated: Estimate, measured: Measured) -> Iterator[Judged]:
    values, rates = measured.values, measured.program in _RATES
    batch, prompt = estimated.batch, estimated.prompt
    if "ttft_s" in values:
        name = "prompt" if rates else "first token"
        yield _judged(name, estimated.first_token, values["ttft_s"], batch * prompt * rates)
    if "token_s" in values:
        name = "while decoding" if rates else "each token after it"
        yield _judged(name, estimated.per_token, values["token_s"], batch * rates)
    if "total_s" in values:
        yield _judged("all", estimated.total, values["total_s"])
    if measured.program == NUMBER:
        token_s = batch / values["tokens_per_s"]
        yield _judged("while decoding", estimated.per_token, token_s, batch)


def _judged(name: str, span: Span, measured_s: float, tokens: float = 0) -> Judged:
    """A time beside its span; as the rate of so many tokens, where there are any."""
    times = measured_s, span.expected_s, span.low_s, span.high_s, span.bound_s
    if not tokens:
        return Judged(name, False, *times)
    measured, expected, high, low, bound = (tokens / time for time in times)
    return Judged(name, True, measured, expected, low, high, bound)


def _served(
    model: Model, hardware: str | Device, measured: Measured, options: dict[str, Any]
) -> Check:
    """What a client of a full server saw."""
    from thermoflop.cost.serving.serving import serving

    if "batch" not in options:
        raise UsageError(
            f"{measured.program} does not print how many requests ran at once: say it with --users"
        )
    own = {name: value for name, value in options.items() if name not in ("batch", "cp")}
    served = serving(model, hardware, users=options["batch"], **own)
    title = _title(served, measured)
    sizes = f"{served.users} users, {served.prompt:,.0f} prompt + {served.generate:,.0f} output"
    figures = tuple(_served_figures(served, measured.values))
    return Check(f"{title}, {sizes} tokens", figures, (served.provenance, *served.notes))


def _served_figures(served: Serving, values: dict[str, float]) -> Iterator[Judged]:
    ends = served.benchmark_interval_s
    if "ttft_s" in values and served.benchmark_first_s is not None and ends is not None:
        expected = served.benchmark_first_s
        yield Judged("first token", False, values["ttft_s"], expected, *ends, None)
    if "token_s" in values:
        low, expected, high = served.benchmark_token_s or served.token_s
        yield Judged("each token after it", False, values["token_s"], expected, low, high, None)
    if "tokens_per_s" in values:
        ends = served.tokens_per_s_interval
        rates = values["tokens_per_s"], served.tokens_per_s
        yield Judged("output tokens/s", True, *rates, *ends, None)


def _title(answer: Estimate | Serving, measured: Measured) -> str:
    plan, name = answer.plan, measured.program
    where = f"{answer.model_name} on {plan.devices} x {answer.device.name} ({plan.label})"
    return f"{name.removeprefix('a ')}: {where}, {answer.precision.label}"
