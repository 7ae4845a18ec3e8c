"""The classes of transformers, built without weights on torch's meta device.

Everything in this folder needs torch and transformers in a venv of its own; see CONTRIBUTING.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

import torch
import transformers
import transformers.models.bart.modeling_bart  # what all models share, before processes fork
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

MAPPINGS = {
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "image-text": "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "seq2seq": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "masked": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "text-encoding": "MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES",
    "speech": "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "ctc": "MODEL_FOR_CTC_MAPPING_NAMES",
    "image": "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
}
LAYER_KEYS = re.compile(r"(^|_)(n_layers?|layers|num_blocks|depth|num_.*layers)$")
# They change no shape, or turn one kind of model into another that the mapping does not mean.
NOT_VARIED = re.compile(
    r"_token_ids?$|_token_index$|^(bos|eos|pad|sep|unk|cls|mask)_|^output_|^return_|^is_encoder_dec|"
    r"^chunk_size_feed|^id2label|^label2id|^num_labels|^transformers_version|^problem_type|^torch|"
    r"^use_cache$|^quantization|^gradient|^architectures$|^model_type$|^is_decoder$"
)


def types_of(mapping: str) -> dict[str, str]:
    """The types of a mapping, each with the name of its (first) class."""
    named = getattr(modeling_auto, MAPPINGS[mapping])
    return {key: value if isinstance(value, str) else value[0] for key, value in named.items()}


def make_config(model_type: str, class_name: str, **keys: Any) -> Any:
    """The configuration of a type: its class's defaults, but for ``keys``.

    A class of the text model alone takes its part of a configuration with more, as the auto
    classes do.
    """
    kind = CONFIG_MAPPING[model_type]
    expected = getattr(getattr(transformers, class_name), "config_class", None)
    if expected in (getattr(kind, "sub_configs", None) or {}).values():
        kind = expected
    return kind(**keys)


def build(class_name: str, config: Any) -> torch.nn.Module:
    """A model of a class on the meta device, its weights tied."""
    with torch.device("meta"):
        return getattr(transformers, class_name)(config).eval()


def runs(model: torch.nn.Module) -> bool:
    """Whether a model takes a step of text: a class may build what it cannot multiply."""
    tokens = torch.zeros((1, 4), dtype=torch.long, device="meta")
    others = {"decoder_input_ids": tokens} if model.config.is_encoder_decoder else {}
    try:
        with torch.no_grad():
            model(input_ids=tokens, **others)
    except Exception:
        return False
    return True


def parameters_of(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Every parameter by name; a tied one once, under its first name."""
    return dict(model.named_parameters(remove_duplicate=True))


def folded(model: torch.nn.Module) -> list[str]:
    """Every parameter's shape in a line, those of equal layers in one."""
    counts: dict[tuple[str, tuple[int, ...]], int] = {}
    for name, each in parameters_of(model).items():
        key = (re.sub(r"\.\d+(?=\.|$)", ".*", name), tuple(each.shape))
        counts[key] = counts.get(key, 0) + 1
    return [f"{times:>5} x {name} {list(shape)}" for (name, shape), times in counts.items()]


def as_published(config: Any, class_name: str, whole: bool) -> dict[str, Any]:
    """config.json as transformers writes it: what differs from the defaults, or all keys."""
    keys: dict[str, Any] = json.loads(config.to_json_string(use_diff=not whole))
    return {**keys, "architectures": [class_name]}


def variation(config: Any, rng: random.Random) -> dict[str, Any]:
    """Keys to make another configuration with: few layers, and some sizes and flags changed."""
    return _varied(config.to_dict(), rng)


def _varied(keys: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    candidates = []
    for key, value in keys.items():
        if NOT_VARIED.search(key):
            continue
        if isinstance(value, dict) and value.get("model_type"):
            inner = _varied(value, rng)
            if inner:
                changed[key] = {"model_type": value["model_type"], **inner}
        elif type(value) is int and value > 1 and LAYER_KEYS.search(key):
            changed[key] = rng.randint(1, min(value, 5))
        elif type(value) in (int, bool) and value is not None:
            candidates.append(key)
    for key in rng.sample(candidates, min(len(candidates), rng.randint(0, 4))):
        changed[key] = _another(keys[key], rng)
    return changed


def _another(value: bool | int, rng: random.Random) -> bool | int:
    if isinstance(value, bool):
        return not value
    return rng.choice([value * 2, max(1, value // 2), value + 1, max(1, value - 1), value * 3])
