"""What an engine runs: on whose devices, in which layouts and formats. ``engine.ENGINES`` says it
once, and every question that names an engine is held against that.

What was measured and published is not: a row is read as it is (``inference.question``), and a
device that a profile was fitted to runs its engine.
"""

from __future__ import annotations

from thermoflop.cost.engines.engine import ENGINES, Engine
from thermoflop.cost.hardware.device import Device, architecture_named
from thermoflop.model.architecture.formats import spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.work.share import Layout

_WIDELY = "llama.cpp"  # runs on nearly everything
# Devices on which most engines that are pooled do not run, and vLLM does by a plugin of the maker
# that keeps its way of serving: 42 figures that Intel publishes of Gaudi 2 and 3 are missed by 19 %
# so and by 59 % by pooled rates, 3 of tpu-inference on a v6e by 12 and 38 %. NxD Inference on
# Trainium compiles models in a way of its own (16 figures: 70 and 44 %).
_BY_PLUGIN = ("Gaudi", "TPU")
# Kinds of weights by how the names of formats start; others are of the kind that they are called.
_KINDS = (
    ("exl2", "EXL2"), ("bnb", "bitsandbytes"), ("nf4", "bitsandbytes"), ("hqq", "HQQ"),
    ("quanto", "quanto"), ("eetq", "eetq"), ("torchao", "torchao"), ("mlx", "MLX"), ("awq", "AWQ"),
    ("gptq", "GPTQ"), ("w4a", "compressed-tensors"), ("w8a", "compressed-tensors"),
    ("modelopt-nvfp4", "nvfp4"), ("quark-mxfp4", "mxfp4"), ("fp8", "fp8"), ("mxfp8", "fp8"),
    ("quark", "Quark"), ("gguf", "GGUF"), ("q", "GGUF"), ("iq", "GGUF"), ("tq", "GGUF"),
    ("bitnet", "GGUF"), ("ternary", "GGUF"),  # llama.cpp's converter writes tq2_0 of it
)  # fmt: skip
# Compute capabilities of NVIDIA's devices before Ampere (8.0); of Pascal's, P100 has 6.0.
_CAPABILITIES = {"pascal": 6.1, "volta": 7.0, "turing": 7.5}
_WORDS = {"ep": "expert parallel", "cp": "context parallel"}
_FORMATS = {
    "GGUF": "a format of GGUF files, such as q4_k_m, q8_0 or bf16",
    "MLX": "a format of MLX's files, such as mlx-4bit, mlx-8bit or bf16",
}
# What its name says is in such files too, or is the width alone. What is published as the first is
# so in files of any method (convert_hf_to_gguf.py).
ALONE_TOO = {"GGUF": ("mxfp4", "nvfp4"), "MLX": ("mxfp4", "nvfp4")}
_WIDTHS = ("fp32", "tf32", "bf16", "fp16", "int8", "int8-wo", "int4")
# What vLLM-Metal and SGLang's MLX backend read besides.
_OF_PLUGINS = {"Apple": "MLX"}


def kind_of_weights(dtype: str) -> str:
    """The kind that a format is of: ``GGUF`` of q4_k_m, ``AWQ`` of awq-int4-g64."""
    name = spelled(dtype)
    return next((kind for start, kind in _KINDS if name.startswith(start)), name)


def no_device(engine: Engine, device: Device) -> str:
    """Why an engine does not run on a device, as a sentence; "" where it does, by a plugin of
    others too, or where nothing is known of the device's maker."""
    older = capability_of(device)
    if older is not None and older < engine.capability:
        return (
            f"{engine.name} does not run on {device.name}: it needs compute capability "
            f"{engine.capability}, not {older}"
        )
    if engine.without and device.name.startswith(engine.without):
        return f"{engine.name} does not run on {device.name}: it has no kernels for it"
    here = not engine.vendors or device.vendor in ("", *engine.vendors)
    if here or plugin_of(engine, device):
        return ""
    return f"{engine.name} does not run on {device.name}: it is for {_listed(engine.vendors)}"


