"""``thermoflop record -- CMD``: run a command and keep what happened around it."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

from thermoflop.cli.arguments import add_shared, duration_s, json_text, read_label, show
from thermoflop.cli.cost_options import add_inference, inference_options
from thermoflop.cli.signals import interrupt_on_end
from thermoflop.cli.streams import tell
from thermoflop.errors import InputError, ThermoflopError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.runs.predict import Wish
    from thermoflop.runs.record.plan import Plan
    from thermoflop.runs.record.session import Outcome

EPILOG = """\
The exit code is the command's own, 128+n when signal n ended it, 127 when there is no such command.
Recording goes on until every process of the command has ended. Ctrl-C reaches the command once; a
second one asks it to terminate, a third one kills it; Ctrl-Z stops both, and no time has the pause
in it. A command in quotes runs by its words; what needs a shell is sh -c '...'.
It has no terminal of its own: what asks or draws at one (sudo, ssh, bars) does so with --pty, where
output and error are one stream, and processes left behind are hung up on.
Lines of the form KEY=value in the output, and thermoflop.mark("prefill", tokens=2048) in Python,
put phases and numbers on the time axis.
A mark has its own clock; a printed line is stamped when it is read: flush each one. Python is told
to (PYTHONUNBUFFERED=1, unless you set it); phases that came late in one piece get no times.

The results that vllm bench, sglang's benchmarks, llama-bench, trtllm-bench, ollama and llama.cpp
print are noted at their end, and what their command line says is predicted (--model auto insists).

examples:
  thermoflop record -- python bench.py
  thermoflop record -n 5 --warmup 1 --wait-below 40 -- python bench.py
  thermoflop record -n 3 --vs "python old.py" -- python new.py
  thermoflop record --model llama-3-8b --batch 8 --prompt 2048 --generate 256 -- python bench.py
  thermoflop record -- vllm bench latency --model meta-llama/Llama-3.1-8B --batch-size 8
  thermoflop record --attach $(pgrep -f "vllm serve") --scrape http://127.0.0.1:8000 --duration 5m
"""
PREDICTED = """\
written into the run before the command starts; the report sets them beside what phases named
prefill and decode measured, with tokens= (of all sequences), ttft_s=, token_s=, tokens_per_s=
"""


_SIZES = ("batch", "prompt", "generate")  # that a benchmark's own command line says


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.usage = "%(prog)s [options] -- COMMAND [ARG ...]"
    add = parser.add_argument
    add_shared(
        parser,
        "--port",
        action="append",
        help="the board's port, again for each further board; default: the only board; none: none",
    )
    add_shared(
        parser,
        "--gpu",
        help="auto, none, sim (sim:70 begins at 70 °C, 8xsim are eight), or the command's own "
        "GPUs, as 0,3 (auto: those of CUDA_VISIBLE_DEVICES)",
    )
    add("--rate", type=float, default=10.0, metavar="HZ", help="GPU readings a second (10)")
    add_shared(parser, "--out")
    add("--name", default="record", help="a word for the folder's name (record)")
    add_shared(parser, "--label", help="kept with the run")
    add("-n", "--repeat", type=int, default=1, metavar="N", help="run the command N times (1)")
    add("--warmup", type=int, default=0, metavar="N", help="N more times first, flagged (0)")
    add("--vs", metavar="COMMAND", help="a second command, run in turn with the first: A B A B")
    add(
        "--wait-below",
        type=_degrees_c,
        metavar="C",
        help="before each time wait until it is cooler",
    )
    add("--sensor", choices=("auto", "board", "gpu"), default="auto", help="what must be cool")
    add("--timeout", type=duration_s, metavar="T", help="of --wait-below: wait that long (10m)")
    add("--before", type=duration_s, default=0.0, metavar="T", help="record that long before")
    add("--after", type=duration_s, default=0.0, metavar="T", help="and that long after (0)")
    add("--grace", type=duration_s, default=10.0, metavar="T", help="from SIGTERM to SIGKILL (10s)")
    add("--scrape", metavar="URL", help="a server's metrics, such as http://127.0.0.1:8000/metrics")
    add("--attach", type=int, metavar="PID", help="no command: record beside this process")
    add_shared(parser, "--duration", help="of --attach: stop after 60s, 5m or 1h")
    add("--pty", action="store_true", help="the command has a terminal: its bars, its prompts")
    add("--control", action="store_true", help="obey control.txt in the run's folder")
    add("--no-report", action="store_true", help="do not write report.html")
    add_shared(parser, "--json", help="the result as JSON; the command's output to stderr")
    _configure_prediction(parser)
    add("cmd", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")


def _degrees_c(text: str) -> float:
    """The ``type`` of a temperature: 40, 40c or "40 °C"."""
    from thermoflop.cli.parser import any_number

    return any_number(re.sub(r"\s*°?\s*[cC]?$", "", text))


def _configure_prediction(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("predictions", PREDICTED)
    group.add_argument(
        "--model", metavar="MODEL", help="what the command runs: a config.json, a folder, or a name"
    )
    add_inference(group, ("--hardware", "--gpu-model"), "this machine's GPU")
    add_shared(group, "--profile")


def _wish(args: argparse.Namespace, command: list[str]) -> Wish | None:
    """The prediction to write into the run, if any; UsageError for options without a model.

    Without --model, or with ``auto``, the benchmark program of an engine says what it runs.
    """
    from thermoflop.runs.engines.asked import read_command
    from thermoflop.runs.predict import Wish

    given = _given(args)
    asked = read_command(command)
    if args.model not in (None, "auto"):
        sizes = {} if asked is None else {k: v for k, v in asked.options.items() if k in _SIZES}
        return Wish(args.model, args.hardware, {**_prediction_options(args), **sizes, **given})
    said = asked is not None and asked.needs and given.keys() >= set(asked.needs)
    if asked is not None and (said or not asked.missing):
        options = {**asked.options, **given}
        return Wish(asked.model, args.hardware, options, is_guess=args.model is None)
    if args.model == "auto":
        why = f"{asked.program}: {asked.missing}" if asked else "this is no benchmark that is known"
        raise UsageError(f"--model auto cannot tell what the command runs: {why}; name the model")
    if (given or args.hardware is not None) and asked is None:
        name, value = next(iter({**given, "hardware": args.hardware}.items()))
        flag = f"--{name.replace('_', '-')}"
        raise UsageError(f"{flag} {value} needs --model: of what, it does not say")
    if asked is not None:
        _notify(f"no prediction for {asked.program}: {asked.missing}")
    return None


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a prediction that were given."""
    parser = argparse.ArgumentParser()
    _configure_prediction(parser)
    defaults = vars(parser.parse_args([]))
    return {
        name: getattr(args, name)
        for name, default in defaults.items()
        if name not in ("model", "hardware") and getattr(args, name) != default
    }


