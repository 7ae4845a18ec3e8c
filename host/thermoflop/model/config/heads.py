"""The heads of decoders: which one the class in the file has, and its shape."""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Linear, lm_head
from thermoflop.model.config.architectures import built, class_name, label_count
from thermoflop.model.config.keys import Config, Traits, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The heads of decoders; a reward model is Qwen2's alone (modeling_qwen2_rm.py beside its weights).
KINDS = ("causal", "generation", "sequence", "token", "question", "bare")
# those of one family alone: Voyage 4's and jina-reranker-v3's code builds on Qwen 3
_OWN_KINDS = {"qwen2": ("reward",), "imagegpt": ("image",), "qwen3": ("ranking", "embedding")}


def head_of(config: Config, traits: Traits, vocab: int, width: int) -> dict[str, Any]:
    """The head that the file's ``architectures`` asks for, as fields of a Description."""
    kind = head_kind(config)
    if kind == "bare":
        return {}
    if kind in ("causal", "generation"):
        return {"head": lm_head(width, vocab, traits["tied"], traits["head_bias"])}
    if kind in ("ranking", "embedding"):
        return {"head": _vectors(config, kind, width)}
    if kind == "reward":
        labels = 2 if class_name(config, "").endswith("ForProcessRewardModel") else 1
    else:
        labels = 2 if kind == "question" else label_count(config)
    plain = kind == "token" and config.raw.get("token_classification_bias") is False
    biased = kind not in ("sequence", "image") and not plain
    role = "classifier"
    return {"head": Linear("score", role, role, width, labels, biased, unquantized=True)}


def _vectors(config: Config, kind: str, width: int) -> Linear:
    """The map to the vector of a token: num_labels wide, or from half of the state to
    ``embedding_size`` (voyage.py and jina.py of vLLM)."""
    size = config.raw.get("num_labels" if kind == "embedding" else "embedding_size")
    if not is_count(size):
        raise InputError(f"{class_name(config, '')} needs the size of its vectors")
    inputs = width if kind == "embedding" else width // 2
    return Linear("vectors", "projection", "projection", inputs, size, unquantized=True)


def head_kind(config: Config) -> str:
    """The kind of head of a decoder, from the class in the file."""
    traits = config.family.traits
    if class_name(config, "") in traits.get("whole", ()):
        return "causal"  # its name does not say so
    own = _OWN_KINDS.get(config.family.name, ())
    return built(config, traits.get("class", "ForCausalLM"), KINDS + own)
