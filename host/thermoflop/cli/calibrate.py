"""``thermoflop calibrate``: a profile of one's own, measured here or fitted to measured rows."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, print_result
from thermoflop.cli.bench import add_backend
from thermoflop.cli.streams import tell
from thermoflop.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.bench.backend import Backend

EPILOG = """\
Some three minutes (--quick: one); leave the machine alone meanwhile. The profile is then a device
and the rates of an engine on it:
  thermoflop bench gpt2 --profile mine
  thermoflop estimate gpt2 --profile mine --prompt 512
Ctrl-C leaves the old profile as it was.

With --rows nothing is measured here: the profile is fitted to at least five rows that you measured
with an engine, in the format of `validate times FILE`.
  thermoflop calibrate --rows rows.json mine.json
  thermoflop estimate llama-3-8b --gpu h100 --profile mine.json

With --kernels single products and attention kernels are measured by the classes and sizes that
`validate kernels` judges, extremes first, and kept in a file of that format:
  thermoflop calibrate --kernels kernels.json --backend torch --device cuda --dtype bf16
  thermoflop validate kernels kernels.json
With --engine they become a profile: that engine's rates, and for each class with five kernels, in
the formats that were measured, their rates instead. It holds on that device, for every command and
the page. A file of kernels is taken by --rows as well, which measures nothing:
  thermoflop calibrate --rows kernels.json --engine vllm --name mine-vllm
  thermoflop estimate llama-3-8b --profile mine-vllm
Everything at once on a machine with a GPU, in some ten minutes (it has run on none yet):
  thermoflop record -- sh -c 'thermoflop calibrate --kernels kernels.json --engine vllm \\
    --name mine-vllm --backend torch --device cuda --dtype bf16 && \\
    thermoflop bench --suite gpu --calibrate'
"""
_OF_MEASURING = ("quick", "backend", "device", "dtype", "kernels")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--name", default="mine", metavar="NAME", help="of the profile (mine)")
    add("--quick", action="store_true", help="fewer shapes, wider intervals")
    add_backend(parser)
    add("--rows", metavar="FILE", help="fit the profile to these rows instead of measuring")
    add("--kernels", metavar="FILE", help="measure single kernels alone, into this JSON file")
    add("--engine", metavar="ENGINE", help="whose rates kernels replace, such as vllm")
    add("out", nargs="?", metavar="OUT.json", help="where a profile of --rows goes (NAME.json)")
    add_shared(parser, "--json", help="print the profile as JSON")


def run(args: argparse.Namespace) -> None:
    """Measure or fit, keep the profile, and print it."""
    if args.rows is not None:
        _from_rows(args)
        return
    if args.engine is not None and args.kernels is None:
        raise UsageError("--engine is for kernels: expected --kernels FILE or --rows FILE with it")
    if args.out is not None:
        raise UsageError(f"{args.out} is where a profile of rows would go: expected --rows FILE")
    from thermoflop.bench.backends import open_backend
    from thermoflop.bench.calibrate.run import calibrate, check_name
    from thermoflop.bench.calibrate.text import profile_text
    from thermoflop.bench.check import check

    check_name(args.name)
    backend = open_backend(args.backend or "numpy", args.device or "cpu", args.dtype or "fp32")
    check(backend)
    if args.kernels is not None:
        _measure_kernels(args, backend)
    else:
        profile = calibrate(args.name, backend, args.quick, _say)
        print_result(args, lambda: profile, lambda: profile_text(profile))


def _measure_kernels(args: argparse.Namespace, backend: Backend) -> None:
    """Measure single kernels, keep them, and judge the carried rates by them."""
    from thermoflop.base.files import check_folder
    from thermoflop.bench.calibrate.kernels import measure_kernels
    from thermoflop.cost.catalogue.profiles import find_profile
    from thermoflop.cost.validate.kernels import validate_kernels

    if not args.kernels.endswith(".json"):
        raise UsageError(f"--kernels {args.kernels} does not end in .json")
    check_folder(args.kernels)
    if args.engine is not None:
        find_profile(args.engine)
    raw = measure_kernels(backend, args.quick)
    _write(args.kernels, raw)
    _say(f"kept as {args.kernels}")
    if args.engine is not None:
        from thermoflop.cost.catalogue.own_kernels import write_own
        from thermoflop.cost.fitting.own import own_profile

        _say(f"kept as {write_own(own_profile(raw, args.kernels, args.engine, args.name))}")
    print_result(args, lambda: raw, lambda: printable(validate_kernels([args.kernels]).text()))


def _write(path: str, raw: dict[str, Any]) -> None:
    import json

    from thermoflop.base.files import write_text

    write_text(path, f"{json.dumps(raw, indent=1)}\n")


def _say(text: str) -> None:
    tell(f"thermoflop calibrate: {text}")


def _from_rows(args: argparse.Namespace) -> None:
    """A profile from a file of rows or of kernels; print what it rests on."""
    for option in _OF_MEASURING:
        if getattr(args, option):
            raise UsageError(f"--{option} is for measuring this machine: --rows measures nothing")
    kernels = _kernels_in(args.rows)
    if kernels is not None:
        _fit_kernels(args, kernels)
    elif args.engine is None:
        _fit_rows(args)
    else:
        raise UsageError(f"--engine is for kernels: {args.rows} holds rows, which name their own")


def _kernels_in(path: str) -> dict[str, Any] | None:
    """What a file holds that is one of kernels or a calibrated machine; None for rows."""
    import json

    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            raw = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None  # what reads rows says what is wrong with it
    return raw if isinstance(raw, dict) and "tables" in raw else None


def _fit_kernels(args: argparse.Namespace, kernels: dict[str, Any]) -> None:
    """An engine's profile with the rates of a file of kernels, or of a calibrated machine."""
    from thermoflop.base.files import check_folder
    from thermoflop.bench.calibrate.kernels import kernels_of_machine
    from thermoflop.bench.calibrate.run import check_name
    from thermoflop.cost.catalogue.machine import KIND, machine_profile_from
    from thermoflop.cost.catalogue.own_kernels import write_own
    from thermoflop.cost.fitting.own import own_profile, own_text

    if args.out is not None:
        _check_out(args.out)
        check_folder(args.out)
    else:
        check_name(args.name)
    if kernels.get("kind") == KIND:
        machine_profile_from(kernels, args.rows)
        kernels = kernels_of_machine(kernels)
    raw = own_profile(kernels, args.rows, args.engine, args.name)
    if args.out is not None:
        _write(args.out, raw)
    _say(f"kept as {args.out or write_own(raw)}")
    print_result(args, lambda: raw, lambda: own_text(raw))


def _check_out(out: str) -> None:
    if not out.endswith(".json"):
        raise UsageError(f"{out} does not end in .json, so --profile would take it for a name")


def _fit_rows(args: argparse.Namespace) -> None:
    """Fit a profile to a file of rows, and print what it rests on."""
    from thermoflop.base.files import check_folder, read_json
    from thermoflop.cost.fitting.profiles import write_own

    out = args.out or f"{args.name}.json"
    _check_out(out)
    check_folder(out)
    write_own(args.rows, out)
    print_result(args, lambda: read_json(out), lambda: rests_on(out))


def rests_on(out: str) -> str:
    """What a profile in a file was fitted to, in a sentence."""
    from thermoflop.cost.catalogue.profiles import find_profile

    profile = find_profile(out)
    devices, interval = ", ".join(profile.devices), profile.intervals["all"]
    return (
        f"{out}: fitted to {profile.rows} rows of {profile.models} models on {devices}; "
        f"80 % interval {interval.low:g} .. {interval.high:g} times what is expected"
    )
