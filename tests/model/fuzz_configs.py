"""Mutate configurations and watch what the estimator does with them.

    python tests/model/fuzz_configs.py --n 200000

Every mutant has to be counted or refused in one sentence: no traceback, no hang, and no silent
wrong answer. A mutant whose count-relevant key has another valid value must give another answer
or be refused, unless the configuration itself says that the key is without effect (``WITHOUT``).
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "host"))

from thermoflop.errors import ThermoflopError
from thermoflop.model.config import catalogue
from thermoflop.model.config.families import find_family
from thermoflop.model.config.ignored_keys import changes_nothing
from thermoflop.model.load import read_model

SLOWEST_S = 5.0
PROBE = 6000  # the longest cache that an answer is taken at
DATA = Path(__file__).resolve().parents[1] / "data"
NONSENSE: list[Any] = [
    -1, 0, 1, 2, 3, 7, 10**6, 10**13, 10**400, -(10**30), 1.5, 768.0, float("nan"), float("inf"),
    True, False, None, "", "768", "gelu", "relu", [], [1], ["full_attention"], {}, {"a": 1},
    [[["global", "local"], 12]], [0, 1], "M-*E", "auto", b"x", object,
]  # fmt: skip
# Keys as published that change no count, whatever stands beside them.
HARMLESS: dict[str, Any] = {
    "_num_labels": 3,
    "gguf": {"quantization": "Q4_K_M"},
    "internal_version": 2,
    "is_llama_config": True,
    "mamba_ssm_cache_dtype": "float32",
    "max_model_len": 196608,
    "matryoshka_dimensions": [64, 128],
    "moe_shared_expert_overlap": True,
    "neuron": {"auto_cast": None, "batch_size": 4, "num_cores": 2},
    "onnx": {"opset": 17},
    "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": 5},
    "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}},
    "unsloth_fixed": True,
    "use_flash_attention_2": True,
    "use_associative_scan": True,
}
NEW_KEYS = ["num_widgets", "extra_layers", "use_magic", "moe_depth", "note", "conv_width", "x"]

HOW = ["drop", "nonsense", "nonsense", "grow", "grow", "add", "rename", "nested", "harmless"]


def _has(config: dict[str, Any], key: str) -> bool:
    return bool(config.get(key))


def _half(config: dict[str, Any]) -> bool:
    """Whether the class is half of an encoder-decoder."""
    return any(
        name.endswith(("ForCausalLM", "Decoder", "EncoderModel"))
        for name in config.get("architectures") or ()
    )


def _no_window(config: dict[str, Any]) -> bool:
    return not _has(config, "sliding_window") or not config.get("use_sliding_window", True)


def _dense_only(config: dict[str, Any]) -> bool:
    layers = config.get("num_hidden_layers", 10**9)
    return (
        config.get("first_k_dense_replace", 0) >= layers
        or config.get("decoder_sparse_step", 1) > layers
        or len(set(config.get("mlp_only_layers") or ())) >= layers
        or config.get("num_experts") in (0, 1)
        or config.get("moe_layers") == []
        or config.get("interleave_moe_layer_step", 1) > layers
        or config.get("expert_layer_offset", 0) >= layers
        or isinstance(config.get("moe_layer_freq"), list)  # one word a layer
        or config.get("moe_layer_freq", 1) > layers
    )


_MOE = [
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "shared_expert_intermediate_size",
    "n_shared_experts",
    "decoder_sparse_step",
    "mlp_only_layers",
    "moe_layer_freq",
    "moe_layers",
    "interleave_moe_layer_step",
    "expert_layer_period",
    "expert_layer_offset",
    "moe_shared_expert_intermediate_size",
    "first_k_dense_replace",
]
# Keys that the configuration itself makes void, and when; `...` stands for always.
WITHOUT: dict[str, Any] = {
    # no layer slides, or the window is longer than what the probes reach
    "sliding_window": lambda config: (
        _no_window(config)
        or config["sliding_window"] > PROBE
        or config.get("sliding_window_size") is not None  # MiMo's, which wins
        or "sliding_attention" not in config.get("layer_types", ["sliding_attention"])
        or config.get("max_window_layers", 0) >= config.get("num_hidden_layers", 24)
        or "no_rope_layer_interval" in config
        or config.get("num_hidden_layers", 24) <= 1
    ),
    "use_sliding_window": lambda config: True,  # there may be no window, or no sliding layer
    "max_window_layers": lambda config: (
        _no_window(config)
        or config["sliding_window"] > PROBE
        or config["max_window_layers"] >= config.get("num_hidden_layers", 24)
        or "layer_types" in config
    ),
    "layer_types": lambda config: _no_window(config) or config.get("attention_chunk_size") is None,
    "sliding_window_pattern": lambda config: True,
    "attention_types": lambda config: True,
    "window_size": lambda config: True,
    "no_rope_layers": lambda config: True,
    "no_rope_layer_interval": lambda config: True,
    "attention_chunk_size": lambda config: True,
    # every dense layer is gone, or every layer is dense
    "intermediate_size": lambda config: (
        any(_has(config, key) for key in _MOE)
        or "hybrid_override_pattern" in config
        or "num_experts_per_tok" in config
        or "block_ff_dim" in config  # of LFM2, which wins
        or config.get("num_local_experts") == 0  # Granite hybrids: it is an expert's
    ),
    "intermediate_size_mlp": lambda config: True,
    "audio_soft_tokens_per_image": lambda config: True,  # the probes hear nothing
    "mlp_bias": lambda config: (
        any(_has(config, key) for key in _MOE) or "hybrid_override_pattern" in config
    ),
    "num_key_value_heads": lambda config: config.get("model_type") in ("jamba", "nemotron_h"),
    # the class of Falcon's old architecture has no groups
    "num_kv_heads": lambda config: not config.get("new_decoder_architecture"),
    "multi_query": lambda config: (
        bool(config.get("new_decoder_architecture"))
        or config.get("num_attention_heads") == 1
        or config.get("n_head") == 1
    ),
    "num_ln_in_parallel_attn": lambda config: True,
    "new_decoder_architecture": lambda config: True,
    "parallel_attn": lambda config: True,
    "no_bias": lambda config: True,  # the class of MPT has no biases at all
    "attn_config": lambda config: True,
    "word_embed_proj_dim": lambda config: True,
    "do_layer_norm_before": lambda config: bool(config.get("_remove_final_layer_norm")),
    "_remove_final_layer_norm": lambda config: not config.get("do_layer_norm_before", True),
    "num_hidden_layers": lambda config: "hybrid_override_pattern" in config,
    "n_groups": lambda config: config.get("hybrid_override_pattern", "")[:1] == "-",
    "expand": lambda config: (
        config.get("model_type") == "nemotron_h"
        or config.get("intermediate_size") is not None  # which wins
    ),
    "moe_layer_end_index": lambda config: (
        config["moe_layer_end_index"] >= config.get("num_hidden_layers", 28) - 1
    ),
    "mamba_expand": lambda config: config.get("mamba_d_ssm") is not None,  # which wins
    "time_step_rank": lambda config: True,
    # a list of layers may say already which of them choose keys, or go on beyond the last
    "compress_ratios": lambda config: True,
    "index_skip_topk_offset": lambda config: True,
    "index_topk_freq": lambda config: True,
    "indexer_types": lambda config: True,
    "attn_res_block_size": lambda config: True,  # it counts by being there
    "mamba_dt_rank": lambda config: True,
    "n_positions": lambda config: config.get("model_type") in ("gptj", "codegen"),
    "encoder_layers": lambda config: (
        "num_hidden_layers" in config  # which wins, in the class
        or _half(config)
    ),
    "encoder_ffn_dim": lambda config: _half(config),
    "num_mel_bins": lambda config: _half(config),
    # absent and below 1 are the same; lists of one value a layer may be longer than the layers
    "max_relative_positions": lambda config: config["max_relative_positions"] < 1,
    "hybrid_layer_pattern": lambda config: True,
    "moe_topk": lambda config: isinstance(config["moe_topk"], list),
    "decoder_vocab_size": lambda config: config.get("share_encoder_decoder_embeddings", True),
    "num_decoder_layers": lambda config: _half(config),
    "encoder_attention_heads": lambda config: True,  # half a model, or as wide as before
    "decoder_attention_heads": lambda config: True,
    # tables of sines are no parameters, and neither are rotations
    "max_position_embeddings": lambda config: (
        config.get("model_type") in ("m2m_100", "marian", "modernbert", "pegasus")
        or config.get("position_embedding_type") == "rotary"
        or config.get("position_buckets", 0) > 0
    ),
    "pooler_output_size": lambda config: True,
    "projection_dim": lambda config: config.get("model_type") == "clip_text_model",
    "vision_feature_layer": lambda config: True,  # one layer or another: all of them run
    # the class never ties, or always
    "tie_word_embeddings": lambda config: (
        config.get("model_type") in ("nemotron_h", "mt5", "umt5", "longt5")
        or "text_config" in config  # which may tie by itself
        or any(
            not str(name).endswith(
                ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "MaskedLM")
            )
            for name in config.get("architectures") or ()
        )
    ),
}
for _key in _MOE:
    _before = WITHOUT.get(_key)
    WITHOUT[_key] = lambda config: (
        True if "hybrid_override_pattern" in config else _dense_only(config)
    )
for _key in ("decoder_sparse_step", "mlp_only_layers", "moe_layers", "moe_layer_freq"):
    WITHOUT[_key] = lambda config: True
for _key in ("expert_layer_period", "expert_layer_offset", "interleave_moe_layer_step"):
    WITHOUT[_key] = lambda config: True
for _key in ("attn_layer_period", "attn_layer_offset", "first_k_dense_replace"):
    WITHOUT[_key] = lambda config: True
# PhiMoE's class routes to two experts whatever its configuration says
_TOP_K = WITHOUT["num_experts_per_tok"]
WITHOUT["num_experts_per_tok"] = lambda config: (
    config.get("model_type") == "phimoe" or _TOP_K(config)
)
# of MobileBERT: whether there is a pooler, which the class that fills in words has not
WITHOUT["classifier_activation"] = lambda config: (
    config.get("architectures", ["MobileBertForMaskedLM"]) == ["MobileBertForMaskedLM"]
)


def seeds() -> list[dict[str, Any]]:
    """The configurations to start from: records and catalogue."""
    found = []
    for name in ("fuzz.json.gz", "published_2026.json.gz"):
        with gzip.open(DATA / name, "rt") as file:
            found += [entry["config"] for entry in json.load(file)]
    for name in catalogue.names():
        entry = catalogue.entry(name)
        assert entry is not None
        found.append(entry["config"])
    return found


def answer(config: dict[str, Any]) -> tuple[Any, ...]:
    """Everything that is counted, in short."""
    model = read_model(config)
    if model.is_encoder:
        # windows of what sees both sides, which no step of one token shows
        tables = [model.operators(2, 7), model.operators(1, PROBE, attention="windowed")]
    elif model.description.stack("image") is not None:
        tables = [model.operators(1, 7, images=1), model.decode(30)]
    else:
        source = 5 if model.is_encoder_decoder else 0
        tables = [
            model.operators(2, 7, 0, source),
            model.operators(1, 1, 30, source, encode=False),
            model.operators(1, 1, PROBE, source, encode=False),
        ]
    work = [
        (table.by_group(), table.elementwise_flops, table.read_bytes, table.write_bytes)
        for table in tables
    ]
    return (model.params_by_group, model.active_params, work, model.kv_bytes(9), model.bias_params)


def mutate(config: dict[str, Any], rng: random.Random) -> tuple[dict[str, Any], str, str]:
    """A mutant, how it was made, and the key that was touched."""
    mutant = copy.deepcopy(config)
    key = rng.choice(list(mutant))
    how = rng.choice(HOW)
    if rng.random() < 0.3 or how == "harmless":
        mutant.update(rng.sample(list(HARMLESS.items()), rng.randint(1, 4)))
    if how == "drop":
        del mutant[key]
    elif how == "nonsense":
        mutant[key] = rng.choice(NONSENSE)
    elif how == "grow":
        mutant[key] = grown(mutant[key], rng)
    elif how == "add":
        key = rng.choice(NEW_KEYS)
        mutant[key] = rng.choice(NONSENSE)
    elif how == "rename":
        mutant[key[:-1] if rng.random() < 0.5 else f"{key}_x"] = mutant.pop(key)
    elif how == "nested":
        inner = [name for name, value in mutant.items() if isinstance(value, dict) and value]
        if inner:
            key = rng.choice(inner)
            name = rng.choice(list(mutant[key]))
            mutant[key][name] = rng.choice([*NONSENSE, grown(mutant[key][name], rng)])
    return mutant, how, key


def grown(value: Any, rng: random.Random) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([value + 1, value * 2, value * 3, max(1, value // 2)])
    if isinstance(value, list):
        return value[:-1] if rng.random() < 0.5 else [*value, *value[:1]]
    return value


def count_relevant(config: dict[str, Any], key: str) -> bool:
    """Whether a key of the family decides a count, in this configuration."""
    family = find_family(str(config.get("model_type")))
    if family is None:
        return False
    name = family.aliases.get(key, family.overriding.get(key, key))
    if name not in family.keys:
        return not (key in family.ignored or changes_nothing(key, config.get(key)))
    excuse = WITHOUT.get(name)
    return excuse is None or not excuse(config)


def meaning(config: dict[str, Any], key: str) -> object:
    """What a value says: a layer named twice is that layer; of LFM2's width (Lfm2MLP) two thirds
    are taken, rounded up to whole multiples."""
    value = config[key]
    if key in ("attn_layer_indices", "full_attn_idxs"):
        return frozenset(value)
    if key in ("block_ff_dim", "block_multiple_of"):
        width, unit = config.get("block_ff_dim", 12288), config.get("block_multiple_of", 256)
        kept = int(2 * width / 3) if config.get("block_auto_adjust_ff_dim", True) else width
        return unit * -(-kept // unit)
    return value


def check(original: dict[str, Any], before: Any, rng: random.Random) -> str | None:
    """None, or what is wrong with one mutant of a configuration."""
    mutant, how, key = mutate(original, rng)
    started = time.perf_counter()
    try:
        after = answer(mutant)
    except ThermoflopError as error:
        text = str(error)
        if how == "harmless":
            return f"harmless keys refused: {text[:200]!r}"
        if "\n" in text or len(text) > 400:
            return f"{how} {key}: the refusal is no sentence: {text[:200]!r}"
        return None
    except Exception as error:
        return f"{how} {key}={mutant.get(key)!r:.60}: {type(error).__name__}: {error}"
    if how == "harmless" and after != before:
        return "a harmless key changed a count"
    if time.perf_counter() - started > SLOWEST_S:
        return f"{how} {key}: took more than {SLOWEST_S} s"
    same_type = type(mutant.get(key)) is type(original.get(key))
    changed = key in mutant and mutant[key] != original.get(key) and same_type
    valid = changed and how in ("grow", "nonsense") and not isinstance(mutant[key], str | dict)
    if key == "image_size" and valid:  # what is left of an image beside whole patches is unused
        patch = original["patch_size"]
        valid = mutant[key] // patch != original[key] // patch
    valid = valid and meaning(mutant, key) != meaning(original, key)
    if valid and count_relevant(original, key) and count_relevant(mutant, key) and after == before:
        return f"{how} {key}: {original[key]!r:.60} -> {mutant[key]!r:.60} changed nothing"
    return None


def run(count: int, seed: int) -> list[str]:
    """Try ``count`` mutants; what was wrong, with the family."""
    rng = random.Random(seed)
    starts = []
    for config in seeds():
        try:
            starts.append((config, answer(config)))
        except ThermoflopError:  # a record that cannot be read yet
            continue
    wrong = []
    for _ in range(count):
        config, before = rng.choice(starts)
        found = check(config, before, rng)
        if found is not None:
            wrong.append(f"{config['model_type']}: {found}")
    return wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200_000, help="mutants")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.perf_counter()
    wrong = run(args.n, args.seed)
    for text in sorted(set(wrong))[:100]:
        print(text)
    print(f"{args.n} mutants in {time.perf_counter() - started:.0f} s, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
