"""The parser of the command line: numbers as people write them, and refusals in one sentence.

argparse prints how a command is used before it says what is wrong; here the sentence comes alone,
names what may have been meant, and says where the rest stands.
"""

from __future__ import annotations

import argparse

from thermoflop.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

# argparse looks for a translation of each of its words in the folders of the locale: there is none,
# and what is refused here reads in English anywhere.
argparse._ = lambda text: text  # type: ignore[attr-defined]
_REQUIRED = "the following arguments are required: "
# What other programs call an option, and what it is here: the first that the command has.
_ELSEWHERE = {
    "prompt": "max-model-len num-ctx n-ctx input input-len input-tokens context context-length ctx "
    "ctx-size seq-len isl",
    "generate": "output output-len output-tokens max-tokens max-new-tokens tokens osl n-gen new",
    "prefill": "prompt input input-len input-tokens tokens new",
    "decode": "cached past kv-len",
    "sequence": "seq seq-len seq-length context context-length max-seq-len max-seq-length "
    "max-length",
    "base": "quantize quantization quant bnb-4bit-quant-type",
    "dtype": "quant quantization quantize precision format weights",
    "kv-dtype": "kv-cache-dtype cache-dtype cache-type",
    "profile": "engine backend framework runtime server trainer",
    "users": "concurrency max-concurrency clients",
    "rate": "request-rate qps rps",
    "batch": "batch-size bs users concurrency",
    "micro-batch": "micro-batch-size per-device-train-batch-size batch batch-size bs",
    "devices": "gpus num-gpus ngpu gpu-count world-size n-gpus gpu hardware",
    "max-devices": "devices gpus num-gpus ngpu gpu-count world-size n-gpus",
    "models": "model",
    "tp": "tensor-parallel tensor-parallel-size tensor-parallelism tp-size",
    "pp": "pipeline-parallel pipeline-parallel-size pp-size",
    "dp": "data-parallel data-parallel-size dp-size replicas",
    "in": "out runs dir folder",
    "out": "in runs dir folder output-dir",
    "gpu": "gpus devices device card accelerator hw",
    "tokens-per-check": "acceptance-length accept-length accept-len acceptance-len "
    "mean-acceptance-length",
    "draft-tokens": "num-speculative-tokens speculative-num-draft-tokens num-draft-tokens "
    "draft-max",
    "draft": "speculative-model speculative-draft-model-path draft-model model-draft",
    "lora": "lora-r lora-rank rank",
    "lora-targets": "target-modules lora-target-modules",
    "train-embeddings": "modules-to-save train-head embeddings",
    "recompute": "gradient-checkpointing use-gradient-checkpointing activation-checkpointing",
    "optimizer": "optim",
    "gradient-dtype": "grad-dtype grad-reduce-in-bf16 grad-reduce-in-fp32 grad-accum-dtype "
    "accumulate-allreduce-grads-in-fp32",
    "offload": "cpu-offload offload-optimizer",
}
# What no command has under any name, and what says the same.
_OF_DEVICE = "the device says its memory: --gpu rtx-4090, or a TOML file (`gpus --help` has one)"
_OF_NODES = "--devices counts those of all nodes: eight nodes of eight are --devices 64"
_LIGER = "it is --loss fused --feed-forward in-place"
_ON_HOST = (
    "`fit` says what stays in the computer's memory, and how fast it decodes: --profile llama.cpp "
    "--engine-option n_cpu_moe=36 (or n_gpu_layers=20) --host-bandwidth 90"
)
_INSTEAD = {
    **dict.fromkeys(
        ("host-bandwidth", "n-cpu-moe", "ncmoe", "cpu-moe", "n-gpu-layers", "ngl", "cpu-offload",
         "cpu-offload-gb"),
        _ON_HOST,
    ),
    "vram": _OF_DEVICE, "memory": _OF_DEVICE, "ram": _OF_DEVICE,
    "full-finetune": "all weights are trained where no --lora is given",
    "fsdp": "it is --zero 3",
    "deepspeed": "it is --zero 1, 2 or 3",
    "load-in-4bit": "it is --base nf4, beside --lora",
    "load-in-8bit": "it is --base int8, beside --lora",
    "engine-option": "`fit`, `serving` and `plan` take options of an engine",
    **dict.fromkeys(
        ("draft", "draft-tokens", "acceptance", "tokens-per-check"),
        "`estimate` and `serving` say what a draft gains",
    ),
    "lora": "`train` counts adapters",
    "lora-alpha": "the scale of adapters changes no time and no memory",
    "gradient-accumulation-steps": "sequences an iteration are --global-batch, those of one of its "
    "steps --micro-batch",
    "use-liger-kernel": _LIGER, "use-liger": _LIGER, "liger": _LIGER,
    "packing": "a sequence is full unless --padded says a share, or --lengths its documents",
    "nodes": _OF_NODES, "num-nodes": _OF_NODES, "nnodes": _OF_NODES,
    "qlora": "it is --lora 16 --base nf4",
    "slo": "targets are --ttft (a first token) and --tpot (between a user's tokens)",
    "epochs": "the tokens of the data times the epochs are --tokens of `train`",
}  # fmt: skip


