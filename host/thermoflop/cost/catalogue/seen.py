"""What a profile has seen, and how much wider its interval is for what it has not.

An interval comes from models that were left out of a fit. It holds for a question that is like the
rows behind it; each thing that none of them had adds an error of its own, and errors that do not
know of each other add by their squares. ``EXTRA`` are logarithms of factors at one standard
deviation, measured on serving rows of 2025-26 by leaving out, besides the model, a device (0.11),
an architecture (0.14) or a format (0.12). What is left of the months after a date, once new devices
and formats are taken off, is 0.08: with it 80 % of their tokens lie in the interval where each
model of an engine counts alike, and 84 % where each row does. New kinds of models came with them,
and kernels of another date are taken to be like. Experts in a format that was never seen run on
kernels of another family: where one is left out, kernels miss by 0.25 (AIConfigurator's MoE
tables). A device of another maker than all that were measured, at what it sustains of its sheet
(``hardware.sustained``), has 0.20 besides a new device and architecture: with it 51 of 63 published
rows of MI300X to MI355X under vLLM and SGLang of 2025-26 (19 models) lie in the interval, 81 %
(SGLang's 50: 78 %), and 43 without. They are of SGLang's cookbook and pulls 31216, 31044 and 30812,
ROCm/aiter pull 1930, vLLM's recipes (pulls 431, 443 and 490) and docs.vultr.com's inference
cookbook. Recurrent layers run on TPUs, and on Trainium, by programs of those backends' own (pure
JAX in tpu-inference's pull 2004) and not by the Triton kernels that GPUs share: ten rows of two
such models on TPU v6e and v7 (tpu-recipes' Qwen3.8-27B, tpu-inference's pull 3050) miss by 0.66, of
which 0.34 was said before, and 8 lie in the interval with 0.56 besides. Prompts of an older engine
that was measured decoding alone: where both were measured, prompts miss by 0.15, 0.20, 0.28 and
0.51 more than tokens (TinyChat, llama.cpp, AutoAWQ, transformers), 0.24 in the middle.

llama.cpp was fitted on GPUs of NVIDIA's, AMD's and Apple's. With 0.45 for processors 12 of 15
published figures of seven lie in the interval, 7 without (geerlingguy/ai-benchmarks issues 7, 24
and 51, sbc-reviews issue 107, llama.cpp issue 19480, ik_llama.cpp pulls 259 and 1283, T-MAC's table
of AGX Orin's cores), and with 0.60 for Intel's GPUs 3 of 4 of an Arc A770 and a B580 (llama.cpp
pull 22066, ipex-llm issue 12991), 1 without. A device of which no maker is stated may be either.

No row of any profile drafts, and published runs that do are slower than plain ones tell: 14 of 17
(Qwen3.8-27B with its own layer under llama.cpp on eleven kinds of devices, github.com/sudoingX/
qwen38-mtp; EAGLE-3 and NextN under SGLang, docs.sglang.ai and its pull 3582; NextN under vLLM, pull
12755) lie in an interval with 0.25 besides, 8 without.

In training, rates of mixtures and of layers with a state that are those of other trainers miss the
three trainers of such models by 0.27, and published runs of three more (torchtitan pull 1993 on 8
B200, tpu-recipes' Ironwood under MaxText, and a Qwen3-30B-A3B on 8 MI355X) by 0.80, 0.43 and 0.40:
0.45 over the six. Adapters beside frozen weights, which no fitted run trains, are taken to be a
kind of work as new as a mixture was to those three: NeMo 24.12 in fp8 takes 0.9 and 0.76 of what is
expected, NeMo AutoModel 1.3 to 1.4 of it. Runs that are not compiled were fitted of one trainer,
which is tuned; others on consumer cards (LLaMA-Factory on 4 RTX 4090, in llmq's benchmarks) and of
one's own making (three models on H100, A100 and RTX PRO 6000) miss by 0.40 and 1.16, and adapters
of trainers with fused attention on A100 by 0.13 each (VectorLM's reference throughput of Llama 3 8B
on one to four, transformers with Qwen 7B in Qwen's README): 0.62 over the four.

What the months after a date showed had models of new kinds, and formats, along with new versions:
a version that was never seen adds nothing to a kind or a format that was not, as far as these are
the larger. Whatever else is unseen, one thing more never makes an interval narrower.
"""

from __future__ import annotations

from thermoflop.base.record import record, replace
from thermoflop.cost.hardware.device import Device, architecture_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.model.model import Model

