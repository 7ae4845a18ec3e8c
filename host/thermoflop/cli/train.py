"""``thermoflop train MODEL``: FLOPs, memory, time, days and cost of training."""

from __future__ import annotations

from thermoflop.cli.cost_options import SEQUENCE, add_hardware
from thermoflop.cli.model_options import add_model, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

_OPTIONS = (
    "devices", "tp", "pp", "dp", "ep", "cp", "global_batch", "micro_batch", "sequence", "virtual",
    "recompute", "zero", "attention", "dtype", "tokens", "price", "profile",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_model(parser)
    add_hardware(parser)
    for name, default, words in (
        ("tp", 1, "tensor parallel"), ("pp", 1, "pipeline stages"), ("ep", 1, "expert parallel"),
        ("cp", 1, "context parallel"), ("virtual", 1, "interleaved stages on a device"),
        ("global-batch", 512, "sequences an iteration"), ("micro-batch", 1, "sequences at once"),
        ("zero", 1, "stage of ZeRO, 0 to 3"),
    ):  # fmt: skip
        help_text = f"{words} (default {default})"
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=help_text)
    parser.add_argument(
        "--sequence", type=int, metavar="N", help=f"tokens ({SEQUENCE}, or the model's longest)"
    )
    parser.add_argument("--dp", type=int, metavar="N", help="replicas (default: what is left)")
    parser.add_argument("--recompute", choices=("none", "selective", "full"), default="none")
    parser.add_argument("--attention", choices=("full", "causal"), default="full",
                        help="FLOPs that MFU counts (default full)")  # fmt: skip
    parser.add_argument("--no-sequence-parallel", action="store_true", help="norms undivided")
    parser.add_argument("--no-flash", action="store_true", help="attention keeps its scores")
    parser.add_argument("--dtype", default="bf16", metavar="F", help="bf16, fp16, fp8, nvfp4")
    parser.add_argument("--tokens", type=float, metavar="T", help="tokens of the run: 3e11")
    parser.add_argument("--price", type=float, metavar="P", help="price of a device hour")
    parser.add_argument("--profile", metavar="P", help="megatron-lm, llm-foundry, ...")
    parser.add_argument("--why", action="store_true", help="every operator, and what binds it")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the estimate."""
    from thermoflop.cost.training.result import training_json, training_text
    from thermoflop.cost.training.train import train

    options = {name: getattr(args, name) for name in _OPTIONS}
    model = load(args)
    if args.sequence is None:
        options["sequence"] = min(SEQUENCE, model.max_positions or SEQUENCE)
    found = train(
        model,
        args.hardware,
        sequence_parallel=not args.no_sequence_parallel,
        flash=not args.no_flash,
        **options,
    )
    if args.json:
        import json

        print(json.dumps(training_json(found, why=args.why), ensure_ascii=False, indent=1))
    else:
        print(training_text(found) + (f"\n\n{found.why()}" if args.why else ""))
    return 0
