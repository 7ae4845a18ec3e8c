"""Which layer is which, by the classes of transformers: tests/data/layers.json.gz.

    python tests/truth/layers.py                  # written again; needs torch and transformers
    python tests/truth/layers.py --types qwen2    # printed, for these types

For each decoder whose layers differ by a rule, configurations of thirteen layers with the keys of
that rule changed, each with what its class builds on the meta device: a word for each layer, of its
parameters and of the keys that its attention meets: all, a window, a chunk, or those it chooses.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "host"))

from thermoflop.model.config.families import MODULES, find_family  # noqa: E402

DATA = ROOT / "tests" / "data" / "layers.json.gz"
LAYERS = 13
# Keys by which layers differ, with what each is set to beside its default.
COUNTS = re.compile(
    r"interval$|_step$|_pattern$|_freq$|_offset$|dense_replace$|max_window_layers$|_period$|every_n|"
    r"layer_group_size$|shared_layers$|num_dense_layers$|dense_mlp_idx$|layer_(start|end)_index$"
)
# What a class does not build without.
BASES: dict[str, dict[str, Any]] = {
    "deepseek_v2": {"num_experts_per_tok": 6},
    "dory": {"n_input_layers": 4, "n_output_layers": 3},
    "dots1": {"n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention"] * 4 + ["conv"]},
    "gemma3n_text": {"num_kv_shared_layers": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 6], [["global"], 1]]},
    "hunyuan_v1_moe": {"head_dim": 128},
    "ministral": {"head_dim": 128},
    "mllama_text_model": {"cross_attention_layers": [3, 8]},
    "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": 512},
}
# Those of which one layer alone has a norm or a bias that we count outside of the layers, and parts
# that we read within a whole alone; a class that builds none.
WORDS_ALONE = ("modernbert-decoder",)
LEFT_OUT = ("dbrx", "gpt_neox_japanese", "rwkv", "unlimited_ocr_text")
TYPES = ("layer_types", "mlp_layer_types")
LISTS: dict[str, list[Any]] = {
    "mlp_only_layers": [[0, 5]],
    "no_rope_layers": [[1, 1, 0] * 4 + [1]],
    "moe_layers": [[1, 4, 12]],
    "attn_layer_indices": [[2, 9]],
    "cross_attention_layers": [[1, 6]],
    "local_layer_ids": [[0, 3, 4]],
    "block_types": [["recurrent", "recurrent", "attention"], ["recurrent", "attention"]],
    "use_sliding_window": [True],
}


def variations(name: str) -> Iterator[dict[str, Any]]:
    """The defaults of a type, and its keys of rules changed, one and two at a time."""
    family = find_family(name)
    assert family is not None
    changes = []
    for key, rule in family.keys.items():
        if key in LISTS:
            changes += [{key: value} for value in LISTS[key]]
        elif COUNTS.search(key) and key != "index_topk_pattern" and rule.kind in ("count", "any"):
            changes += [{key: value} for value in (2, 3, 5) if value != rule.default]
    yield from ({}, {"num_hidden_layers": LAYERS - 1})
    plain = CONFIG_MAPPING[name](num_hidden_layers=LAYERS, **BASES.get(name, {}))
    for key in TYPES:
        if key in family.keys and getattr(plain, key, None):
            yield {key: getattr(plain, key)[::-1]}
    if "mlp_layer_types" in family.keys:
        yield {"mlp_layer_types": (["dense", "sparse", "sparse"] * LAYERS)[:LAYERS]}
    yield from changes
    for one in changes[::2]:
        for other in changes[1::2]:
            if one.keys() != other.keys():
                yield {**one, **other}


def built(config: Any) -> torch.nn.Module:
    """The model without a head, which is not among the automatic ones where it is a part."""
    kind = type(config)
    with torch.device("meta"):
        if kind in AutoModel._model_mapping:
            return AutoModel.from_config(config)
        return class_of(kind)(config)


def class_of(kind: Any) -> Any:
    """The class of a part, by its configuration."""
    module = importlib.import_module(kind.__module__.replace(".configuration_", ".modeling_"))
    found = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, PreTrainedModel)
        and each.config_class is kind and each.__name__.endswith("Model")
        and not each.__name__.endswith("PreTrainedModel")
    ]  # fmt: skip
    return found[0]


def layers_of(model: torch.nn.Module, count: int) -> list[torch.nn.Module]:
    """The first list of so many modules."""
    lists = (each for each in model.modules() if isinstance(each, torch.nn.ModuleList))
    return next(list(each) for each in lists if len(each) == count)


def met(layer: torch.nn.Module, word: str) -> str:
    """Which keys a layer's attention meets: what its module says, or else the configuration."""
    found = [vars(each) for each in layer.modules() if "sliding_window" in vars(each)]
    if "chunked" in word:
        return "chunk"
    if not found:
        return "window" if "sliding" in word else "all"
    said = found[0]
    slides = said.get("is_sliding", said["sliding_window"] is not None)
    return "window" if slides and said["sliding_window"] is not None else "all"


def described(name: str, keys: dict[str, Any]) -> list[tuple[int, str]]:
    """Parameters of each layer, and the keys that it meets."""
    config = CONFIG_MAPPING[name](**keys)
    model = built(config)
    count, counted = keys["num_hidden_layers"], name not in WORDS_ALONE
    words = getattr(config, "layer_types", None) or [""] * count
    return [
        (sum(each.numel() for each in layer.parameters()) * counted, met(layer, word))
        for layer, word in zip(layers_of(model, count), words, strict=True)
    ]


def rows_of(name: str) -> list[tuple[dict[str, Any], list[tuple[int, str]]]]:
    """Every configuration of a type that its class builds, with its layers."""
    found = []
    for change in variations(name):
        keys = {"num_hidden_layers": LAYERS, **BASES.get(name, {}), **change}
        try:
            layers = described(name, keys)
        except Exception as error:  # a class may refuse a change; most name the key
            print(f"{name} {change}: {str(error)[:100]!r}", file=sys.stderr)
            continue
        if all(layers != each for _, each in found):
            found.append((keys, layers))
    return found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--types", default="")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    rows = []
    for name in sorted({name for names in MODULES.values() for name in names.split()}):
        family = find_family(name)
        chosen = not args.types or name in args.types.split(",")
        known = name in CONFIG_MAPPING and name not in LEFT_OUT
        if not chosen or not known or family is None or family.reader != "decoder":
            continue
        for keys, layers in rows_of(name):
            kinds = sorted(set(layers), key=layers.index)
            if len(kinds) > 1:
                letters = "".join(chr(ord("a") + kinds.index(each)) for each in layers)
                rows.append([{"model_type": name, **keys}, letters, kinds])
    for row in rows if args.types else ():
        print(*row)
    if not args.types:
        text = json.dumps(rows, separators=(",", ":"), sort_keys=True)
        DATA.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(rows)} configurations of {len({row[0]['model_type'] for row in rows})} types")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