def whole_number(text: str, kilo: int = 1000) -> int:
    """The ``type`` of an option that is a whole number, ``2k`` and ``1e6`` among them."""
    try:
        return int(text)
    except ValueError:
        from thermoflop.base.written import read_number

        number = read_number(text, kilo)
    if not isinstance(number, int):
        message = f"{text!r:.40} makes no sense: expected a whole number, such as 1024, 32k or 1e6"
        raise argparse.ArgumentTypeError(message)
    return number


def length(text: str) -> int:
    """The ``type`` of an option that is a length in tokens, where 32k is 32,768."""
    return whole_number(text, 1024)


def any_number(text: str) -> float:
    """The ``type`` of an option that is a number, ``1.5T`` among them."""
    try:
        return float(text)
    except ValueError:
        from thermoflop.base.written import read_number

        number = read_number(text)
    try:
        return float(number)  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        message = f"{text!r:.40} makes no sense: expected a number, such as 0.5, 2e3 or 1.5T"
        raise argparse.ArgumentTypeError(message) from None


def bandwidth(text: str) -> float:
    """The ``type`` of an option in GB a second: ``89.6``, ``89.6GB/s``, ``1.8TB/s``, and networks'
    bits, ``400Gbit/s`` or ``400Gb/s``."""
    import re

    found = re.fullmatch(r"(.+?) ?([GTgt])([Bb]|bit)(/s|ps)?", text.strip())
    if found is None:
        return any_number(text)
    is_bits = found[3] == "bit" or (found[3] == "b" and (found[2] in "GT" or found[4] == "ps"))
    return any_number(found[1]) * (1000 if found[2] in "Tt" else 1) / (8 if is_bits else 1)


def svg_path(text: str) -> str:
    """The ``type`` of an option that names a picture to write, which is SVG."""
    if "." in text.rpartition("/")[2] and not text.lower().endswith(".svg"):
        raise argparse.ArgumentTypeError(f"{text!r:.60} is no .svg: pictures are written as SVG")
    return text