EXTRA = {
    "prefill": 0.15,
    "prompts": 0.24,
    "device": 0.10,
    "architecture": 0.15,
    "maker": 0.20,
    "scans": 0.56,
    "format": 0.12,
    "expert format": 0.25,
    "kind": 0.08,
    "version": 0.08,
    "kernels": 0.08,
    "backend": 0.12,
    "drafts": 0.25,
    "processor": 0.45,
    "runtime": 0.60,
    "maker unstated": 0.60,
    "trained kind": 0.45,
    "adapters": 0.27,
    "eager": 0.62,
}
# Makers of devices for which compilers make the kernels: none of a GPU's run there.
COMPILED = ("Google", "AWS")
# What came along with new versions where these were measured.
ALONG = frozenset({"kind", "format", "expert format"})
# What is said of some of them. ROCm and Vulkan under llama.cpp: 129 to 144 and 167 to 177 tokens/s
# of a 7B on an RX 7900 XTX (its issue 20934), 110 and 132 of gpt-oss-20b on an RX 9070 XT (LM
# Studio's tracker, 574); prompts the other way round, 1.19 to 1.35 times as fast by ROCm on a Strix
# Halo (issue 21948). From the middle either is about a factor of e^0.12.
SAID = {
    "version": "version {} is none of them",
    "kernels": "most of them of before its kernels of today",
    "scans": "its backend's own kernels run recurrent layers",
    "processor": "none of them on a processor",
    "runtime": "none of them on a GPU of its maker's",
    "maker unstated": "its vendor is not stated, on which llama.cpp's backend depends",
    "backend": "ROCm and Vulkan are 1.2 to 1.35 times apart, and one figure stands for both",
}
# The normal quantile at the ends of an 80 % interval.
END = 1.2815515655446004


@record
class Seen:
    """``formats`` of numbers, ``kinds`` of models and ``architectures`` of devices, measured."""

    formats: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()


def architecture_of(device: Device) -> str:
    """The architecture that a device's name tells; its vendor where it tells none."""
    return architecture_named(device.name) or device.vendor or device.name


def unseen_of_device(device: Device, seen: Seen) -> tuple[str, ...]:
    """What of a device that was never measured is new. Of makers but NVIDIA the vendor stands for
    the architecture: where none of it was seen and others were, its maker is new as well."""
    kind = architecture_of(device)
    if kind in seen.architectures:
        return ("device",)
    strange = seen.architectures and device.vendor not in {"", "NVIDIA"} and kind == device.vendor
    return ("device", "architecture", *(["maker"] if strange else []))


def of_another_maker(device: Device, measured: tuple[str, ...]) -> bool:
    """Whether a device is of another maker than all that were measured, and not NVIDIA's: what
    those miss of each other holds for devices of their makers."""
    from thermoflop.cost.catalogue.devices import find_device, is_known

    if device.vendor in {"", "NVIDIA"} or not measured:
        return False
    return device.vendor not in {find_device(name).vendor for name in measured if is_known(name)}


def nothing_like(device: Device, unseen: tuple[str, ...]) -> str:
    """A device that was never measured, and those of its architecture where they were not either,
    in words."""
    kind = architecture_of(device)
    kin = "known to be of its architecture" if kind == "NVIDIA" else kind
    return ", nor any ".join(
        dict.fromkeys([device.name, kin if {"architecture", "maker"} & {*unseen} else device.name])
    )


def kind_of_model(model: Model) -> str:
    """What sets a model's kernels apart: its attention and its feed-forward."""
    from thermoflop.cost.work.weights import has_experts
    from thermoflop.model.architecture.mixers import LatentAttention

    mixers = model.description.mixers
    names = ["experts" if has_experts(model.description) else "dense"]
    latent = any(isinstance(mixer, LatentAttention) for mixer in mixers)
    attention = "latent attention" if latent else "attention"
    if any(getattr(mixer, "indexer", None) is not None for mixer in mixers):
        names.append(f"{attention} to chosen keys")
    elif latent:
        names.append(attention)
    if any("Attention" not in type(mixer).__name__ for mixer in mixers):
        names.append("recurrent layers")
    return " with ".join(names)


def widened(low: float, high: float, unseen: tuple[str, ...]) -> tuple[float, float]:
    """The ends of an interval with what was never seen, by the names of ``EXTRA``."""
    from math import exp, hypot, log

    along = hypot(*(EXTRA[name] for name in unseen if name in ALONG))
    version = EXTRA["version"] if "version" in unseen else 0.0
    apart = [EXTRA[name] for name in unseen if name not in ALONG and name != "version"]
    extra = [END * each for each in (*apart, max(along, version))]
    return exp(-hypot(log(low), *extra)), exp(hypot(log(high), *extra))


def moves_of(
    offsets: Mapping[str, dict[str, float]], device: Device, precision: Precision, *more: str
) -> list[tuple[str, float]]:
    """What moves the rates for a question, rate by rate (``more`` as in ``group_names``). Where no
    rows told experts in 4 bits apart, the rates of 4 bits are those of the whole model."""
    if not any(name.endswith(" experts") for name in offsets):
        precision = replace(precision, besides="")
    groups = group_names(device, precision, *more)
    return [move for group in groups for move in offsets.get(group, {}).items()]


def tells_format(offsets: Mapping[str, dict[str, float]], precision: Precision) -> bool:
    """Whether rates in this family of formats were fitted, of experts or of whole models."""
    return any(f"family:{name}" in offsets for name in (precision.families[0], precision.family))


def group_names(
    device: Device, precision: Precision, label: str, kind: str = "", age: str = ""
) -> tuple[str, ...]:
    """What may move the rates of an engine: the family of formats, the device, the version, the
    kernels that this version has for this format, the device's maker, the kind of model where it
    is unusual, and how old the version is."""
    names: tuple[str, ...] = (
        *(f"family:{family}" for family in precision.families),
        f"device:{device.name}",
        f"label:{label}",
        f"kernel:{label}/{precision.name}",
        f"maker:{device.vendor}",
    )
    if kind:
        names += (f"kind:{kind}",)
    return (*names, f"age:{age}") if age else names
