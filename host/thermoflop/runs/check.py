"""``tf.check``: what was measured, beside what the same run should give: whether it is good.

Prompts and generations of one batch are held against ``tf.estimate``, what a client saw of a full
server against ``tf.serving``: the sizes are those that the benchmark prints, or else its defaults.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from thermoflop.base.record import replace
from thermoflop.base.units import digits
from thermoflop.errors import ThermoflopError, UsageError
from thermoflop.runs.judged import Check, Judged, beside
from thermoflop.runs.measured import NUMBER, Measured, read_measured
from thermoflop.runs.placed import Part, laid_by, outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike
    from typing import Any

    from thermoflop.cost.catalogue.profile import Profile
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.serving.result import Serving
    from thermoflop.model.model import Model
    from thermoflop.runs.engines.llama_bench import BenchTest
    from thermoflop.runs.placed import Outcome, Times

_SERVERS = (
    "a serving benchmark", "vllm bench throughput", "trtllm-bench", "genai-perf", "guidellm",
)  # fmt: skip
_RATES = ("llama-bench", "llama.cpp", "ollama", "Ollama's API")  # which print tokens a second
_NO_FIRST = (
    "all requests came at once: how they wait for each other decides the first token, which is not "
    "checked"
)
_NO_PROMPT = "prompts after others, with a part in the computer's memory, are not estimated"
_HOSTED = (
    "with a part in the computer's memory: as `thermoflop fit` expects it of llama.cpp, the bound "
    "that of all on the device"
)
_SAME = 0.02  # of the tokens of a request
# Of the parameters, as files count them: some hold what predicts further ahead, and those of a
# model that sees or hears have nothing of that, which is half of a small one.
_SAME_PARAMS, _WITHOUT_SENSES = 0.15, 0.45


def check(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    result: float | str | bytes | PathLike[str] | Measured,
    *,
    devices: int | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    cp: int = 1,
    batch: int | None = None,
    users: int | None = None,
    rate: float | None = None,
    prefix_hit: float | None = None,
    prompt: int | None = None,
    generate: int | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    profile: str | Profile | None = None,
) -> Check:
    """Whether a number that was measured is good: beside bound, expectation and interval.

    What is None is what the result says, or else the default of the program that made it, or of
    ``estimate`` and ``serving``.

    Args:
        model: what ran: a ``Model``, or what ``load_model`` takes.
        hardware: on which device, as in ``estimate``.
        result: tokens a second while decoding, as a number or as a text such as ``72 tok/s``, or
            the time of a token such as ``13.9ms``; the path of a file that a benchmark printed or
            saved (llama-bench, Ollama, vLLM's, SGLang's and TensorRT-LLM's benchmarks, genai-perf,
            aiperf, guidellm), or what is in it as bytes.
        devices: how many devices. None: the product of the degrees below.
        tp: tensor-parallel degree. None: what ``devices`` leaves over.
        pp: pipeline stages, 1 by default.
        dp: replicas, 1 by default.
        ep: expert-parallel degree, 1 by default.
        cp: context-parallel degree, 1 by default; of one batch alone.
        batch: sequences that ran together. None: as the result says, or one in each replica.
        users: requests at once, of a server. None: as the result says.
        rate: requests a second, of a server. None: as the result says, or none.
        prefix_hit: share of each prompt that the server's cache held already, 0.0 to below 1.0.
            None: 0.0, and the bounds allow any.
        prompt: tokens of each prompt.
        generate: tokens generated after each prompt.
        dtype: number format of weights and arithmetic.
        kv_dtype: number format of the cache.
        profile: the engine that ran it. None: the program's own.

    Returns:
        Each figure with its verdict.

    Raises:
        UsageError: for a value that makes no sense, or where the result does not say a size that
            it depends on.
        InputError: for a device that is not known, or what is no result of a benchmark.
        UnknownModel: an InputError, for a model that is not known.

    Example:
        >>> import thermoflop as tf
        >>> found = tf.check("llama3.1:8b", "rtx 4070", 72)
        >>> found.figures[0].verdict, found.is_good
        ('inside', True)
        >>> tf.check("llama3.1:8b", "rtx 4070", "5 ms").figures[0].verdict
        'beyond'
    """
    from thermoflop.cost.inference.arguments import as_model, checked_whole

    measured = result if isinstance(result, Measured) else _as_measured(result)
    if measured.accepted > 1:
        raise UsageError(
            f"{measured.program} drafted tokens, and got {digits(measured.accepted)} of each "
            "check: expected a result without drafts (`serving --draft` estimates one with them)"
        )
    sizes = {"prompt": prompt, "generate": generate, "dtype": dtype, "kv_dtype": kv_dtype}
    given = {"devices": devices, "tp": tp, "profile": profile, "batch": batch, **sizes}
    given = {name: value for name, value in given.items() if value is not None}
    options = {**_stated(measured, tp, pp), **given, "pp": pp, "dp": dp, "ep": ep, "cp": cp}
    known = _as_served(as_model(model), options)
    _check_same(known, measured)
    if measured.program in _SERVERS:
        if cp != 1:
            raise UsageError(
                f"cp={cp} is of one batch: {measured.program} is held against a server"
            )
        load = _load(measured, users if users is not None else batch, rate)
        if load != {"users": measured.users, "rate": None}:
            measured = replace(measured, at_once=False)
        return _served(known, hardware, measured, {**options, **load, "prefix_hit": prefix_hit})
    if (rate, prefix_hit) != (None, None):
        raise UsageError(f"{measured.program} serves no requests: expected no rate or prefix_hit")
    if users is not None:
        options["batch"] = checked_whole("users", users, 1)
    if measured.tests:
        return _tested(known, hardware, measured, options)
    return held_against(known, hardware, options, measured)


def _as_measured(result: float | str | bytes | PathLike[str]) -> Measured:
    from os import PathLike, fspath

    if isinstance(result, bytes):
        return read_measured("the result", result)
    if not isinstance(result, str | int | float | PathLike):
        raise UsageError(
            f"result={result!r:.60} makes no sense: expected tokens/s, the time of a token such as "
            "'13.9ms', or the path of what a benchmark printed or saved"
        )
    return read_measured(str(fspath(result) if isinstance(result, PathLike) else result))


def _as_served(model: Model, options: dict[str, Any]) -> Model:
    """The model as published where it was named as Ollama does, and another engine ran it."""
    from thermoflop.model.config.named_format import means_download

    engine = options.get("profile") or "ollama"
    if engine in ("llama.cpp", "ollama") or not means_download(model.format_said, tagged=True):
        return model
    return replace(model, named_format=None, format_said="")


def _stated(measured: Measured, tp: int | None, pp: int) -> dict[str, Any]:
    """The options that the result itself says, or that its program has unasked."""
    from thermoflop.runs.engines.asked import sizes_unasked

    values, requests = measured.values, measured.values.get("requests", 1.0)
    said: dict[str, Any] = {"profile": measured.profile, "dtype": measured.dtype}
    if measured.devices is not None and tp is None and measured.devices % pp == 0:
        said["devices"] = measured.devices
    said |= sizes_unasked(measured.program)
    if measured.users is not None:
        said["batch"] = measured.users
    for key, size in (("prompt_tokens", "prompt"), ("generated_tokens", "generate")):
        if key in values:
            said[size] = max(1, round(values[key] / requests))
    return {name: value for name, value in said.items() if value is not None}


def _tested(
    model: Model, hardware: str | Device, measured: Measured, options: dict[str, Any]
) -> Check:
    """The tests of llama-bench, each with the context that it has: none before its first token."""
    options = {key: value for key, value in options.items() if key not in ("prompt", "generate")}

    def part(test: BenchTest) -> Part:
        if test.prompt:
            sizes = {"prompt": test.depth + test.prompt, "prefix": test.depth, "generate": 1}
        else:
            sizes = {"prompt": max(1, test.depth), "generate": test.generate + 1}
        one = _part(model, hardware, {**options, **sizes}, partial(_of_test, test))
        return replace(one, laid=laid_by(model, hardware, {**options, **sizes}, test))

    parts = [part(test) for test in measured.tests]
    judged, estimated = outcome(parts, None), parts[-1].estimate
    left = _unlike(model, estimated.device, measured.tests[0], judged.hosted)
    shown = {figure.name for figure in judged.figures}
    unknown = ", ".join(test.name for test in measured.tests if test.name not in shown)
    apart = (f"{unknown}: not checked, as {_NO_PROMPT}",) if unknown else ()
    notes = (*left, *apart, *judged.others, *_grounds(estimated, judged))
    return _checked(_title(estimated, measured), judged, notes)


def _of_test(test: BenchTest, estimated: Estimate, times: Times) -> Iterator[Judged]:
    span = times.first if test.prompt else times.token
    tokens = estimated.batch * (test.prompt or 1)
    if span is not None:
        yield beside(test.name, span, tokens / test.tokens_per_s, tokens)


def _part(
    model: Model, hardware: str | Device, options: dict[str, Any],
    judge: Callable[[Estimate, Times], Iterator[Judged]],
) -> Part:  # fmt: skip
    """One estimate of what was measured."""
    from thermoflop.cost.inference.capacity import fit
    from thermoflop.cost.inference.estimate import estimate

    sizes = {name: value for name, value in options.items() if name != "prefix"}
    return Part(estimate(model, hardware, **options), lambda: fit(model, hardware, **sizes), judge)


def _checked(title: str, judged: Outcome, notes: Sequence[str]) -> Check:
    if not judged.figures:
        raise UsageError(f"nothing of this result can be checked, as {_NO_PROMPT}")
    said = judged.missing, judged.hosted, judged.instead
    return Check(title, judged.figures, tuple(notes), *said)


def _check_same(model: Model, measured: Measured) -> None:
    """UsageError where the result is of a model of another size, by what llama-bench prints of it,
    or by its name where that is in the catalogue."""
    params, name = 0.0, measured.model
    if measured.tests:
        params, name = measured.tests[0].params, measured.tests[0].model
    elif name:
        from thermoflop.model.config.source import named_source
        from thermoflop.model.load import read_model

        with suppress(ThermoflopError):  # a name of somebody's own
            source = named_source(name)
            params = read_model(source.raw, source.name, source.origin, found=source).params
    perceives = any(model.description.stack(kind) for kind in ("image", "audio"))
    least = _WITHOUT_SENSES if perceives else 1 - _SAME_PARAMS
    if params and not least < params / model.params < 1 + _SAME_PARAMS:
        raise UsageError(
            f"{model.name} has {digits(model.params / 1e9)} billion parameters, and "
            f"{measured.program} ran one of {digits(params / 1e9)} ({name:.60}): expected the same"
        )


def _unlike(model: Model, device: Device, test: BenchTest, hosted: str) -> list[str]:
    """A sentence where llama-bench left layers with the processor, which are ``hosted`` or
    estimated. UsageError where it says that no GPU ran it."""
    from thermoflop.cost.work.weights import layers_of

    if test.backend == "CPU" and device.vendor != "CPU":
        raise UsageError(
            f"llama-bench ran on the processor (backend CPU), and not on {device.name}"
        )
    layers = layers_of(model.description)
    if test.layers is None or test.layers >= layers or device.vendor == "CPU":
        return []
    left = f"llama-bench had {test.layers} of {layers} layers on the GPU"
    return [left if hosted else f"{left}, and all are estimated"]


def held_against(
    model: Model, hardware: str | Device, options: dict[str, Any], measured: Measured
) -> Check:
    """What was measured of one batch (first token, each token after it, all of it) beside its
    estimate with these options. UsageError where nothing of it is estimated."""
    judge = partial(_figures, measured)

    def ask(dtype: str) -> list[Part]:
        return [_part(model, hardware, {**options, "dtype": dtype}, judge)]

    part = _part(model, hardware, options, judge)
    judged, estimated = outcome([part], ask if measured.dtype is None else None), part.estimate
    sizes = f"batch {estimated.batch}, prompt {estimated.prompt}, {estimated.generate} generated"
    notes = (*measured.notes, *judged.others, *_grounds(estimated, judged))
    return _checked(f"{_title(estimated, measured)}, {sizes}", judged, notes)


def _figures(measured: Measured, estimated: Estimate, times: Times) -> Iterator[Judged]:
    values, rates = measured.values, measured.program in _RATES
    batch, prompt = estimated.batch, estimated.prompt
    if "ttft_s" in values and times.first is not None:
        name = "prompt" if rates else "first token"
        yield beside(name, times.first, values["ttft_s"], batch * prompt * rates)
    if "token_s" in values:
        name = "while decoding" if rates else "each token after it"
        yield beside(name, times.token, values["token_s"], batch * rates)
    if "total_s" in values and times.total is not None:
        yield beside("all", times.total, values["total_s"])
    if measured.program == NUMBER and "tokens_per_s" in values:
        yield beside("while decoding", times.token, batch / values["tokens_per_s"], batch)


def _grounds(estimated: Estimate, judged: Outcome) -> list[str]:
    """Which format a word of the model's name is counted as, and what the rates rest on."""
    from thermoflop.cost.inference.formats import formats_line
    from thermoflop.model.config.named_format import means_download

    setting = estimated.setting
    model, line = setting.model, ""
    if model.format_said and not means_download(model.format_said, tagged=True):
        line = formats_line(model, setting.share.checkpoint, setting.precision)
    rests = _HOSTED if judged.hosted else estimated.provenance
    return [*filter(None, [line]), rests]


