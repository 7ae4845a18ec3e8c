"""The format of keys and values that a checkpoint states: which engines keep them in it; and of
whose models an engine keeps them narrow unasked."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.cost.engines.chosen import keys_chosen
from thermoflop.cost.engines.generation import version_of
from thermoflop.cost.hardware.device import architecture_named
from thermoflop.cost.hardware.precision import Precision, choose_precision

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.engines.engine import Engine
    from thermoflop.cost.hardware.device import Device
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.architecture.quantization import Quantization

# From which version on an engine whose cache is left to it (auto) keeps it as a checkpoint says, by
# the beginning of its method, and in which formats. vLLM: get_kv_cache_quant_algo_string of
# utils/torch_utils.py (pull request 29980, December 2025) and kv_cache_scheme in Attention (30141);
# both know fp8 alone. SGLang: configure_kv_cache_dtype of model_executor/model_runner.py reads
# kv_cache_quant_algo, which compressed-tensors has not. TensorRT-LLM:
# validate_and_set_kv_cache_quant of _torch/pyexecutor/model_loader.py ("Using checkpoint KV
# quantization").
READ = {
    "vllm": ((0, 13), ("modelopt", "compressed-tensors"), ("fp8",)),
    "sglang": ((0, 5), ("modelopt",), ("fp8",)),
    "tensorrt-llm": ((0, 17), ("modelopt",), ("fp8", "nvfp4")),
}
# Of none that is named: as any of today would.
ANY = ((0,), ("modelopt", "compressed-tensors"), ("fp8",))


def stated_cache(
    quantization: Quantization, engine: Engine | None, label: object = None
) -> str | None:
    """The format in which an engine keeps the cache of such a checkpoint unasked; None: as wide as
    the activations. ``label`` is its version, or the profile or its name, which may say it."""
    if quantization.kv_cache is None:
        return None
    rule = ANY if engine is None else READ.get(engine.name)
    if rule is None:
        return None
    since, methods, formats = rule
    named = version_of(f"v{getattr(label, 'name', label)}")
    reads = engine is None or named is None or named >= since
    known = quantization.method.startswith(methods) and quantization.kv_cache in formats
    return quantization.kv_cache if reads and known else None


def own_cache(description: Description, device: Device, engine: Engine | None) -> str | None:
    """The format in which an engine keeps the cache of a model unasked, whatever its checkpoint
    says; None: in no format of its own. SGLang's of chosen keys on Blackwell ("Setting KV cache
    dtype to fp8_e4m3 for DeepSeek DSA on SM10", srt/arg_groups/overrides.py of July 2026, and
    server_args.py of February)."""
    if engine is None or not engine.chosen_in_8 or not keys_chosen(description):
        return None
    return "fp8" if architecture_named(device.name) == "blackwell" else None


def formats_said(quantization: Quantization, description: Description, precision: Precision) -> str:
    """The formats of a checkpoint in a line, with the cache as it is counted."""
    stated = quantization.kv_cache
    if stated is None or choose_precision("bf16", stated).kv_bytes == precision.kv_bytes:
        return quantization.line(description)
    line = replace(quantization, kv_cache=None).line(description)
    kept = f"kept in {8 * precision.kv_bytes:g} bits (--kv-dtype {stated} asks for them)"
    return f"{line}; keys and values stated in {stated}, {kept}"