def engine_on(device: Device, dtype: str | None = None) -> str | None:
    """The engine whose rates stand for one that is not named: on Apple's GPUs MLX for its own
    formats and llama.cpp for all others, vLLM on Gaudi and TPUs, and llama.cpp for what is in GGUF
    files (all 178 published rows of them are its own), and where no other that is started as a
    server runs (Pascal). None: those pooled over all."""
    if device.vendor == "Apple":
        return "mlx" if dtype is not None and kind_of_weights(dtype) == "MLX" else _WIDELY
    if device.name.startswith(_BY_PLUGIN):
        return "vllm"
    runs = [engine.name for engine in ENGINES if engine.serves and not no_device(engine, device)]
    of_files = dtype is not None and kind_of_weights(dtype) == "GGUF" and _WIDELY in runs
    return _WIDELY if of_files or runs == [_WIDELY] else None


def plugin_of(engine: Engine, device: Device) -> str:
    """The plugin of others by which alone an engine runs on a device, on one at a time; "" else."""
    return dict(engine.plugins).get(device.vendor, "") if engine.plugins else ""


def capability_of(device: Device) -> float | None:
    """The compute capability of an NVIDIA device before Ampere; None of all others."""
    if device.vendor != "NVIDIA":
        return None
    early = device.name.startswith("P100")
    return 6.0 if early else _CAPABILITIES.get(architecture_named(device.name) or "")


def no_layout(engine: Engine, layout: Layout, device: Device) -> str:
    """Why an engine has no such layout on a device, as a sentence; "" where it has."""
    plugin = plugin_of(engine, device)
    if plugin and (layout.devices > layout.dp or layout.ep > 1):
        said = f"{engine.name} runs on {device.name} through {plugin}, one device a replica"
        return f"{said}: expected dp alone"
    for degree, words in _WORDS.items():
        if getattr(layout, degree) > 1 and degree in engine.lacks:
            return f"{engine.name} has no {words}: {degree}={getattr(layout, degree)}"
    return ""


def no_weights(engine: Engine, dtype: str, device: Device | None = None) -> str:
    """Why an engine reads no weights in a format, as a sentence; "" where it does.

    Args:
        engine: the engine.
        dtype: a format, or the method of a publication.
        device: what it runs on, where another's plugin may read it there. None: any.
    """
    kind = kind_of_weights(dtype)
    vendor = "" if device is None else device.vendor
    reads = (engine.alone, *ALONE_TOO.get(engine.alone, ()), *_WIDTHS)
    if kind in reads if engine.alone else kind not in engine.lacks:
        return ""
    if vendor in dict(engine.plugins) and kind == _OF_PLUGINS.get(vendor):
        return ""
    other = f": expected {_FORMATS[engine.alone]}" if engine.alone else ""
    return f"{engine.name} reads no weights in {dtype}{other}"


def no_cache(engine: Engine, kv_dtype: str) -> str:
    """Why an engine keeps no cache in a format, as a sentence; "" where it does, or where its
    options say nothing of the cache."""
    from thermoflop.cost.engines.options import FORMATS, OPTIONS

    name = spelled(kv_dtype)
    options = OPTIONS.get(engine.name, ())
    values = [each for option in options if option.kind == "format" for each in option.values]
    if not values or FORMATS.get(name, name) in (None, *values):
        return ""
    return (
        f"{engine.name} keeps no cache in {kv_dtype}: expected {', '.join(dict.fromkeys(values))}"
    )


def _listed(vendors: tuple[str, ...]) -> str:
    """``NVIDIA's devices``; ``devices of NVIDIA and AMD``; ``devices of AMD, or processors``."""
    makers = [each for each in vendors if each != "CPU"]
    if makers == [*vendors] and len(makers) == 1:
        return f"{makers[0]}'s devices"
    named = " and ".join([", ".join(makers[:-1]), *makers[-1:]]).removeprefix(" and ")
    return f"devices of {named}" + (", or processors" if "CPU" in vendors else "")