def _prediction_options(args: argparse.Namespace) -> dict[str, Any]:
    """What is predicted, device and format filled in; InputError or UsageError where they cannot
    be."""
    try:
        return inference_options(args, None)
    except (InputError, UsageError) as error:
        kind = InputError if isinstance(error, InputError) else UsageError
        raise kind(f"no prediction can be made: {error}") from error


def run(args: argparse.Namespace) -> int:
    """Record, print where the evidence is, and pass the exit code through."""
    from thermoflop.runs.record.session import record_command

    outcome = record_command(plan(args), _notify)
    # run.json has the exit code by now: what goes wrong from here on costs neither
    try:
        interrupt_on_end()
        _tell(args, outcome)
    except KeyboardInterrupt:
        _notify(f"interrupted; thermoflop report {outcome.folder} makes the page")
    return outcome.exit_code


def _tell(args: argparse.Namespace, outcome: Outcome) -> None:
    if args.json:
        print(json_text({"folder": str(outcome.folder), **outcome.run}), flush=True)
    _print_outcome(outcome)
    if not args.no_report:
        _try("report", _write_page, outcome)
    if _is_repeated(outcome) or outcome.run.get("predictions"):
        _try("word on the figures", _print_figures, outcome)


def _try(what: str, make: Callable[[Outcome], None], outcome: Outcome) -> None:
    try:
        make(outcome)
    except Exception as error:
        kind = "" if isinstance(error, ThermoflopError) else f"{type(error).__name__}: "
        _notify(f"no {what}: {kind}{error}")


def _write_page(outcome: Outcome) -> None:
    from thermoflop.report.html.page import write_report

    _notify(f"report: {write_report([outcome.folder])}")


def _is_repeated(outcome: Outcome) -> bool:
    return sum(not trial.warmup for trial in outcome.trials) > 1


def _print_figures(outcome: Outcome) -> None:
    """The means of repetitions, and what came of predictions."""
    from thermoflop.report.html import predicted
    from thermoflop.report.terminal.terminal import lengths
    from thermoflop.runs.analysis.analyze import analyze

    analysis = analyze(outcome.folder)
    for name, text in lengths(analysis) if _is_repeated(outcome) else ():
        _notify(f"{name}: {text}")
    if outcome.run.get("predictions"):
        show("\n".join(predicted.lines(analysis)), sys.stderr)
        for warning in analysis.warnings:
            if warning.startswith("predicted "):
                _notify(warning)