def _load(measured: Measured, users: int | None, rate: float | None) -> dict[str, Any]:
    """How requests came: as it is said, or else as the result says."""
    if users is None and rate is None:
        users, rate = measured.users, measured.rate
    if users is None and rate is None:
        raise UsageError(
            f"{measured.program} does not print how many requests ran at once: say it with --users"
        )
    return {"users": users, "rate": rate}


def _served(
    model: Model, hardware: str | Device, measured: Measured, options: dict[str, Any]
) -> Check:
    """What a client of a full server saw."""
    from thermoflop.cost.serving.serving import serving

    own = {name: value for name, value in options.items() if name not in ("batch", "cp")}
    served = serving(model, hardware, **own)
    load = f"{served.users} user{'s' * (served.users != 1)}"
    load = f"{digits(served.rate)} requests/s" if served.users is None else load
    sizes = f"{load}, {served.prompt:,.0f} prompt + {served.generate:,.0f} output tokens"
    figures = tuple(_served_figures(served, measured))
    notes = (*measured.notes, *served.notes, *served.unknown, served.provenance)
    if measured.at_once and "ttft_s" in measured.values:
        notes = (_NO_FIRST, *notes)
    return Check(f"{_title(served, measured)}, {sizes}", figures, notes)


def _served_figures(served: Serving, measured: Measured) -> Iterator[Judged]:
    values, bounds = measured.values, served.bounds
    least_s, soonest_s, most = bounds.__dict__.values() if bounds else (None, None, None)
    first = (served.first_s[1], (served.first_s[0], served.first_s[2]))
    if served.benchmark_first_s is not None and served.benchmark_interval_s is not None:
        first = (served.benchmark_first_s, served.benchmark_interval_s)
    if "ttft_s" in values and not measured.at_once:
        yield Judged("first token", False, values["ttft_s"], first[0], *first[1], soonest_s)
    if "token_s" in values:
        low, expected, high = served.benchmark_token_s or served.token_s
        times = values["token_s"], expected, low, high, least_s
        yield Judged("each token after it", False, *times)
    output = _output_per_s(served, measured)
    if output is not None and (served.users is not None or served.saturated):
        ends = served.tokens_per_s_interval
        rates = output, served.tokens_per_s, *ends, most
        yield Judged("output tokens/s", True, *rates)


def _output_per_s(served: Serving, measured: Measured) -> float | None:
    """Output tokens a second; of a file that counts prompts and outputs together by its requests.
    UsageError where the sizes are others than it counts."""
    values = measured.values
    if not {"requests_per_s", "all_tokens", "requests"} <= values.keys():
        return values.get("tokens_per_s")
    each, tokens = served.prompt + served.generate, values["all_tokens"] / values["requests"]
    if abs(tokens - each) > _SAME * tokens:
        raise UsageError(
            f"{measured.program} counts {digits(tokens)} tokens a request, prompt and output "
            f"together, and not {digits(each)}: say them with --prompt and --generate"
        )
    return values["requests_per_s"] * served.generate


def _title(answer: Estimate | Serving, measured: Measured) -> str:
    plan, name = answer.plan, measured.program
    where = f"{answer.model_name} on {plan.devices} x {answer.device.name} ({plan.label})"
    return f"{name.removeprefix('a ')}: {where}, {answer.precision.label}"
