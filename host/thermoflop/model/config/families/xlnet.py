"""XLNet: attention to content and to relative positions, both ways (Yang et al. 2019).

Defaults and structure are those of the class of transformers 5.24. It is counted without the
memory of segments before, and without a second stream, as it runs on a text.
"""

from __future__ import annotations

from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.mixers import Relative
from thermoflop.model.architecture.parts import Part, Vector
from thermoflop.model.config.family import called, family, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config


def _relative(config: Config) -> Relative:
    """Queries meet projected positions from the last token to the first, and back."""
    hidden, width = config["d_model"], config["d_head"]
    if width is not None and width * config["n_head"] != hidden:
        raise InputError(f"d_head = {width} is not d_model / n_head, which xlnet has always")
    if config["attn_type"] != "bi":
        raise UnknownModel("attn_type is not bi: xlnet in one direction is not described")
    return Relative(hidden, hidden, None, keys=True, queries=False, key_bias=False)


def _biases(config: Config, heads: int, _kv_heads: int, dim: int) -> tuple[Part, ...]:
    """Three biases of queries, and two kinds of segments."""
    del config
    return (Vector("r_w, r_r, r_s bias, seg_embed", "attn", 5 * heads * dim),)


family(
    "xlnet",
    reader="encoder",
    keys={
        "vocab_size": 32000,
        "d_model": 1024,
        "n_layer": 24,
        "n_head": 16,
        "d_head": None,
        "d_inner": 4096,
        "ff_activation": "gelu",
        "attn_type": "bi",
        "tie_word_embeddings": True,
    },
    traits={
        "inner": use("d_inner"),
        "activation": use("ff_activation"),
        "q_bias": False,
        "o_bias": False,
        "embed_norm": False,
        "transform": False,
        "relative": _relative,
        "attention_extras": _biases,
        "extras": lambda config: (Placed(Vector("mask_emb", "other", config["d_model"]), "none"),),
        "class": "LMHeadModel",
        "classes": ("causal", "bare"),
        "pooler": (),
    },
    aliases={**called(hidden="d_model", heads="n_head", layers="n_layer"), "n_token": "vocab_size"},
    ignored=spaced(
        "bi_data clamp_len end_n_top mem_len reuse_len same_length start_n_top untie_r"
        " use_mems_eval use_mems_train"
    ),
)