def plan(args: argparse.Namespace) -> Plan:
    """The arguments as a plan."""
    from thermoflop.runs.record.gate import Gate
    from thermoflop.runs.record.plan import Plan

    command = _attached(args) if args.attach is not None else _command(args)
    gate, ports = None, [_warmed(port) for port in args.port or []]
    if args.wait_below is not None:
        if not -273.15 < args.wait_below < 1000:
            raise UsageError(f"--wait-below {args.wait_below:g} is no temperature in °C")
        gate = Gate(args.wait_below, args.sensor, 600.0 if args.timeout is None else args.timeout)
    elif args.timeout is not None:
        raise UsageError(
            "--timeout is of --wait-below: a command is ended by "
            f"`thermoflop record -- timeout {args.timeout:g} COMMAND`"
        )
    labels = dict(read_label(text) for text in args.label)
    if args.attach is not None:
        labels.setdefault("attached", f"process {args.attach}")
    return Plan(
        command=command,
        against=_split(args.vs, "--vs") if args.vs is not None else None,
        out=args.out,
        name=args.name,
        port=ports[0] if ports else None,
        further_ports=ports[1:],
        gpu=args.gpu,
        rate_hz=args.rate,
        repeats=args.repeat,
        warmups=args.warmup,
        before_s=args.before,
        after_s=args.after,
        gate=gate,
        grace_s=args.grace,
        labels=labels,
        wish=_wish(args, command),
        scrape=args.scrape,
        pty=args.pty,
        control=args.control,
        echo=(2, 2) if args.json else (1, 2),
    )


def _warmed(port: str) -> str:
    """A simulated board that nobody heats otherwise, heated by the work of this machine: the heat
    of its usual script would be none of the command's."""
    _, sign, words = port.partition("?")
    said = {word.partition("=")[0] for word in words.split("&")}
    if not port.startswith("sim://") or said & {"heat", "finger", "speed"}:
        return port
    _notify(f"the board at {port} is simulated: this machine's work heats it (heat=cpu)")
    return f"{port}{'&' if sign else '?'}heat=cpu"


def _command(args: argparse.Namespace) -> list[str]:
    """The command to record; all of it in quotes runs by its words."""
    if args.duration_s is not None:
        raise UsageError("--duration is of --attach: a command ends by itself")
    command: list[str] = args.cmd[1:] if args.cmd[:1] == ["--"] else args.cmd
    if len(command) == 1 and len(command[0].split()) > 1 and shutil.which(command[0]) is None:
        return _split(command[0], "the command")
    return command


def _attached(args: argparse.Namespace) -> list[str]:
    """The command that waits for the end of a process that already runs."""
    from thermoflop.runs.engines.attached import started_at

    if args.cmd:
        raise UsageError("--attach records beside a process that runs: there is no command then")
    if args.attach <= 0 or started_at(args.attach) is None:
        raise UsageError(f"--attach {args.attach}: there is no such process")
    seconds = [] if args.duration_s is None else [f"{args.duration_s:g}"]
    module = "thermoflop.runs.engines.attached"
    return [sys.executable, "-P", "-m", module, str(args.attach), *seconds]


def _split(command: str, what: str) -> list[str]:
    """The words of a command line in one string; what only a shell can do is said, not guessed."""
    plain = re.sub(r"\\.|'[^']*'", "", command)  # backslash and single quotes hide all
    bare = re.sub(r'"[^"]*"', "", plain)  # double quotes all but variables
    special = re.search(r"[$`]", plain) or re.search(r"[|&;<>()*?\n]", bare)
    if special:
        raise UsageError(
            f"{what} {command!r} has {special[0]!r} in it, which needs a shell: "
            f"sh -c {shlex.quote(command)}"
        )
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{what} {command!r} is not a command line: {error}") from error


def _notify(text: str) -> None:
    tell(f"thermoflop record: {text}")


def _print_outcome(outcome: Outcome) -> None:
    for source, why in outcome.absent.items():
        _notify(f"no {'GPU' if source == 'gpu' else source}: {why}")
    for trial in outcome.trials:
        if trial.duration_s is None:
            continue
        ended = f"killed by {trial.signal}" if trial.signal else f"exit code {trial.exit_code}"
        name = f"trial {trial.index} ({trial.variant}{', warm-up' if trial.warmup else ''})"
        _notify(f"{name}: {trial.duration_s:.3f} s, {ended}")
    for notice in outcome.notices:
        _notify(notice)
    _notify(f"kept in {outcome.folder}")
