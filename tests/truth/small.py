"""Small decoders, built and run on the processor: tests/data/small_decoders.json.gz measured.

    python tests/truth/small.py                      # every record again; prints what differs
    python tests/truth/small.py --types doge,laguna  # those of these types
    python tests/truth/small.py --add my.json        # a list of configurations, measured and added

Parameters are those of the causal class; FLOPs those that torch's FlopCounterMode sees, without
rotary tables: of a prompt of 2 sequences of 9 tokens, and of the token after it, where the class
keeps a cache. A record without FLOPs stays so: its class scans in a loop of its own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

DATA = Path(__file__).resolve().parents[1] / "data" / "small_decoders.json.gz"


def flops_of(model: Any, **inputs: Any) -> tuple[int, Any]:
    """FLOPs of one call, rotary tables left out, and what it returned."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        result = model(return_dict=True, **inputs)
    by_module = counter.get_flop_counts()
    rotary = sum(
        sum(counts.values())
        for name, counts in by_module.items()
        if name.rsplit(".", 1)[-1].startswith("rotary_")
    )
    return counter.get_total_flops() - rotary, result


def measure(config: dict[str, Any], like: dict[str, Any] | None = None) -> dict[str, Any]:
    """The record of a configuration, with the steps that the one before it has (None: all)."""
    made = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
    model = AutoModelForCausalLM.from_config(made, attn_implementation="eager").eval()
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    record = {
        "config": config,
        "params": sum(each.numel() for each in model.parameters()),
        "class": type(model).__name__,
    }
    if like is not None and "prefill" not in like:
        return record
    caches = like is None or "decode" in like
    tokens = torch.randint(0, made.vocab_size - 2, (2, 9))
    record["prefill"], result = flops_of(model, input_ids=tokens, use_cache=caches)
    kept = next((name for name in ("cache", "past_key_values") if getattr(result, name, None)), "")
    if caches and kept:
        past = {kept: getattr(result, kept)}
        record["decode"], _ = flops_of(model, input_ids=tokens[:, :1], use_cache=True, **past)
    return record


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--types", default="", help="these alone")
    parser.add_argument("--add", help="a JSON file with a list of configurations")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    records = json.loads(gzip.decompress(DATA.read_bytes()))
    if args.add:
        records += [measure(config) for config in json.loads(Path(args.add).read_text())]
        text = json.dumps(records, separators=(",", ":"))
        DATA.write_bytes(gzip.compress(text.encode(), mtime=0))
        return 0
    only, differing = set(args.types.split(",")) - {""}, 0
    for record in records:
        if only and record["config"]["model_type"] not in only:
            continue
        again = measure(record["config"], record)
        if again != record:
            differing += 1
            print(f"{record['config']}: recorded {record}, measured {again}")
    print(f"{len(records)} records, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
