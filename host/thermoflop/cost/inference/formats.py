"""The number formats of a question: those of a name, or each matrix's as the model is published."""

from __future__ import annotations

from functools import lru_cache

from thermoflop.base.record import replace
from thermoflop.cost.engines.abilities import ALONE_TOO, no_weights
from thermoflop.cost.engines.engine import Engine, is_ollama
from thermoflop.cost.hardware.device import Device, check_4_bits
from thermoflop.cost.hardware.precision import (
    Precision,
    choose_precision,
    is_precision,
)
from thermoflop.cost.inference.arguments import default_format, in_16_bits
from thermoflop.cost.inference.products import (
    FORMS,
    WIDE,
    as_multiplied,
    computed_in,
    lacks,
    narrow_kernels,
    no_products,
    said_of_products,
    wide_on,
)
from thermoflop.cost.inference.published_formats import (
    published_form,
    published_formats,
    usual_form,
)
from thermoflop.cost.work.weights import (
    OF_FILES,
    Checkpoint,
    has_experts,
    is_matrix,
    stored_checkpoint,
    weights_held,
)
from thermoflop.errors import UsageError
from thermoflop.model.architecture.formats import spelled
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.architecture.quantization import Quantization, Stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.model import Model

# Methods whose kernels are their own, and are rated by name.
_METHODS = {"awq": "awq", "awq_marlin": "awq", "gptq": "gptq", "gptq_marlin": "gptq"}
# GGUF's blocks of 32 elements in 8 bits with a scale of 16.
_Q8_0 = Stored("q8_0", 8, group=32, scale_bits=16)
WRITTEN_OUT = ("int8", "int8-wo")  # before each product, by engines that multiply in 16 bits alone
NARROWEST_8 = 6.0  # bits of a weight: what is wider is as wide as q8_0


def choose_formats(
    model: Model, device: Device, dtype: str | None, kv_dtype: str | None,
    profile: object = None, version: str | None = None,
) -> tuple[Precision, Checkpoint | None]:  # fmt: skip
    """The widths of a run, and the formats matrix by matrix where they are published ones.

    Args:
        model: the model.
        device: what computes: products of inputs that it lacks in the widest of their formats.
        dtype: a format. None: what the model's name says, or as it is published, else what the
            device computes in. The format that it is published in, or a model of the catalogue of
            the same name and shape (``llama-3.1-405b-fp8``), means that publication; a published
            form, such as ``gptq-int4-g128``, is that form of this model.
        kv_dtype: a format of the cache. None: as stated, else as wide as the activations.
        profile: whose engine, of the ``version``, may read narrow weights in kernels of its own.
    """
    asked = dtype
    dtype = in_16_bits(device, spelled(dtype)) if isinstance(dtype, str) else dtype
    named = model.named_format if dtype is None and model.stored is None else None
    engine = None if profile is None else _engine_of(profile)
    if engine is not None and engine.chosen_in_8:
        from thermoflop.cost.inference.stated_cache import own_cache

        kv_dtype = kv_dtype or own_cache(model.description, device, engine)
    if named in WIDE:  # whichever of them the device computes in
        return choose_precision(default_format(device), kv_dtype), None
    dtype = dtype if named is None else named
    if dtype is None:
        check_understood(model)
    quantization = _quantization_of(model, dtype)
    if quantization is None and named in FORMS:
        quantization, dtype = published_form(FORMS[named]), FORMS[named]
    own = quantization is not None and quantization is model.quantization
    if quantization is not None:
        from thermoflop.cost.inference.stated_cache import stated_cache

        kv_dtype = kv_dtype or stated_cache(quantization, engine, version or profile)
        quantization = as_multiplied(quantization, device, engine)
    if model.stored is not None and (own or dtype is None):
        checkpoint = stored_checkpoint(model, quantization)
        precision = _precision(model, device, checkpoint, kv_dtype, engine)
        return replace(precision, form=f"{precision.name} as stored"), checkpoint
    if quantization is None:
        dtype = default_format(device) if dtype is None else dtype
        found = _of_name(device, dtype, asked, kv_dtype, profile)
        if not found.said:
            check_4_bits(device, dtype)
        return found, None
    checkpoint = _as_published(quantization)
    precision = _precision(model, device, checkpoint, kv_dtype, engine)
    if dtype is not None and not is_precision(dtype):
        return replace(precision, form=str(dtype)), checkpoint
    usual = "" if own or dtype is None else usual_form(model, dtype)
    return replace(precision, form=usual or f"{precision.name} as published"), checkpoint


