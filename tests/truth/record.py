"""A truth record of any config.json: what the class of transformers builds and multiplies.

    python tests/truth/record.py path/to/config.json [more ...] > records.json
    thermoflop validate counts records.json

Parameters (tied ones once), also by group; FLOPs of a prompt and a token (or of an encoder), by
group, from the products and convolutions that torch dispatches on the meta device, rotation of
positions left out; bytes of cache. Groups follow the names of parameters and modules (``GROUPS``);
what has no name here is ``other``. Where a step does not run on the meta device, the record has
parameters alone. Scans of state-space layers are those of the library's slow path, as in all
records.
"""

from __future__ import annotations

import json
import logging
import platform
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import classes
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torch.utils.module_tracker import ModuleTracker

# The first pattern that a name holds gives its group.
GROUPS = [(group, re.compile(pattern)) for group, pattern in (
    ("norm", r"norm|Norm|\.ln_|\bln_f"),
    ("indexer", r"indexer\."),
    ("shared_expert_gate", r"shared_expert_gate"),
    ("shared_experts", r"shared_(expert|mlp)"),
    ("experts", r"experts?(\.|_|$)(?!bias)"),
    ("router", r"router|(mlp|moe|feed_forward)\.gate\b|block_sparse_moe\.gate|\.wg\b"),
    ("projector", r"multi_modal_projector|multimodal_projector|\bmerger|\bconnector|mm_projector"),
    ("layer_scale", r"lambda_\d|layer_scale|gamma"),
    ("pos_conv", r"pos_conv"),
    ("conv_frontend", r"feature_extractor\.conv|encoder\.conv\d|subsampl"),
    ("patch_embed", r"patch_embed|patch_conv|class_embedding|cls_token|mask_token"),
    ("rel_pos_bias", r"relative_attention_bias|rel_embed|relative_position_bias"),
    ("embed_pos", r"embed_positions|position_embed|\bwpe\b|pos_embed|positional"),
    ("embed_type", r"token_type_embeddings"),
    ("embed_tokens", r"embed_tokens|word_embed|\bwte\b|\bshared\.weight|embed_in|token_embed"),
    ("lm_head", r"lm_head|embed_out|decoder\.(weight|bias)$|proj_out|final_logits"),
    ("head_transform", r"predictions\.transform|vocab_transform|head\.dense"),
    ("pooler", r"pooler"),
    ("classifier", r"classifier|\bscore\b"),
    ("linear_attn", r"linear_attn"),
    ("ssm", r"mixer\.|mamba"),
    ("short_conv", r"\bconv\.(conv|in_proj|out_proj)"),
    ("mlp", r"output\.dense"),
    ("cross_attn", r"encoder_attn|crossattention|EncDecAttention|cross_attn"),
    ("attn", r"attn|attention|Attention|\bself\.|q_proj|\.(q|k|v|o)\."),
    ("mlp", r"mlp|fc\d|intermediate|feed_forward|ffn|DenseReluDense|dense|\bw\d\b"),
)]  # fmt: skip
PLAIN_NAMES = {"attn": "attn_proj", "cross_attn": "cross_attn_proj", "linear_attn":
               "linear_attn_proj", "ssm": "ssm_proj", "short_conv": "short_conv_proj",
               "indexer": "indexer_proj"}  # fmt: skip


def group_of(name: str) -> str:
    """The group of a parameter or module."""
    return next((group for group, pattern in GROUPS if pattern.search(name)), "other")


class Counted(TorchDispatchMode):
    """FLOPs by group of everything that runs inside."""

    def __init__(self, tracker: ModuleTracker, linears: set[str]) -> None:
        super().__init__()
        self.tracker, self.linears = tracker, linears
        self.flops: dict[str, int] = {}
        self.products: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            flops = int(count(*args, **(kwargs or {}), out_val=result))
            group = self._group(max(self.tracker.parents, key=len), func)
            self.flops[group] = self.flops.get(group, 0) + flops
        return result

    def _group(self, module: str, func: Any) -> str:
        name = module.partition(".")[2]
        if "rotary" in name or "rope" in name:
            return "rope"
        group = group_of(name)
        if name in self.linears:
            return PLAIN_NAMES.get(group, group)
        if "conv" in str(func):
            return {"ssm": "ssm_conv", "linear_attn": "linear_attn_conv"}.get(group, group)
        if group in ("attn", "cross_attn", "indexer"):  # scores first, then what they weigh
            turn = self.products[name] = self.products.get(name, 0) + 1
            return f"{group}_{'score' if turn % 2 or group == 'indexer' else 'value'}"
        return {"ssm": "ssm_scan", "linear_attn": "linear_attn_scan"}.get(group, group)


