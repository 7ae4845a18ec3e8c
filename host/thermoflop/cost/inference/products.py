"""What products are computed in: by the format of the weights, the device, and the engine."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.engines.engine import Engine
from thermoflop.cost.hardware.device import Device, format_in_4_bits, other_4_bits
from thermoflop.cost.hardware.precision import Precision
from thermoflop.errors import UsageError
from thermoflop.model.architecture.quantization import Quantization, Stored

# A name's format as a form, so that a device that lacks its products multiplies in 16 bits.
FORMS = {"fp8": "fp8-tensor", "nvfp4": "modelopt-nvfp4"}
WIDE = ("bf16", "fp16", "fp32")
# Formats that products are computed in, by the format of the inputs: peak and family of rates.
_COMPUTED = {
    "fp8": ("fp8", "8"), "int8": ("int8", "8"), "mxfp8": ("fp8", "8"),
    "nvfp4": ("fp4", "4"), "mxfp4": ("fp4", "4"),
}  # fmt: skip
# Engines that multiply narrow weights by inputs of 16 bits on NVIDIA's devices since Ampere where
# these lack the products, for any model that --quantization narrows (Marlin; "FP8 W8A16" in
# docs/features/quantization of vLLM 0.10, fp8_utils and marlin_utils_fp4 of both).
ALONE = ("vllm", "sglang")
# AMD's devices on which both read nvfp4 and multiply in 16 bits, experts left aside (Petit:
# ``--quantization petit_nvfp4``, platforms/amd_gpu of docs.sglang.ai).
_PETIT = ("MI250", "MI300X")
# Engines that narrow the inputs of experts in mxfp4 to 8 bits on devices that multiply 4 bits, with
# how the names of these begin: SGLang's kernels for workstations (SM120) keep 16 bits
# (examples/models/core/gpt_oss/README.md of TensorRT-LLM 1.0; ``--flashinfer-mxfp4-moe-precision``
# of SGLang 0.5; vLLM does where VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8 asks for it). All do with those
# of DeepSeek V4, whose other inputs are in 8 bits (``w4a8_mxfp4_mxfp8`` of AIConfigurator; Hopper
# multiplies them in 16: ``w4a16_mxfp4``).
_NARROW_INPUTS = {
    "tensorrt-llm": ("",), "sglang": ("B100", "B200", "B300", "GB200", "GB300"),
}  # fmt: skip


def as_multiplied(
    quantization: Quantization, device: Device, engine: Engine | None
) -> Quantization:
    """Published formats with the inputs of what is in mxfp4 narrowed to 8 bits: where a device
    multiplies 4 bits, and the engine does so or all other inputs are narrow (DeepSeek V4)."""
    default = quantization.default
    if default is None or device.vendor != "NVIDIA" or not device.has_peak("fp4"):
        return quantization
    asked = engine is not None and device.name.startswith(_NARROW_INPUTS.get(engine.name, ()))
    if not (asked or default.activations):
        return quantization
    targets = tuple((_narrowed(stored), modules) for stored, modules in quantization.targets)
    return replace(quantization, default=_narrowed(default), targets=targets)


def _narrowed(stored: Stored) -> Stored:
    wide = stored.name == "mxfp4" and stored.activations is None
    return replace(stored, activations="mxfp8") if wide else stored


def lacks(device: Device, dtype: str, compute: str) -> bool:
    """Whether a device multiplies no such numbers, or others of as many bits."""
    return not device.has_peak(compute) or dtype == "nvfp4" != format_in_4_bits(device)


def has_marlin(device: Device) -> bool:
    """Whether kernels multiply narrow weights by inputs of 16 bits: NVIDIA's since Ampere."""
    return device.vendor == "NVIDIA" and "bf16" in device.peaks


def narrow_kernels(engine: Engine, device: Device, dtype: str) -> str:
    """The kernels by which an engine reads such weights on a device that lacks their products, and
    multiplies in 16 bits; "" where it has none."""
    if engine.name not in ALONE:
        return ""
    if has_marlin(device):
        return "Marlin"
    return "Petit" if dtype == "nvfp4" and device.name.startswith(_PETIT) else ""


def no_products(engine: Engine, device: Device, wanted: str, *, routed: bool) -> str:
    """Why a server does not run weights whose products a device lacks, as a sentence; "" where it
    does, or where their inputs are wide (``wanted`` is their format). ``routed``: experts' are."""
    if wanted not in FORMS or not engine.serves or engine.alone or engine.name == "default":
        return ""
    if not lacks(device, wanted, _COMPUTED[wanted][0]):
        return ""
    kernels = narrow_kernels(engine, device, wanted)
    if kernels and not (routed and kernels == "Petit"):
        return ""
    if other := other_4_bits(device, wanted):
        return other
    of_experts = " of experts" if kernels else ""
    said = f"{device.name} does not compute in {wanted}, and {engine.name} has no kernels"
    return f"{said}{of_experts} there that read it"


def wide_on(device: Device) -> str:
    """The format in which a device multiplies what it reads in a narrower one."""
    return next((name for name in WIDE if device.has_peak(name)), WIDE[0])


def check_products(device: Device, precision: Precision) -> None:
    """UsageError where a device lacks a format's products, and engines do without."""
    if precision.name in FORMS and has_marlin(device) and not device.has_peak(precision.compute):
        lacks = f"{device.name} does not compute in {precision.compute}: of engines, vLLM and "
        how = f"SGLang read weights in {precision.name} there, and multiply in 16 bits"
        raise UsageError(lacks + how, also=" (--profile vllm)")


def check_computed(device: Device, precision: Precision) -> None:
    """UsageError where a device, whose peaks are known, multiplies in no such format."""
    check_products(device, precision)
    if device.peaks:
        device.peak(precision.compute)


def computed_in(device: Device, stored: Stored) -> tuple[str, str]:
    """Number format of the products, and the family of their rates.

    A device that lacks the format of the inputs multiplies in 16 bits, as Marlin's kernels do
    (Frantar et al. 2024), and reads the narrow weights all the same.
    """
    compute, family = _COMPUTED.get(stored.activations or "", ("", ""))
    lacks = stored.activations == "nvfp4" != format_in_4_bits(device)
    if compute and device.has_peak(compute) and not lacks:
        return compute, family
    return wide_on(device), "8w" if stored.bits >= 6 else "4w"


def said_of_products(device: Device, stored: Stored, engine: Engine | None) -> str:
    """A sentence where a device lacks the format of the inputs, and multiplies in a wider one."""
    compute, wanted = computed_in(device, stored)[0], stored.activations or ""
    if wanted not in _COMPUTED or compute == _COMPUTED[wanted][0]:
        return ""
    name = "default" if engine is None else engine.name
    marlin = "Marlin" if engine is None and has_marlin(device) else ""
    kernels = marlin if engine is None else narrow_kernels(engine, device, wanted)
    wide = "16 bits" if compute in WIDE[:2] else compute
    if kernels or (engine is not None and engine.alone == "GGUF"):
        wide = f"16 bits ({kernels})" if kernels else "8 or 16 bits"
    reads = f"{name} reads weights in it, and multiplies" if name != "default" else "multiplied"
    return f"{device.name} does not compute in {wanted}: {reads} in {wide}"