def _of_name(
    device: Device, dtype: str, asked: str | None, kv_dtype: str | None, profile: object
) -> Precision:
    """One width for all, and what is to be said where the device lacks the format."""
    found = choose_precision(dtype, kv_dtype)
    if asked is not None and spelled(asked) == "bf16" != dtype:
        said = f"bf16 on {device.name} is counted as {dtype}, which engines use there"
        return replace(found, said=said)
    if profile is None:
        return found
    engine = _engine_of(profile)
    if engine.dequantizes == 1 and dtype in WRITTEN_OUT:
        said = f"{engine.name} writes weights in {dtype} out in 16 bits before each product"
        return replace(choose_precision("int8-wo", kv_dtype), family="16", said=said)
    wide = wide_on(device)
    in_ggml = engine.alone == "GGUF" and not no_weights(engine, dtype)
    if in_ggml and dtype not in FORMS and lacks(device, dtype, found.compute):
        if not device.has_peak(wide):
            return found
        said = f"no peak of {device.name} is known in {found.compute}: counted with that in {wide}"
        faster = "; ggml's products in integers may be faster" * (found.family in ("4w", "8w"))
        return replace(found, compute=wide, said=said + faster)
    if dtype not in FORMS or not lacks(device, dtype, found.compute):
        return found
    if in_ggml:
        how = "8 or 16 bits"  # ggml's kernels of narrow weights, on every device
    elif kernels := narrow_kernels(engine, device, dtype):
        how = f"16 bits ({kernels})"
    else:
        return found
    said = f"{device.name} does not compute in {dtype}: {engine.name} reads weights in it, and "
    family = "8w" if found.weight_bits >= NARROWEST_8 else "4w"
    said += f"multiplies in {how}"
    return replace(found, compute=wide, family=family, said=said)


def check_understood(model: Model) -> None:
    """UsageError where the configuration says a format of weights that nobody here can count."""
    if not is_understood(model):
        raise UsageError(
            f"the format of {model.name}'s weights is not understood "
            f"({model.format_unknown}): say their format, such as dtype=int4"
        )


def is_understood(model: Model) -> bool:
    """Whether a format of the weights is known, by the configuration, files or the model's name."""
    known = model.stored is not None or model.named_format is not None
    return known or not model.format_unknown


def as_downloaded(model: Model, profile: object, dtype: str | None = None) -> Model:
    """The model in the format of Ollama's downloads where its profile is asked for and nothing says
    another that it reads: q4_k_m, and mxfp4 of those that are published in it; for llama.cpp in one
    that GGUF files have. With a ``dtype`` that alone says the format, but for how llama.cpp's files
    hold the rest of an mxfp4 model."""
    if profile is None:
        return model
    engine = _engine_of(profile)
    if dtype is not None:
        return as_gguf(model, profile)
    model = as_named(model, profile)
    if not is_ollama(profile):
        return _as_converted(as_gguf(model, profile), engine)
    own, named = model.quantization, model.named_format
    kept = model.stored is not None or (own is not None and _name(own, own.default) == "mxfp4")
    if kept or (named is not None and not no_weights(engine, named)):
        return model
    from thermoflop.model.config.named_format import means_file

    if named is None and means_file(model.format_said, ollama=True):
        return model  # whose download is as it was published
    said = "Ollama's downloads are q4_k_m where no tag says another format: --dtype names another"
    return replace(model, named_format="q4_k_m", format_said=said)


def as_named(model: Model, profile: object) -> Model:
    """The model as published where it has the download's format only because Ollama has its name,
    and another engine than Ollama's is asked for."""
    if profile is None or not model.format_said:
        return model
    from thermoflop.model.config.named_format import means_download

    if not means_download(model.format_said):
        return model
    if _engine_of(profile).name in ("llama.cpp", "default"):
        return model
    return replace(model, named_format=None, format_said="")