def flops_of(model: torch.nn.Module, **inputs: Any) -> tuple[dict[str, int], Any]:
    """FLOPs by group of one step, without rotations, and what the step gave."""
    plain = (torch.nn.Linear, torch.nn.Embedding)
    linears = {name for name, module in model.named_modules() if isinstance(module, plain)}
    tracker = ModuleTracker()
    with torch.no_grad(), tracker, Counted(tracker, linears) as counted:
        output = model(**inputs)
    counted.flops.pop("rope", None)
    return dict(sorted(counted.flops.items())), output


def tokens(batch: int, length: int) -> torch.Tensor:
    """Some tokens."""
    return torch.zeros((batch, length), dtype=torch.long, device="meta")


def cases_of(model: Any, config: Any) -> tuple[dict[str, Any], int | None]:
    """The steps of a record, and the bytes of cache for each token in bf16."""
    if config.is_encoder_decoder:
        step, _ = flops_of(model, input_ids=tokens(1, 128), decoder_input_ids=tokens(1, 128))
        sizes = {"batch": 1, "enc_len": 128, "q_len": 128, "kv_len": 128}
        return {"prefill_b1_enc128_dec128": _case("prefill", step, sizes)}, None
    generates = hasattr(model, "prepare_inputs_for_generation") and model.can_generate()
    if not generates:
        step, _ = flops_of(model, input_ids=tokens(1, 128))
        sizes = {"batch": 1, "q_len": 128, "kv_len": 128}
        return {"encode_b1_s128": _case("encoder", step, sizes)}, None
    step, output = flops_of(model, input_ids=tokens(2, 96), use_cache=True)
    cases = {"prefill_b2_s96": _case("prefill", step, {"batch": 2, "q_len": 96, "kv_len": 96})}
    cache = output.past_key_values
    held = None
    if all(getattr(layer, "keys", None) is not None for layer in getattr(cache, "layers", ())):
        elements = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
        held = 2 * elements // (2 * 96)
    step, _ = flops_of(model, input_ids=tokens(2, 1), past_key_values=cache, use_cache=True)
    sizes = {"batch": 2, "q_len": 1, "kv_len": 97, "kv_len_before": 96}
    cases["decode_b2_kv96"] = _case("decode", step, sizes)
    return cases, held


def _case(kind: str, by_group: dict[str, int], sizes: dict[str, int]) -> dict[str, Any]:
    total = sum(by_group.values())
    return {"kind": kind, **sizes, "by_group": by_group, "total_without_rope": total}


def record_of(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """The record of one configuration."""
    keys = {key: value for key, value in raw.items() if key != "model_type"}
    config = classes.CONFIG_MAPPING[raw["model_type"]].from_dict(keys)
    config._attn_implementation = "eager"
    config._experts_implementation = "batched_mm"  # as many products as experts are routed to
    class_name = (raw.get("architectures") or [default_class(raw["model_type"])])[0]
    model = classes.build(class_name, config)
    groups: dict[str, int] = {}
    for parameter, each in classes.parameters_of(model).items():
        group = group_of(parameter)
        groups[group] = groups.get(group, 0) + each.numel()
    notes, cases, held = [], {}, None
    try:
        cases, held = cases_of(model, config)
    except Exception as error:
        notes.append(f"no step ran on the meta device: {type(error).__name__}: {error}"[:200])
    found = {
        "name": name, "config": raw, "model_class": class_name, "notes": notes,
        "params_total": sum(groups.values()), "params_by_group": dict(sorted(groups.items())),
        "flops": cases,
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__},
    }  # fmt: skip
    return found if held is None else {**found, "kv_bytes_per_token_bf16": held}


def default_class(model_type: str) -> str:
    """The class of a type in the first mapping that has it."""
    for mapping in classes.MAPPINGS:
        if model_type in classes.types_of(mapping):
            return classes.types_of(mapping)[model_type]
    raise SystemExit(f"{model_type} is in no mapping: say architectures in the configuration")


def main() -> int:
    """The command."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    found = []
    for argument in sys.argv[1:]:
        path = Path(argument)
        path = path / "config.json" if path.is_dir() else path
        found.append(record_of(json.loads(path.read_text()), path.resolve().parent.name))
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
