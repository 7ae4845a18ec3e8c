"""Options that the commands on costs share, and the keyword arguments that they become."""

from __future__ import annotations

from thermoflop.cli.arguments import assume
from thermoflop.cli.parser import length
from thermoflop.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from thermoflop.cost.hardware.device import Device

_INFERENCE = (
    "devices", "tp", "pp", "dp", "ep", "cp", "batch", "prompt", "generate", "dtype", "kv_dtype",
    "profile", "page", "images", "audio", "encoder",
)  # fmt: skip
_HARDWARE = ("--gpu", "--hardware")
# Options that engines have for the share of a device that they take.
_SHARES = ("gpu_memory_utilization", "mem_fraction_static", "free_gpu_memory_fraction")


def add_hardware(
    parser: argparse._ActionsContainer,
    flags: tuple[str, ...] = _HARDWARE,
    otherwise: str = "h100",
) -> None:
    """Add the device and how many of them; ``otherwise`` is the default that the help names."""
    parser.add_argument(
        *flags, dest="hardware", metavar="NAME", type=hardware_named,
        help="the device to compute for, here or not (see `thermoflop gpus`; 2x3090 are two), auto "
        f"for the GPU of this machine, or a TOML file (default {otherwise})",
    )  # fmt: skip
    parser.add_argument("--devices", type=int, metavar="N", help="how many (default tp x pp x dp)")


def hardware_named(name: str) -> str | Device:
    """The name of a device as it is; of ``auto`` the device of the first GPU here.
    ArgumentTypeError where there is none, or none that is known."""
    if name.lower() != "auto":
        return name
    from argparse import ArgumentTypeError

    from thermoflop.runs.gpu.known import device_here
    from thermoflop.runs.gpu.nvml import NoGpu

    try:
        found, device = device_here()
    except NoGpu as error:
        raise ArgumentTypeError(
            f"auto finds no GPU here ({error}); name one, such as rtx-4090"
        ) from error
    if device is None:
        raise ArgumentTypeError(f"auto finds {found}, which is not in the catalogue")
    return device


def choose_device(args: argparse.Namespace, name: str = "h100", many: str = "devices") -> None:
    """Where no device was named, fill one in and say so above what is printed; where several were,
    as in ``2x3090``, fill in ``many``, the option that says how many."""
    if args.hardware is None:
        from thermoflop.cost.catalogue.devices import find_device

        args.hardware, full = name, find_device(name).name
        assume(args, f"no --gpu given, so for the {full}; `thermoflop gpus` lists all")
    if not isinstance(args.hardware, str):
        return
    from thermoflop.cost.catalogue.cards import alike

    found, count = alike(args.hardware, None)
    if count is None:
        return
    if getattr(args, many) not in (None, count):
        other = f"--{many.replace('_', '-')} {getattr(args, many)}"
        raise UsageError(f"--gpu {args.hardware!r:.60} and {other} say two numbers of devices")
    args.hardware = found if isinstance(found, str) else found.name
    setattr(args, many, count)


def add_inference(
    parser: argparse._ActionsContainer,
    flags: tuple[str, ...] = _HARDWARE,
    otherwise: str = "h100",
    one_run: bool = True,
) -> None:
    """Add device, sizes, number formats and parallelism of an inference run; a server
    (``one_run`` False) has no batch, and does not divide contexts."""
    add_hardware(parser, flags, otherwise)
    add = parser.add_argument
    if one_run:
        add("--batch", type=int, metavar="B", help="sequences (default one a replica)")
    add(
        "--prompt",
        type=length,
        metavar="N",
        help="tokens, 32k is 32,768 (1024, or what the model has room for)",
    )
    add(
        "--generate",
        type=length,
        metavar="N",
        help=f"new tokens ({128 if one_run else 256}; of an encoder 0)",
    )
    add(
        "--dtype", metavar="F",
        help="bf16, fp16, fp8, int8, int8-wo, int4, int4-g64, mxfp4, q4_k_m, gptq-int4-g128, "
        "bnb-nf4, fp8-block128, ... (default as the model is published, else bf16, or fp32 where "
        "the device does no other)",
    )  # fmt: skip
    add("--kv-dtype", metavar="F", help="the cache: bf16, fp8, q8_0, q4_0, ...")
    # argparse does not nest groups: within a command's group, the options stand in that
    is_parser = hasattr(parser, "add_subparsers")
    add = (parser.add_argument_group("parallelism") if is_parser else parser).add_argument
    add("--tp", type=int, metavar="N", help="tensor parallel (default: all devices)")
    for name, meaning in (
        ("pp", "pipeline stages"),
        ("dp", "replicas"),
        ("ep", "devices that share the experts"),
        ("cp", "devices that share the context"),
    ):
        if one_run or name != "cp":
            add(f"--{name}", type=int, default=1, metavar="N", help=f"{meaning} (1)")


def add_engine_options(parser: argparse._ActionsContainer) -> list[argparse.Action]:
    """Add the options of an engine that decide on its memory; those that say the share of a device
    have names of their own, of which the first is told in the help."""
    import argparse
    from functools import partial

    added = [parser.add_argument(
        "--engine-option", action="append", default=[], metavar="NAME=VALUE",
        help="an option of that engine, such as max_model_len=32k (`profiles vllm` lists vLLM's, "
        "with defaults); may be repeated",
    )]  # fmt: skip
    for option in _SHARES:
        flag, told = option.replace("_", "-"), option == _SHARES[0]
        added.append(parser.add_argument(
            f"--{flag}", f"--{option}", dest="engine_option", action="append", metavar="S",
            type=partial("{}={}".format, option), default=[],
            help="the share of a device that vLLM takes (0.92)" if told else argparse.SUPPRESS,
        ))  # fmt: skip
    return added


def engine_options(args: argparse.Namespace, unnamed: str | None = None) -> dict[str, str]:
    """The engine's options that were given, by name; a profile that is not named (``unnamed`` is
    what stands for none) is that of the engine which alone has one of them."""
    from thermoflop.cost.engines.options import parse_options
    from thermoflop.cost.engines.raised import SHARES

    given = parse_options(args.engine_option)
    if args.profile == unnamed:
        owners = (key for key, (option, _) in SHARES.items() if option in given)
        args.profile = next(owners, unnamed)
    return given


def inference_options(args: argparse.Namespace, hardware: str | None = "h100") -> dict[str, Any]:
    """The options of ``add_inference`` as keyword arguments of ``estimate`` and ``fit``.

    Device and format are filled in, ``args.hardware`` included, where a profile that `calibrate`
    made says them; the sizes that were not given are ``estimate``'s own.
    """
    _fill_defaults(args, hardware)
    return {name: getattr(args, name) for name in _INFERENCE if hasattr(args, name)}


def _fill_defaults(args: argparse.Namespace, hardware: str | None) -> None:
    """Device and number format where none is given."""
    machine, own, profile = None, None, getattr(args, "profile", None)
    if profile is not None and (args.hardware is None or args.dtype is None):
        from thermoflop.cost.catalogue.profiles import find_profile

        found = find_profile(profile)
        machine, own = found.machine, found.own
    if args.hardware is None:
        measured = machine or own
        if measured is not None:
            args.hardware = measured.device
    if hardware is not None:
        choose_device(args, hardware)
    if args.dtype is None and machine is not None:
        args.dtype = machine.dtype
