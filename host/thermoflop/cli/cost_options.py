"""Arguments that the commands on costs share. No logic: they become keyword arguments."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

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
        help="bf16, fp16, fp8, int8, int8-wo, int4, int4-g64, mxfp4, q4_k_m, ... (default bf16)",
    )  # fmt: skip
    parser.add_argument("--kv-dtype", metavar="F", help="the cache: bf16, fp8, int8, int4")


def add_sizes(parser: argparse._ActionsContainer) -> None:
    """Sequences and their lengths."""
    parser.add_argument("--batch", type=int, default=1, metavar="B", help="sequences (default 1)")
    parser.add_argument("--prompt", type=int, default=1024, metavar="N", help="tokens (1024)")
    parser.add_argument("--generate", type=int, default=128, metavar="N", help="new tokens (128)")


def plan_of(args: argparse.Namespace) -> dict[str, Any]:
    """The parallelism as keyword arguments."""
    return {name: getattr(args, name) for name in _PLAN}


def settle(args: argparse.Namespace, hardware: str | None = "h100") -> None:
    """Fill in what was not said: of a profile that `calibrate` made, its device and its format."""
    own = None
    if args.profile is not None and (args.hardware is None or args.dtype is None):
        from thermoflop.cost.profile import find_profile

        own = find_profile(args.profile).own
    if args.hardware is None:
        args.hardware = hardware if own is None else own.device
    if args.dtype is None:
        args.dtype = "bf16" if own is None else own.dtype
