"""Options that several commands have, each described once, and results printed as text or JSON."""

from __future__ import annotations

import argparse

from thermoflop.cli.parser import bandwidth, length, share, svg_path
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, TextIO


def duration_s(text: str) -> float:
    """The ``type`` of an option that is a duration: seconds, or argparse's own error."""
    from thermoflop.runs.duration import read_duration_s

    try:
        return read_duration_s(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def path(text: str) -> Path:
    """The ``type`` of an option that is a path; pathlib is imported when one is read."""
    from pathlib import Path

    return Path(text)


def read_label(text: str) -> tuple[str, str]:
    """Key and value of ``--label KEY=VALUE``. UsageError for anything else."""
    key, sign, value = text.partition("=")
    if not key or not sign:
        raise UsageError(f"--label {text!r} is not of the form KEY=VALUE")
    return key, value


class Offered(tuple[str, ...]):
    """What completion offers; others are taken too, and judged where they are used."""

    def __contains__(self, value: object) -> bool:
        return True


# option -> its description, as ``add_argument`` takes it
_SHARED: dict[str, dict[str, Any]] = {
    "--budget": {"type": length, "metavar": "N", "help": "tokens in a step (the engine's)"},
    "--duration": {
        "dest": "duration_s", "type": duration_s, "metavar": "T",
        "help": "stop after 60s, 5m or 1h",
    },
    "--encoder": {
        "type": length, "metavar": "N",
        "help": "tokens that the encoder beside a decoder reads (Whisper's own, else none counted)",
    },
    "--gpu": {
        "choices": Offered(("auto", "none", "sim")), "default": "auto", "metavar": "GPU",
        "help": "auto, none, sim, or so many simulated as in 8xsim (auto)",
    },
    "--in": {"dest": "where", "type": path, "default": "runs", "metavar": "DIR", "help": "(runs)"},
    "--audio": {"metavar": "S", "help": "a clip in each prompt, such as 30s"},
    "--images": {"metavar": "NxWxH", "help": "images in each prompt, such as 2x1024x768"},
    "--json": {"action": "store_true", "help": "one JSON object"},
    "--label": {"action": "append", "default": [], "metavar": "KEY=VALUE"},
    "--lengths": {
        "choices": ("fixed", "uniform", "lognormal"), "default": "fixed",
        "help": "how prompts and outputs spread around their means (fixed)",
    },
    "--network-bandwidth": {
        "type": bandwidth, "dest": "network_gb_s", "metavar": "GB/s",
        "help": "of a device to other nodes (default by device, 50 of an H100)",
    },
    "--node-size": {
        "type": int, "metavar": "N", "help": "devices that fast links join (default by device)",
    },
    "--out": {"type": path, "default": "runs", "metavar": "DIR", "help": "where runs go (runs)"},
    "--page": {"type": length, "metavar": "N", "help": "tokens in a page of the cache"},
    "--plain": {"action": "store_true", "help": "plain lines on a terminal, too"},
    "--port": {"metavar": "P", "help": "port, sim://... or socket://host:port"},
    "--prefix-hit": {
        "type": share, "default": 0.0, "metavar": "S", "help": "share of prompts cached (0)",
    },
    "--price": {"type": float, "metavar": "P", "help": "price of a device hour"},
    "--profile": {"metavar": "P", "help": "vllm, llama.cpp, mine, ... or a JSON file"},
    "--wait": {
        "type": duration_s, "default": 5.0, "metavar": "T", "help": "wait for a first line (5s)",
    },
    "--svg": {"type": svg_path, "metavar": "FILE"},
    "--why": {"action": "store_true", "help": "every operator, and what binds it"},
}  # fmt: skip


# option -> the name that it had before, which still works and is in no help
_OLD_NAMES = {
    "--comm-overlap": "--overlap",
    "--draft-tokens": "--drafted",
    "--duration": "--for",
    "--interleave": "--virtual",
    "--mqa-page": "--page",
}


def add_option(
    parser: argparse._ActionsContainer, option: str, **description: Any
) -> argparse.Action:
    """Add an option; where it had another name before, that too, hidden."""
    action = parser.add_argument(option, **description)
    if option in _OLD_NAMES:
        hidden = {"dest": action.dest, "default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
        parser.add_argument(_OLD_NAMES[option], **{**description, **hidden})
    return action


def add_shared(
    parser: argparse._ActionsContainer, *options: str, **changes: Any
) -> list[argparse.Action]:
    """Add options that other commands have too; ``changes`` replace parts of the description."""
    return [add_option(parser, option, **{**_SHARED[option], **changes}) for option in options]


def json_text(data: object, *, indented: bool = False) -> str:
    """JSON as commands print it: one line of ASCII, or ``indented`` and in UTF-8."""
    import json

    return json.dumps(data, ensure_ascii=not indented, indent=1 if indented else None)


def show(text: str, file: TextIO | None = None) -> None:
    """Print text, its lines no longer than the page where its width is known."""
    from thermoflop.base.paper import fitted

    print(fitted(text), file=file, flush=True)


def print_result(
    args: argparse.Namespace,
    data: Callable[[], object],
    text: Callable[[], str],
    *,
    indented: bool = False,
    file: TextIO | None = None,
) -> None:
    """Print a command's result: with ``--json`` its data as JSON, else its text, if there is any.

    ``data`` and ``text`` are called when they are needed; ``indented`` is that of ``json_text``.
    """
    if args.json:
        print(json_text(data(), indented=indented), file=file)
    elif printed := text():
        show(with_assumed(args, printed), file)


def assume(args: argparse.Namespace, sentence: str) -> None:
    """Note a sentence on what was assumed, which is printed above the text of a result."""
    said = getattr(args, "assumed", "")
    args.assumed = f"{said}\n{sentence}" if said else sentence


def with_assumed(args: argparse.Namespace, text: str) -> str:
    """A text below the sentence on what was assumed, where something was."""
    assumed = getattr(args, "assumed", "")
    return f"{assumed}\n\n{text}" if assumed else text
