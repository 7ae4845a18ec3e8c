"""``thermoflop completion bash``: the words that a shell completes, as a script for it."""

from __future__ import annotations

import argparse

EPILOG = """\
  bash: thermoflop completion bash > ~/.local/share/bash-completion/completions/thermoflop
  zsh:  thermoflop completion zsh > a folder of $fpath, as _thermoflop
The script knows all commands and options and starts no Python. Make it again after an update.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from thermoflop.cli import build_parser
    from thermoflop.errors import MissingExtra

    try:
        import shtab
    except ImportError as error:
        raise MissingExtra(
            "completion needs shtab: pip install 'thermoflop[completion]'"
        ) from error
    parser = build_parser(everything=True)
    for action in _actions(parser):
        if "FILE" in str(action.metavar):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif "DIR" in str(action.metavar) or action.dest == "runs":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=args.shell), end="")
    return 0


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Every argument of every command."""
    actions: list[argparse.Action] = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way in
        actions.append(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for sub in dict.fromkeys(action.choices.values()):
                actions += _actions(sub)
    return actions