def share(text: str) -> float:
    """The ``type`` of an option that is a share, ``50%`` among them."""
    try:
        return any_number(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except argparse.ArgumentTypeError:
        message = f"{text!r:.40} makes no sense: expected a share, such as 0.5 or 50%"
        raise argparse.ArgumentTypeError(message) from None


class Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence; ``understood`` says how k was read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register("type", int, whole_number)
        self.register("type", float, any_number)
        self.understood: list[str] = []

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        """The value, with a sentence where a k of tokens was read as 1024."""
        try:
            value = super()._get_value(action, text)
        except argparse.ArgumentError as error:
            if action.dest in ("devices", "max_devices") and _is_device(text):
                error.message += f"; did you mean --gpu {text}?"
            elif "," in text and text.replace(",", "").isdecimal():
                error.message += "; `thermoflop sweep` takes several"
            raise
        is_number = text.isdecimal()
        counts = action.dest in ("devices", "max_devices")
        if counts and is_number and len(text) == len("4090") and _is_device(text):
            said = f"{text!r} is a device's name; did you mean --gpu {text}?"
            raise argparse.ArgumentError(action, said)
        if action.dest == "hardware" and is_number and not _is_device(text):
            card = _card_like(text)
            if card is not None:
                said = f"{text!r:.40} is no device; did you mean --gpu {card}?"
                raise argparse.ArgumentError(action, said)
            many = _called_here("gpus", [key[2:] for key in self._option_string_actions], text)
            if many in ("devices", "max-devices"):
                raise argparse.ArgumentError(
                    action, f"{text!r:.40} is no device; did you mean --{many} {text}?"
                )
        if action.type is length:
            from thermoflop.base.written import is_ambiguous

            if is_ambiguous(text):
                self.understood.append(f"{_name(action)} {text} is {value:,} tokens (k is 1,024)")
        if action.type is bandwidth and "b" in text:
            self.understood.append(f"{_name(action)} {text} is {value:g} GB/s")
        return value

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is none of the choices, with the one that is most like it."""
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        near = _meant(str(value), choices) or _meant(str(value).lower(), choices)
        is_command = isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        if is_command:
            near = _OTHER_COMMANDS.get(str(value).lower(), near)
        meant = f"; did you mean {near}?" if near else ""
        if is_command:
            raise argparse.ArgumentError(None, f"{value!r:.60} is no command{meant}")
        option = f"{_name(action)} " if action.option_strings else ""
        listed = f"none of {', '.join(choices)}" if len(choices) < 15 else "not known"
        raise argparse.ArgumentError(None, f"{option}{value!r:.60} is {listed}{meant}")

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        """What an option may be short for: nothing where it has a meaning of its own elsewhere."""
        if _plain(option_string.partition("=")[0]) in _INSTEAD:
            return []
        found: list[Any] = super()._get_option_tuples(option_string)
        shortest = min((each[1] for each in found), key=len, default="")
        if all(each[1].startswith(shortest) for each in found):  # --optim is --optimizer
            return [each for each in found if each[1] == shortest]
        return found

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The arguments; words that nothing takes are refused with what may have been meant."""
        return self._whole(*self.parse_known_args(args, namespace))

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The same, where options may stand between operands."""
        operands = [action for action in self._actions if not action.option_strings]
        if all(action.nargs is None for action in operands):
            return self.parse_args(args, namespace)  # quicker: the usage is not written out
        return self._whole(*self.parse_known_intermixed_args(args, namespace))

    def _whole(self, found: argparse.Namespace, left: list[str]) -> argparse.Namespace:
        if left:
            self.error(self._not_taken(left))
        return found

    def _not_taken(self, words: Sequence[str]) -> str:
        """What is wrong with words that are left over."""
        actions = self._option_string_actions.items()
        known = [key for key, action in actions if action.help != argparse.SUPPRESS]
        named = any(action.dest == "model" for action in self._actions)
        at = next((n for n, word in enumerate(words) if word.startswith("-")), None)
        if at is not None:
            name, _, value = words[at].partition("=")
            if name == "--model" and named:
                return "there is no option --model: MODEL stands alone, without one"
            value = value or " ".join(words[at + 1 : at + 2])
            word, own = _plain(name), [key[2:] for key in known if key[:2] == "--"]
            near = _called_here(word, own, value)
            if near is None and word in _INSTEAD:
                return f"there is no option {name}: {_INSTEAD[word]}"
            near = near or _meant(word, own)
            return f"there is no option {name[:60]}" + (f"; did you mean --{near}?" if near else "")
        if "--gpu" in known and _is_device(words[0]):
            return f"{words[0]!r:.60} is one word too many; did you mean --gpu {words[0]}?"
        quotes = "; a name with spaces stands in quotes" if named else ""
        return f"{words[0]!r:.60} is one word too many{quotes}"

    def error(self, message: str) -> NoReturn:
        """End with one sentence and where the usage stands."""
        sentence = message.removeprefix("argument ")
        option, colon, said = sentence.partition(": ")
        if message is not sentence and colon:
            option = next((each for each in option.split("/") if each[:2] == "--"), option)
            gap = " " if said.startswith(("'", '"')) else ": "
            sentence = f"{option}{gap}{said}"
            if said.startswith("not allowed with argument "):
                other = said.removeprefix("not allowed with argument ").split("/")[-1]
                sentence = f"{option} and {other} exclude each other"
            if said == "expected one argument":
                sentence = f"{option} needs a value"
        if sentence.startswith(_REQUIRED):
            sentence = self._missing(sentence.removeprefix(_REQUIRED))
        end = "" if sentence.endswith("?") else "."
        self.exit(2, printable(f"{self.prog}: {sentence}{end} See `{self.prog} --help`") + "\n")

    def spoken(self, sentence: str) -> str:
        """A sentence with options in the place of a function's arguments: ``--max-devices -1`` for
        ``max_devices=-1``. What was typed stands in quotes, and stays as it is."""
        import re

        given = [a for a in self._actions if a.option_strings]
        options = {a.dest: _name(a) for a in reversed(given)}  # a former name stands after today's
        former = {_name(a).removeprefix("--"): options[a.dest] for a in given}
        options = former | options

        def named(found: re.Match[str]) -> str:
            name = found[1] or ""
            option = options.get(name) or options.get(name.removesuffix("_s"))
            return f"{option} " if option else found[0]

        sentence = re.sub(r"\b[a-z_]+ \((--[a-z-]+)\)", r"\1", sentence)  # once is enough
        flags = [a.dest for a in given if a.nargs == 0]
        for name in flags:  # mtp=True is --mtp
            sentence = sentence.replace(f"{name}=True", options[name])
        words = r"(?<!\w)'[^']*'|(?<![\w?&./'\"`-])([a-z]\w*)=(?=\S)"
        sentence = re.sub(words, named, sentence)
        twice = r"((--[a-z-]+)(?: (?!\()\S+)?) \(\2(?: [^()]*)?\)"
        return re.sub(twice, r"\1", sentence)

    def _missing(self, names: str) -> str:
        """What the first of the operands that have to be given is."""
        needed = [each for each in self._actions if each.required and _name(each) in names]
        if not needed:
            return f"{names} is missing"
        if needed[0].choices:
            return f"a word is missing: expected one of {', '.join(map(str, needed[0].choices))}"
        return f"{_name(needed[0])} is missing: {needed[0].help}"


def _name(action: argparse.Action) -> str:
    """The option, or what its operand is called."""
    names = action.option_strings or [str(action.metavar or action.dest)]
    return next((name for name in names if name[:2] == "--"), names[0])


def _plain(option: str) -> str:
    """What an option is called, however it is written."""
    return option.strip("-").lower().replace("_", "-")


def _called_here(word: str, known: Sequence[str], value: str) -> str | None:
    """The option that is called so elsewhere; of one that says which device and one that says how
    many, the one that takes the value."""
    if word in known:
        return word
    called = [here for here, others in _ELSEWHERE.items() if word in others.split()]
    meant = [here for here in called if here in known]
    if len(meant) > 1 and "gpu" in meant and _is_device(value.partition(",")[0]):
        return "gpu"
    return next(iter(meant), None)


def _is_device(text: str) -> bool:
    from thermoflop.cost.catalogue.devices import counted, is_known

    return is_known(counted(text)[1])


def _card_like(number: str) -> str | None:
    """The number of a card that one of four digits is most like: 4090 for 4909."""
    from difflib import get_close_matches

    if len(number) != len("4090"):
        return None
    from thermoflop.cost.catalogue.devices import plain_names

    cards = [name[-4:] for name in plain_names() if name[-4:].isdecimal()]
    swapped = [card for card in cards if sorted(card) == sorted(number)]
    if swapped:
        return swapped[0]
    return next(iter(get_close_matches(number, cards, 1, 0.75)), None)


# What is typed as a command and is called otherwise.
_OTHER_COMMANDS = {
    "why": "estimate --why", "speculate": "estimate --draft", "cost": "estimate",
    "memory": "fit", "energy": "estimate", "run": "record", "live": "serve", "page": "serve",
}  # fmt: skip


def _meant(word: str, known: Sequence[str]) -> str | None:
    """The known word that is most like one: of those that begin with it the shortest."""
    from difflib import get_close_matches

    begun = [name for name in known if len(word) > 2 and name.startswith(word)]
    return (
        min(begun, key=len) if begun else next(iter(get_close_matches(word[:60], known, 1)), None)
    )