def lacking(engine: Engine, model: Model, device: Device | None = None) -> tuple[str, str]:
    """What the weights are in that an engine does not read, by the name of the model or else as it
    is published, and why, as a sentence; "" twice where it reads them."""
    own, named = model.quantization, model.named_format
    names: tuple[str, ...] = ()
    if named is not None and model.stored is None:
        names = (named,)
    elif own is not None:
        name = _name(own, _common(model.description, own))
        names = (name,) if name in ALONE_TOO.get(engine.alone, ()) else (own.method, name)
    why = ((name, no_weights(engine, name, device)) for name in names)
    return next((each for each in why if each[1]), ("", ""))


def unread(engine: Engine, model: Model, device: Device, dtype: str | None) -> str:
    """Why a server does not run the model's weights on a device whose products are wider, by
    ``dtype`` or else as it is named or published; "" where it does."""
    own, named = model.quantization, model.named_format
    if dtype is None and named is not None and model.stored is None:
        dtype = named
    wanted = dtype or ""
    if dtype is None and own is not None:
        stored = _common(model.description, own)
        wanted = "" if stored is None else stored.activations or ""
    return no_products(engine, device, spelled(wanted), routed=has_experts(model.description))


def as_planned(model: Model, profile: object, *, named: bool) -> tuple[Model, str]:
    """The model without the format that its name means, or that it is published in, where the
    engine reads another kind of files alone, or reads it not and nobody named that engine; and a
    sentence on that: the engine's other formats are tried. Else as the engine's files have it."""
    engine = _engine_of(profile)
    name = lacking(engine, model)[0] if engine.alone or not named else ""
    if not name:
        return as_gguf(model, profile), ""
    plain = replace(model, quantization=None, stored=None, named_format=None, format_said="")
    why = f"no {engine.alone} file is" if engine.alone else f"{engine.name} reads no weights"
    return plain, f"{why} in {name}: other formats are tried"


def as_gguf(model: Model, profile: object) -> Model:
    """A model whose experts are published in mxfp4 as GGUF files have it for an engine that reads
    no others: what is published in 16 bits in q8_0, but for its routers.

    llama.cpp's own gpt-oss files, 11.27 and 59.02 GiB, have it so (its discussion 15396); Ollama's
    keep 16 bits.
    """
    own, reads = model.quantization, "" if is_ollama(profile) else _engine_of(profile).alone
    if reads != "GGUF" or own is None or own.method != "mxfp4" or model.stored is not None:
        return model
    routers = tuple(each for each in own.wide if "router" in each)
    rest = tuple(each for each in own.wide if each not in routers)
    targets = (*own.targets, (_Q8_0, rest))
    return replace(model, quantization=replace(own, targets=targets, wide=routers))


def _as_converted(model: Model, engine: Engine) -> Model:
    """The model in the GGUF format that is about as wide as its own, where the engine reads GGUF
    files alone and these have no such format."""
    name = lacking(engine, model)[0] if engine.alone == "GGUF" else ""
    if not name:
        return model
    published = model.named_format is None or model.stored is not None
    means = "q8_0" if _bits(model, None if published else name) > NARROWEST_8 else "q4_k_m"
    source = "as it is published" if published else "as its name means"
    said = f"no GGUF file is in {name}, {source}: counted as {means}, --dtype names another"
    if name.startswith("mlx"):
        said += "; LM Studio and others run it by MLX: --profile mlx"
    return replace(model, named_format=means, format_said=said, stored=None)


def _bits(model: Model, dtype: str | None) -> float:
    """Bits of most of the weights in a format; None: as published."""
    quantization = _quantization_of(model, dtype)
    if quantization is None:
        return choose_precision(dtype or "bf16").weight_bits
    common = _common(model.description, quantization)
    return choose_precision("bf16").weight_bits if common is None else common.bits


def _engine_of(profile: object) -> Engine:
    from thermoflop.cost.catalogue.profiles import find_profile

    return find_profile(profile).engine  # type: ignore[arg-type]


