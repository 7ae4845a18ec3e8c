"""``thermoflop train MODEL``: FLOPs, memory, time, days and cost of training."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_option, add_shared, print_result
from thermoflop.cli.cost_options import add_hardware, choose_device
from thermoflop.cli.model_options import add_model, load
from thermoflop.cli.parser import bandwidth, length, share

_OPTIONS = (
    "devices", "tp", "pp", "dp", "ep", "cp", "global_batch", "micro_batch", "sequence",
    "encoder", "recompute", "recomputed", "zero", "shard", "optimizer", "in_backward", "loss",
    "lora", "lora_targets", "lora_dropout", "train_embeddings", "base_dtype", "held_inputs",
    "kept_dtype", "gradient_dtype", "feed_forward", "offload", "host_gb_s", "lengths", "padded",
    "node_size", "network_gb_s", "attention", "dtype", "tokens", "price", "profile",
    "expert_overlap", "stage_overlap", "tensor_overlap",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    add_hardware(parser)
    add = parser.add_argument
    _add_counts(parser, ("global-batch", 512, "sequences an iteration"),
                ("micro-batch", 1, "sequences at once"))  # fmt: skip
    add("--sequence", type=length, metavar="N", help="tokens (2048, or the model's longest)")
    add("--encoder", type=length, metavar="N",
        help="positions of an encoder's source beside each sequence (as many)")  # fmt: skip
    add("--lengths", type=_lengths, metavar="N[,N]", help="tokens of documents in a sequence")
    add("--padded", type=share, default=0.0, metavar="S", help="share of tokens that is padding")
    add("--dtype", default="bf16", metavar="F", help="bf16, fp16, fp8, nvfp4")
    add("--optimizer", default="adamw", metavar="NAME",
        help="adamw (default), adamw-8bit, adamw-bf16 (weights and gradients in 16 bits alone), "
             "adamw-8bit-bf16, paged-adamw-8bit-bf16 (moments go to the host if need be), "
             "adamw-torch and adamw-torch-bf16 (PyTorch's own, not fused), adafactor, muon, sgd, "
             "sgd-momentum")  # fmt: skip
    add("--optimizer-in-backward", dest="in_backward", action="store_true",
        help="step with each gradient as it is made, and free it")  # fmt: skip
    add("--loss", metavar="HOW",
        help="logits: full (fp32 too), 16-bit, compiled, in-place, chunked or fused (Liger, "
             "Unsloth); default compiled; full of megatron-lm, with --eager or --tp")  # fmt: skip
    add("--recompute", choices=("none", "fine-grained", "selective", "operators", "full"),
        default="none", help="fine-grained: norms, activations, MLA's up-projections; operators: "
                             "every other product, as torchtitan; full with --offload activations: "
                             "Unsloth's")  # fmt: skip
    add("--recompute-share", dest="recomputed", type=share, default=0.0, metavar="S",
        help="share of the layers that is recomputed entirely (0.5: every other)")  # fmt: skip
    add("--kept-dtype", metavar="F",
        help="what narrow products and activations read is kept in: fp8 (16 bits)")  # fmt: skip
    add("--gradient-dtype", choices=("fp32", "bf16", "fp16"),
        help="gradients are summed in (fp32, but bf16 of megatron-bridge)")  # fmt: skip
    add("--feed-forward", choices=("in-place", "fused"),
        help="gradients of gated feed-forwards: in the places of gate and up (Liger), or fused "
             "(Unsloth)")  # fmt: skip
    add("--no-flash", action="store_true", help="attention keeps its scores")
    add("--eager", action="store_true", help="every operator a kernel: PyTorch, not compiled")
    _add_layout(parser.add_argument_group("parallelism and network"))
    _add_fine_tuning(parser.add_argument_group("fine-tuning, and what the host keeps"))
    add("--attention", choices=("windowed", "full", "causal"), default="windowed",
        help="FLOPs that MFU counts (default windowed)")  # fmt: skip
    add("--tokens", type=float, metavar="T", help="tokens of the run: 3e11")
    add_shared(parser, "--price")
    add_shared(parser, "--profile", help="megatron-lm, llm-foundry, ...")
    add_shared(parser, "--why", "--json")


def _add_counts(group: argparse._ActionsContainer, *counts: tuple[str, int, str]) -> None:
    """Add whole numbers with a default."""
    for name, default, meaning in counts:
        help_text = f"{meaning} (default {default})"
        add_option(group, f"--{name}", type=int, default=default, metavar="N", help=help_text)


def _add_layout(group: argparse._ActionsContainer) -> None:
    """Add how the model is spread over devices, and what joins them."""
    _add_counts(
        group, ("tp", 1, "tensor parallel"), ("pp", 1, "pipeline stages"),
        ("ep", 1, "expert parallel"), ("cp", 1, "context parallel"),
        ("interleave", 1, "interleaved stages on a device"), ("zero", 1, "stage of ZeRO, 0 to 3"),
    )  # fmt: skip
    add = group.add_argument
    add("--dp", type=int, metavar="N", help="replicas (default: what is left)")
    add("--shard", type=int, metavar="N", help="devices that share states (default: all alike)")
    add("--no-sequence-parallel", action="store_true", help="norms undivided")
    overlap = "share of what replicas send that hides behind computing (default by --profile)"
    add_option(group, "--comm-overlap", type=share, metavar="S", help=overlap)
    add("--expert-overlap", type=share, metavar="S",
        help="share of what tokens send to experts that hides behind computing (default: 0.9 "
             "between nodes, but 0 of megatron-bridge; 0 within one)")  # fmt: skip
    add("--stage-overlap", type=share, metavar="S",
        help="share of what interleaved stages send that hides while forward and backward "
             "alternate (default 0.9, but 0 of megatron-lm and torchtitan)")  # fmt: skip
    add("--tensor-overlap", type=share, metavar="S",
        help="share of what tensor-parallel devices send that hides behind their products "
             "(default 0, but 0.9 of megatron-bridge, unless in 4 bits)")  # fmt: skip
    add_shared(group, "--node-size", "--network-bandwidth")


def _add_fine_tuning(group: argparse._ActionsContainer) -> None:
    """Add adapters beside frozen weights, and offloading."""
    add = group.add_argument
    add("--lora", type=int, metavar="RANK", help="train adapters beside frozen weights")
    add("--lora-targets", default="all-linear", metavar="NAMES",
        help="matrices with adapters: attention, mlp, or q,v,... (default all-linear: experts "
             "too)")  # fmt: skip
    add("--lora-dropout", type=share, default=0.0, metavar="S",
        help="share of what adapters read that is dropped: each keeps its own (0)")  # fmt: skip
    add("--train-embeddings", action="store_true",
        help="the table of tokens and the head, whole (PEFT's modules_to_save)")  # fmt: skip
    add("--base", dest="base_dtype", metavar="F",
        help="frozen weights in nf4, int8, ... (default as published, else bf16)")  # fmt: skip
    add("--held-inputs", type=int, choices=(0, 1, 2), metavar="N",
        help="micro-batches whose inputs frozen weights hold: 1 of bitsandbytes' 4 bits before "
             "July 2024, 2 where a loop keeps its last loss (1 of int8, else 0)")  # fmt: skip
    add("--offload", metavar="PARTS", help="to the host: optimizer,parameters,activations")
    add("--host-bandwidth", type=bandwidth, dest="host_gb_s", metavar="GB/s",
        help="of a device and its host, in one direction (default its PCIe)")  # fmt: skip


def _lengths(text: str) -> list[int]:
    """Whole numbers with commas between them."""
    try:
        return [length(word) for word in text.split(",")]
    except argparse.ArgumentTypeError:
        message = f"{text!r:.60} is no length in tokens, nor several with commas"
        raise argparse.ArgumentTypeError(message) from None


def run(args: argparse.Namespace) -> int:
    """Print the estimate; 1 when what it needs does not fit in memory."""
    from thermoflop.cost.training.result import training_json, training_text
    from thermoflop.cost.training.train import train

    choose_device(args)
    options = {name: getattr(args, name) for name in _OPTIONS}
    model = load(args)
    options |= {"virtual": args.interleave, "overlap": args.comm_overlap}
    options |= {"sequence_parallel": not args.no_sequence_parallel, "flash": not args.no_flash,
                "compiled": not args.eager}  # fmt: skip
    training = train(model, args.hardware, **options)
    print_result(
        args,
        lambda: training_json(training, why=args.why),
        lambda: training_text(training) + (f"\n\n{training.why()}" if args.why else ""),
        indented=True,
    )
    return 0 if training.memory.fits else 1
