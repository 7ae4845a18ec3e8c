"""Validate the arguments of ``estimate`` and ``fit`` before anything is computed."""

from __future__ import annotations

from thermoflop.base.number import Number, any_of, kind_of
from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.devices import as_device
from thermoflop.cost.hardware.device import Device
from thermoflop.errors import UsageError
from thermoflop.model.media import Media, with_media
from thermoflop.model.sizes import instead_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    from thermoflop.model.model import Model

LARGEST = 10**12
# Tokens of a prompt and after it where nothing is said of one run, as far as the model has room for
# them: 128 as llama-bench (tg128) and `vllm bench latency` have it. A server's load has more.
PROMPT, GENERATE = 1024, 128
# Sizes of which 1k is 1,024.
_LENGTHS = (
    "prompt", "generate", "prefix", "sequence", "context", "chunk", "budget", "encoder",
)  # fmt: skip
# Tokens in a page of the cache; engines have 1 to a few thousand.
LARGEST_PAGE = 2**20
# What to do where a context is longer than the configuration states.
BEYOND = "beyond_context (--beyond-context) where they can be stretched"


@record
class Workload:
    """The sizes of a question: sequences, prompt, generated and already cached tokens.

    The prompt's tokens include those of its images and sound, ``media``.
    """

    batch: Number
    prompt: Number
    generate: Number
    prefix: Number
    page: int | None = None
    media: Media = Media()


def validate_arguments(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    batch: Number,
    prompt: Number | None,
    generate: Number | None,
    prefix: Number = 0,
    page: int | None = None,
    *,
    images: str | None = None,
    audio: str | float | None = None,
    output: int = GENERATE,
) -> tuple[Model, Device, Workload]:
    """The model, the device and the sizes, or UsageError naming the value that makes no sense.

    The tokens of ``images`` and ``audio`` are added to the prompt. A size that is None becomes what
    the model has room for, of ``output`` tokens at most where that is ``generate``.
    """
    sizes = {"batch": batch, "prompt": prompt, "generate": generate, "prefix": prefix}
    batch, prompt, generate, prefix = (written(name, size) for name, size in sizes.items())
    known, media = perceived(as_model(model), images, audio)
    device, prompt_asked = as_device(hardware), prompt is not None
    prompt, generate = default_sizes(known, prompt, generate, media.tokens, output)
    sizes = {"batch": batch, "prompt": prompt, "generate": generate, "prefix": prefix}
    least = {"batch": 1, "prompt": 1, "generate": 0, "prefix": 0}
    carried = {name: checked_size(name, value, least[name]) for name, value in sizes.items()}
    check_shapes(carried)
    if page is not None:
        page = checked_whole("page", page, 1, LARGEST_PAGE)
    if not known.generates and any_of(carried["generate"]):
        means = "it generates nothing, say generate=0"
        if known.purpose == "unmask":
            means = "say generate=0, and all positions as prompt"
        does = instead_of(known.purpose, encodes=known.is_encoder)
        raise UsageError(f"{known.name} {does}: {means}")
    own = known.description.stack("image") if known.description.stack("decoder") is None else None
    if own is not None and own.positions:  # it reads nothing else, whatever was asked
        carried["prompt"] = carried["prompt"] * 0 + own.positions
    carried["prompt"] = carried["prompt"] + media.tokens
    _check_positions(known, carried["prompt"], carried["generate"], asked=prompt_asked)
    if any_of(carried["prefix"] >= carried["prompt"]) and any_of(carried["prefix"]):
        raise UsageError(f"prefix={prefix!r:.40} is not shorter than prompt={prompt!r:.40}")
    return known, device, Workload(**carried, page=page, media=media)


def check_replicas(batch: Number, dp: int) -> None:
    """UsageError where sequences cannot be shared out evenly."""
    if kind_of(batch) == "int" and batch % dp:
        multiple = f"expected a multiple, such as batch={-(-batch // dp) * dp}"
        raise UsageError(f"dp={dp} does not divide batch={batch}: {multiple}")


def written(name: str, size: Any) -> Any:
    """A size as a number where it is written as on the command line: ``32k`` tokens are 32,768, a
    batch of ``2k`` is 2,000. What says no number is left for its check to refuse."""
    if not isinstance(size, str):
        return size
    from thermoflop.base.written import read_number

    number = read_number(size, 1024 if name in _LENGTHS else 1000)
    return size if number is None else number


