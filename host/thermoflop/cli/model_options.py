"""Options that the commands on models share, and the keyword arguments that they become."""

from __future__ import annotations

from thermoflop.cli.arguments import assume

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from thermoflop.model.model import Model

_STEP_OPTIONS = ("attention", "logits", "mla", "kernels", "experts", "expert_reads", "convolution")
_FORMAT_OPTIONS = ("dtype", "weights", "activations", "cache")

# Latent attention, where no form is asked for.
AS_ENGINES_RUN_IT = "absorbed in a decode step, expanded in a prompt"


def add_model(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add MODEL, or ``several`` of them, and how configurations are read."""
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="+" if several else None,
        help="a config.json, its folder, a GGUF file, a Hugging Face id, or a name such as "
        "llama-3-8b (see `models`)")  # fmt: skip
    add("--ignore", metavar="KEY", action="append", default=[],
        help="a config key that changes no count, although it looks like it; may be repeated",
    )  # fmt: skip
    add("--as", dest="family", metavar="FAMILY",
        help="count a model_type that is not known as this family, if it has exactly its keys",
    )  # fmt: skip
    add("--mtp", action="store_true",
        help="count the layers that predict tokens further ahead, which published totals leave out",
    )  # fmt: skip
    add("--beyond-context", action="store_true",
        help="allow more tokens than the configuration states, as stretched positions do",
    )  # fmt: skip


def load(args: argparse.Namespace, *, notes: bool = True) -> Model:
    """The model that the arguments name; without ``notes`` its own are not told above a text that
    has them."""
    return _load(args, args.model, notes)


def load_all(args: argparse.Namespace) -> list[Model]:
    """The models that the arguments name, where several may be."""
    return [_load(args, name) for name in args.model]


def _load(args: argparse.Namespace, source: str, notes: bool = True) -> Model:
    from thermoflop.model.load import load_model

    names = ("ignore", "family", "mtp", "beyond_context")
    model = load_model(source, **{name: getattr(args, name) for name in names})
    if model.name != source:
        from thermoflop.model.config.catalogue import others_of, sized_as

        meant, others = others_of(source)
        if others and model.name == meant:
            few = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
            assume(args, f"{source} is {meant} here; others are called {few}")
        elif model.name == sized_as(source):
            assume(args, f"{source} is counted as {model.name}, whose sizes it has")
    if model.assumed and notes:
        from thermoflop.base.units import wrapped

        assume(args, "\n".join(map(wrapped, model.assumed)))
    return model


def say_format(args: argparse.Namespace, model: Model) -> None:
    """Say above what is printed that the name of a model, or Ollama's, means a format, without a
    --dtype."""
    from thermoflop.cost.inference.formats import as_downloaded

    meant = as_downloaded(model, args.profile).format_said
    if args.dtype is None and meant:
        assume(args, meant)


def say_sizes(args: argparse.Namespace, model: Model, output: int = 0) -> None:
    """Say above what is printed that a prompt leaves less than the default output (``output``; 0:
    that of one run), without a --generate."""
    if not args.prompt or args.generate is not None or model.max_positions is None:
        return
    from thermoflop.base.units import wrapped
    from thermoflop.cost.inference.arguments import GENERATE, default_sizes

    output = output or GENERATE
    prompt, generate = default_sizes(model, args.prompt, None, output=output)
    if prompt != args.prompt:
        said = f"--prompt {args.prompt:,} takes all positions of {model.name}"
        said += f": {prompt:,} are counted as read and {generate:,} as generated"
        assume(args, wrapped(said))
    elif 0 < generate < output:
        assume(args, f"{generate:,} tokens are generated: the prompt leaves no more positions")


def add_conventions(parser: argparse.ArgumentParser) -> None:
    """Add an option for each convention of counting, with its choices."""
    from thermoflop.model.operators.step import CONVENTIONS, Step

    group = parser.add_argument_group("conventions")
    defaults = Step()
    for name, choices in CONVENTIONS.items():
        default = None if name == "mla" else getattr(defaults, name)
        listed = "; ".join(f"{choice}: {text}" for choice, text in choices.items())
        flag, said = f"--{name.replace('_', '-')}", default or AS_ENGINES_RUN_IT
        help_text = f"{listed} (default {said})"
        group.add_argument(flag, choices=tuple(choices), default=default, help=help_text)


def add_formats(parser: argparse.ArgumentParser) -> None:
    """Add the number formats of weights, activations and cache."""
    group = parser.add_argument_group(
        "formats",
        "fp32, tf32, bf16, fp16, fp8, int8, int4 (groups of 128; int4-g64), mxfp4; of "
        "weights alone awq, gptq, int8-wo, nf4, nf4-dq, nvfp4, q4_k, q8_0 and GGUF's other types",
    )
    group.add_argument("--dtype", default="bf16", help="of everything (default bf16)")
    group.add_argument("--weights", metavar="DTYPE", help="of weights in layers")
    group.add_argument("--activations", metavar="DTYPE", help="of activations")
    group.add_argument("--cache", metavar="DTYPE", help="of keys and values")


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Conventions and formats as keyword arguments of ``Model.operators``."""
    chosen = {name: getattr(args, name) for name in (*_STEP_OPTIONS, *_FORMAT_OPTIONS)}
    return {name: value for name, value in chosen.items() if value is not None}
