"""``thermoflop completion bash``: the words that a shell completes, as a script for it."""

from __future__ import annotations

import argparse
import re

from thermoflop.errors import MissingExtra

EPILOG = """\
  mkdir -p ~/.local/share/bash-completion/completions
  cd ~/.local/share/bash-completion/completions
  thermoflop completion bash > thermoflop
  thermoflop completion zsh > FOLDER/_thermoflop      a FOLDER of $fpath
  thermoflop completion fish > ~/.config/fish/completions/thermoflop.fish

The script knows all commands and options, the models, GPUs and profiles of the catalogues, and the
runs of the folder that --in names, and starts no Python. Make it again after an update.
"""
SHELLS = ("bash", "zsh", "tcsh", "fish")
SHORT_GPU = 5  # letters of the aliases that are offered besides the names: h100, gb200

# A function that offers @words and files. "file" in its name makes bash treat its words as files.
_WORDS = {
    "bash": '@name_file() {\n  compgen -W "@words" -- "$1"\n  compgen -f -- "$1"\n}',
    "zsh": "@name_file() {\n  compadd -- @words\n  _files\n}",
    "fish": "function @name_file\n  printf '%s\\n' @words\n"
            "  __fish_complete_path (commandline -ct)\nend",
    "tcsh": "set @name_file = ( @words )",
}  # fmt: skip
# One that offers the runs in the folder after --in, or in ``runs``, and any folder. Their names are
# never evaluated: whoever unpacks a stranger's run must not run it by asking for completion.
_RUNS = {
    "bash": """\
_thermoflop_runs_dir() {
  local where=runs each i
  for ((i = 1; i + 1 < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == --in ]] && where=${COMP_WORDS[i + 1]}
  done
  for each in last "$where"/*/samples.jsonl; do
    [[ $each == last || -f $each ]] || continue
    each=${each%/samples.jsonl} each=${each##*/}
    [[ $each == "$1"* ]] && printf '%s\\n' "$each"
  done
  compgen -d -- "$1"
}""",
    "zsh": """\
_thermoflop_runs_dir() {
  local where=runs i=${words[(I)--in]}
  (( i && i + 1 < CURRENT )) && where=${words[i + 1]}
  local -a names=($where/*/samples.jsonl(N:h:t))
  compadd -- last $names
  _files -/
}""",
    "fish": """\
function _thermoflop_runs_dir
  set -l where runs
  set -l typed (commandline -opc)
  if set -l at (contains -i -- --in $typed); and test $at -lt (count $typed)
    set where $typed[(math $at + 1)]
  end
  echo last
  for each in $where/*/samples.jsonl
    set -l parts (string split -r -m 2 / -- $each)
    printf '%s\\n' $parts[2]
  end
  __fish_complete_directories
end""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=SHELLS, help="which shell")


def run(args: argparse.Namespace) -> None:
    """Print the script."""
    from thermoflop.cli import build_parser

    try:
        import shtab
    except ImportError as error:
        raise MissingExtra(
            "completion needs shtab: pip install 'thermoflop[completion]'"
        ) from error
    if args.shell not in shtab.SUPPORTED_SHELLS:
        raise MissingExtra(f"{args.shell} needs shtab 1.9: pip install 'thermoflop[completion]'")
    parser = build_parser(everything=True)
    words = {kind: _function(kind, names) for kind, names in _names().items()}
    words["runs"] = {**_called("_thermoflop_runs_dir"), "tcsh": "d", "preamble": _RUNS}
    for command, action in _actions(parser):
        if (kind := _kind(command, action)) is not None:
            action.complete = words[kind]  # type: ignore[attr-defined]
        elif "FILE" in str(action.metavar):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif "DIR" in str(action.metavar):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=args.shell), end="")


def _names() -> dict[str, list[str]]:
    """What the catalogues know: models, GPUs as one word each, engines' and trainers' profiles."""
    from thermoflop.cost.catalogue.devices import plain_names
    from thermoflop.cost.catalogue.machine import machine_profile_names
    from thermoflop.cost.catalogue.profiles import profiles, training_profiles
    from thermoflop.cost.catalogue.sheets import device_names
    from thermoflop.model.config.catalogue import names

    gpus = [re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-") for name in device_names()]
    short = [name for name in plain_names() if len(name) <= SHORT_GPU]
    return {
        "models": names(),
        "gpus": sorted({"auto", *gpus, *short}),
        "profiles": [*profiles(), *machine_profile_names()],
        "trainers": list(training_profiles()),
    }


def _function(kind: str, names: list[str]) -> dict[str, object]:
    """What shtab needs to offer some names: a function's name in each shell, and its text."""
    name = f"_thermoflop_{kind}"
    # what a shell would obey in a word is in no name, unless somebody put a file there
    words = " ".join(each for each in names if re.fullmatch(r"[\w.@/+-]+", each))
    texts = {
        shell: text.replace("@name", name).replace("@words", words)
        for shell, text in _WORDS.items()
    }
    return {**_called(f"{name}_file"), "tcsh": f"`echo ${name}_file`", "preamble": texts}


def _called(function: str) -> dict[str, str]:
    """How each shell is told to call a function."""
    return {"bash": function, "zsh": function, "fish": f"({function})"}


def _kind(command: str, action: argparse.Action) -> str | None:
    """Which names an argument takes, if any."""
    if action.choices is not None:
        return None
    if "--profile" in action.option_strings:
        return "trainers" if command == "train" else "profiles"
    if "--hardware" in action.option_strings or action.dest == "names":
        return "gpus"
    if action.metavar == "MODEL":
        return "models"
    return "runs" if action.metavar == "RUN" else None


def _actions(
    parser: argparse.ArgumentParser, command: str = ""
) -> list[tuple[str, argparse.Action]]:
    """Every argument of every command, with the command's name."""
    actions: list[tuple[str, argparse.Action]] = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way in
        actions.append((command, action))
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, sub in action.choices.items():
                actions += _actions(sub, name)
    return actions