def default_sizes(
    model: Model, prompt: Number | None, generate: Number | None, media_tokens: int = 0,
    output: int = GENERATE,
) -> tuple[Number, Number]:  # fmt: skip
    """Tokens of the prompt and after it; 1024 and ``output`` for None, fewer where positions end
    sooner. A prompt that takes all of them means a context that is full at the end: its last tokens
    are those that are generated.

    An encoder generates nothing, nor does what embeds or ranks. A size that is no number is left
    for its check to refuse.
    """
    room = LARGEST if model.max_positions is None else model.max_positions - media_tokens
    if generate is None:
        left = room // 2 if prompt is None else room - _most(prompt)
        generate = 0 if not model.generates else min(output, left) if left > 0 else output
        if model.generates and left == 0 and type(prompt) is int:
            generate = min(output, room // 2)
            prompt = room - generate
    if prompt is None:
        prompt = max(1, min(PROMPT, room - _most(generate)))
    return prompt, generate


def unread_source(model: Model) -> tuple[str, ...]:
    """A sentence where a model reads a source of any length, which no step of a run has."""
    encoder = model.description.stack("encoder")
    if encoder is None or encoder.positions is not None:
        return ()
    counted = "prompt and generated tokens are the decoder's"
    source = f"the encoder of {model.name}, and what the decoder keeps of its source"
    return (f"{source}, are not counted without encoder (--encoder N): {counted}",)


def _most(size: Number) -> int:
    """The largest of a size; 0 of what is none."""
    largest = size.max() if getattr(size, "size", 0) and size.dtype.kind in "iuf" else size
    return int(largest) if isinstance(largest, int | float) and 0 <= largest <= LARGEST else 0


def default_format(device: Device) -> str:
    """The number format where none is given: bf16, fp16 on a device that lacks it, or fp32 on one
    known to do no other."""
    peaks = device.peaks
    if "fp32" in peaks and not {"bf16", "fp16"} & set(peaks):
        return "fp32"
    return in_16_bits(device, "bf16")


def in_16_bits(device: Device, dtype: str) -> str:
    """The format that a name means on a device: fp16 for bf16 where that is lacking, as engines
    have it on V100, T4, GTX 10, RTX 20, Radeon RX 6000 and MI50. Sheets of others (Apple, Intel)
    name one format of 16 bits for both."""
    if not isinstance(dtype, str):
        return dtype
    lacks = device.vendor in ("NVIDIA", "AMD") and "bf16" not in device.peaks
    return "fp16" if dtype == "bf16" and lacks and "fp16" in device.peaks else dtype


def as_model(model: Model | str | PathLike[str] | dict[str, Any]) -> Model:
    """A Model, from itself or from what ``load_model`` takes."""
    from thermoflop.model.model import Model as Known

    if isinstance(model, Known):
        return model
    from thermoflop.model.load import load_model

    return load_model(model)


def perceived(model: Model, images: str | None, audio: str | float | None) -> tuple[Model, Media]:
    """The model with its towers on what each prompt brings, and what that comes to."""
    if images is None and audio is None:
        return model, Media()
    if images is not None and not isinstance(images, str):
        raise UsageError(f"images={images!r:.40} has no size: expected such as 2x1024x768")
    description, media = with_media(model.description, model.name, images, audio)
    if model.description.stack("decoder") is None or model.is_encoder:
        raise UsageError(f"{model.name} reads no prompt that images or sound could be part of")
    return replace(model, description=description), media


def checked_size(name: str, value: Number, least: int) -> Number:
    """The size, arrays as float64. UsageError for what is no whole number of at least ``least``."""
    if kind_of(value) == "numpy" and value.ndim:
        import numpy as np

        numbers = value.dtype.kind in "iuf"  # no text, no dates, no complex numbers, no truth
        array = np.asarray(value if numbers else np.nan, dtype=np.float64)
        whole = array.size and np.isfinite(array).all() and (array == np.floor(array)).all()
        if not (whole and (array >= least).all() and (array <= LARGEST).all()):
            raise UsageError(f"{name} must be whole numbers of {least} to 10^12 throughout")
        return array
    if isinstance(value, list | tuple):
        raise UsageError(f"{name}={value!r:.40}: of several sizes make a numpy array")
    return checked_whole(name, value, least)


def checked_whole(name: str, value: Number, least: int, most: int = LARGEST) -> int:
    """One whole number, also of numpy's. UsageError for anything else, arrays among it."""
    if getattr(value, "ndim", 0):
        raise UsageError(f"{name} is an array: expected one whole number")
    if kind_of(value) == "numpy" and value.dtype.kind in "iuf" and value == value // 1:
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        upper = "10^12" if most == LARGEST else f"{most:,}"
        raise UsageError(
            f"{name}={value!r:.40} makes no sense: expected a whole number from {least} to {upper}"
        )
    return value


def check_shapes(sizes: dict[str, Number]) -> None:
    """UsageError, naming the shapes, where arrays do not broadcast to one."""
    shapes = {name: value.shape for name, value in sizes.items() if getattr(value, "ndim", 0)}
    if len(set(shapes.values())) < 2:
        return
    import numpy as np

    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UsageError(f"arrays of shapes that do not fit each other: {listed}") from None


def _check_positions(model: Model, prompt: Number, generate: Number, *, asked: bool) -> None:
    """UsageError where prompt and generation pass the positions that the model has."""
    most = model.max_positions
    if most is not None and any_of(prompt + generate > most):
        sizes = f"generate={generate!r:.40}"
        sizes = f"prompt={prompt!r:.40} + {sizes}" if asked else f"a prompt and {sizes}"
        if asked and _most(prompt) > most:
            sizes = f"prompt={prompt!r:.40}"
        verb = "passes" if asked else "pass"
        room = most - _most(generate)
        such = f", such as prompt={room}" if asked and room > 0 else ""
        raise UsageError(
            f"{sizes} {verb} the {most} positions "
            f"of {model.name}: expected no more than that together{such}",
            also=f", or {BEYOND}",
        )