def _quantization_of(model: Model, dtype: str | None) -> Quantization | None:
    """The published formats that a name means, or None where it means one width for all."""
    own = model.quantization
    if dtype is None:
        return own
    if not isinstance(dtype, str):
        return None
    if own is not None and dtype == _name(own, _common(model.description, own)):
        return own
    return published_formats(model, dtype)


def formats_line(model: Model, checkpoint: Checkpoint | None, precision: Precision) -> str:
    """A line on how the weights are kept; empty where all matrices in layers are alike, as asked,
    and the model's name says nothing about it."""
    parts = (_kept_line(model, checkpoint, precision), precision.said)
    return (
        precision.said if checkpoint is None and precision.said else "; ".join(filter(None, parts))
    )


def _kept_line(model: Model, checkpoint: Checkpoint | None, precision: Precision) -> str:
    """The same without what products are computed in."""
    if checkpoint is None:
        named = model.named_format
        meant = precision.name == named or (named in WIDE and precision.name in WIDE)
        meant = meant or named is None  # files that are not all there
        return model.format_said if meant else ""
    if model.stored is not None and checkpoint.stored:
        return model.stored.line
    if model.stored is not None and checkpoint.quantization.method == OF_FILES:
        return f"the files hold {model.stored.size_bytes:,} B, which are not those of this model"
    from thermoflop.cost.inference.stated_cache import formats_said

    line = formats_said(checkpoint.quantization, model.description, precision)
    return line if model.named_format or not model.format_said else f"{line}; {model.format_said}"


@lru_cache(maxsize=16)
def _as_published(quantization: Quantization) -> Checkpoint:
    """One for all who ask: it keeps what it found of each matrix."""
    return Checkpoint(quantization)


@lru_cache(maxsize=64)
def _common(description: Description, quantization: Quantization) -> Stored | None:
    """The format that most of the quantized weights have."""
    sums: dict[Stored, float] = {}
    for each in weights_held(description, _as_published(quantization)):
        if each.stored is not None:
            sums[each.stored] = sums.get(each.stored, 0.0) + each.sets * float(each.part.parameters)
    return max(sums, key=lambda stored: sums[stored], default=None)


def _name(quantization: Quantization, stored: Stored | None) -> str:
    """What the format is called among those that a run can be asked for."""
    if quantization.method in _METHODS or is_precision(quantization.method):
        return _METHODS.get(quantization.method, quantization.method)
    if stored is None:
        return "bf16"
    if stored.name == "int8" and stored.activations is None:
        return "int8-wo"
    return "nf4-dq" if stored.name == "nf4" and stored.scale_bits < 16 else stored.name


def _precision(
    model: Model, device: Device, checkpoint: Checkpoint, kv_dtype: str | None,
    engine: Engine | None = None,
) -> Precision:  # fmt: skip
    """Widths of the run: the mean of what is quantized, and what products are computed in."""
    stored = _common(model.description, checkpoint.quantization)
    if stored is None or stored.bits >= 16:
        width = checkpoint.wide if stored is None else stored.bits / 8
        name = default_format(device) if width < 4 else "fp32"
        return choose_precision(name, kv_dtype)
    compute, family = computed_in(device, stored)
    size, elements = 0.0, 0.0
    for each in weights_held(model.description, checkpoint):
        if each.stored is not None and is_matrix(each.part):
            size += each.sets * each.bytes_each
            elements += each.sets * float(each.part.parameters)
    plain = choose_precision("bf16", kv_dtype)
    return replace(
        plain, name=_name(checkpoint.quantization, stored), compute=compute, family=family,
        weight_bits=8 * size / elements if elements else 16.0,
        said=said_of_products(device, stored, engine),
        besides=plain.family if family[0] == "4" and _narrows_experts(model, checkpoint) else "",
    )  # fmt: skip


def _narrows_experts(model: Model, checkpoint: Checkpoint) -> bool:
    """Whether experts are narrow, and some other matrices in layers wide."""
    if not has_experts(model.description):
        return False
    inside = (each for each in weights_held(model.description, checkpoint) if each.layers)
    return any(
        isinstance(each.part, Linear) and each.stored is None
        and not each.part.unquantized and each.part.group != "experts"
        for each in inside
    )  # fmt: skip
