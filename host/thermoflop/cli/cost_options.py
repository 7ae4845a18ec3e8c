"""Arguments that the commands on costs share. No logic: they become keyword arguments."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from thermoflop.model.model import Model

PROMPT, GENERATE, SEQUENCE = 1024, 128, 2048  # tokens, where nothing is said
_PLAN = ("devices", "tp", "pp", "dp", "ep", "cp")


def add_hardware(
    parser: argparse._ActionsContainer,
    flags: tuple[str, ...] = ("--hardware", "--gpu"),
    default: str | None = "h100",
    otherwise: str = "h100",
) -> None:
    """The device and how many of them; ``otherwise`` says what holds when none is named."""
    parser.add_argument(
        *flags, dest="hardware", default=default, metavar="NAME",
        help="the device to compute for, here or not (see `thermoflop gpus`), or a TOML file "
        f"(default {otherwise})",
    )  # fmt: skip
    parser.add_argument("--devices", type=int, metavar="N", help="how many (default tp x pp x dp)")


def add_plan(parser: argparse._ActionsContainer) -> None:
    """Degrees of parallelism."""
    # groups do not nest: within one of a command's own, the options stand in it
    is_parser = hasattr(parser, "add_subparsers")
    group = parser.add_argument_group("parallelism") if is_parser else parser
    group.add_argument("--tp", type=int, metavar="N", help="tensor parallel (default: all devices)")
    for name, words in (
        ("pp", "pipeline stages"),
        ("dp", "replicas"),
        ("ep", "devices that share the experts"),
        ("cp", "devices that share the context"),
    ):
        group.add_argument(f"--{name}", type=int, default=1, metavar="N", help=f"{words} (1)")


def add_precision(parser: argparse._ActionsContainer) -> None:
    """Number formats."""
    parser.add_argument(
        "--dtype", metavar="F",
        help="bf16, fp16, fp8, int8, int8-wo, int4, int4-g64, mxfp4, q4_k_m, ... (default bf16, "
        "or fp32 where the device does no other)",
    )  # fmt: skip
    parser.add_argument("--kv-dtype", metavar="F", help="the cache: bf16, fp8, int8, int4")


def add_sizes(parser: argparse._ActionsContainer) -> None:
    """Sequences and their lengths."""
    parser.add_argument("--batch", type=int, default=1, metavar="B", help="sequences (default 1)")
    parser.add_argument(
        "--prompt", type=int, metavar="N", help="tokens (1024, or what the model has room for)"
    )
    parser.add_argument(
        "--generate", type=int, metavar="N", help="new tokens (128; of an encoder 0)"
    )


def sizes_of(args: argparse.Namespace, model: Model) -> dict[str, int]:
    """The sizes as keyword arguments; what was not said is what the model can do."""
    generate = args.generate
    if generate is None:
        generate = 0 if model.is_encoder else GENERATE
    prompt = args.prompt
    if prompt is None:
        most = model.max_positions
        prompt = PROMPT if most is None or most <= generate else min(PROMPT, most - generate)
    return {"batch": args.batch, "prompt": prompt, "generate": generate}


def plan_of(args: argparse.Namespace) -> dict[str, Any]:
    """The parallelism as keyword arguments."""
    return {name: getattr(args, name) for name in _PLAN}


def settle(args: argparse.Namespace, hardware: str | None = "h100") -> None:
    """Fill in what was not said: of a profile that `calibrate` made, its device and its format."""
    own = None
    if args.profile is not None and (args.hardware is None or args.dtype is None):
        from thermoflop.cost.catalogue.profiles import find_profile

        own = find_profile(args.profile).machine
    if args.hardware is None:
        args.hardware = hardware if own is None else own.device
    if args.dtype is None:
        args.dtype = format_for(args.hardware) if own is None else own.dtype


def format_for(hardware: str | None) -> str:
    """The number format where none is said: bf16, or fp32 on a device known to do no other."""
    from thermoflop.cost.catalogue.devices import as_device

    peaks = () if hardware is None else as_device(hardware).peaks
    return "fp32" if "fp32" in peaks and not {"bf16", "fp16"} & set(peaks) else "bf16"
