"""What published files call the matrices of a description, and which of their patterns match.

A list of modules in a quantized model's files is made of names (``lm_head``), parts of names
(``self_attn``, ``mlp.gate``), globs (``model.layers.3.self_attn*``) and regular expressions
(``re:.*mlp\\.(gate|up)_proj``). The names are those of each family's class; a matrix here has every
name that a class gives it, and matches where one of them does.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from itertools import product

# Modules of one expert: the first stands for all, and the others need no look.
OTHER_EXPERTS = r"experts\.[1-9]"
# Wrappers around the layers, which say nothing of which layer it is.
_WRAPPERS = re.compile(
    r"^(?:(?:language_model|model|backbone|transformer|text_model|decoder|thinker)\.)+(?=[^.])"
)
_ATTENTION = ("self_attn", "attn", "attention", "self_attention", "mixer")
_FEED = ("mlp", "ffn", "feed_forward", "block_sparse_moe", "moe", "mixer")
_SHARED = ("shared_expert", "shared_experts", "shared_mlp", "share_expert")
_PLACES = {
    "attn": _ATTENTION,
    "indexer": ("self_attn.indexer", "attn.indexer", "self_attn"),
    "linear_attn": ("linear_attn", *_ATTENTION),
    "forget_gate": _ATTENTION,
    "ssm": ("mamba", "mixer"),
    "short_conv": ("conv", "short_conv"),
    "mlp": (*_FEED, ""),
    "experts": tuple(f"{feed}.experts.0" for feed in _FEED),
    "shared_experts": tuple(f"{feed}.{shared}" for feed, shared in product(_FEED, _SHARED)),
    "router": tuple(f"{feed}.{name}" for feed, name in product(_FEED, ("gate", "router"))),
    "shared_expert_gate": tuple(f"{feed}.shared_expert_gate" for feed in _FEED),
}
_MATRICES = {
    "q_proj": "q_proj qkv_proj query_key_value c_attn query wq in_proj",
    "k_proj": "k_proj qkv_proj query_key_value c_attn key wk in_proj",
    "v_proj": "v_proj qkv_proj query_key_value c_attn value wv in_proj",
    "o_proj": "o_proj out_proj dense c_proj wo",
    "kv_a_proj": "kv_a_proj_with_mqa kv_a_proj",
    "in_proj_qkvz": "in_proj_qkvz in_proj_qkv in_proj_z",
    "in_proj_ba": "in_proj_ba in_proj_b in_proj_a",
    "index_q": "wq_b index_q_proj",
    "index_k": "wk index_k_proj",
    "index_weights": "weights_proj indexers_proj",
    "up": "up_proj gate_up_proj fc1 c_fc w3 dense_h_to_4h",
    "gate": "gate_proj gate_up_proj w1",
    "down": "down_proj fc2 c_proj w2 dense_4h_to_h",
    "lm_head": "lm_head head output embed_out",
    "embed_tokens": "embed_tokens embed wte word_embeddings",
}
# Names of maps that some classes make one of (their families' ``merged``), by those of the maps
# alone.
_MERGED = {
    "gate_up_proj": (_FEED, ("gate_proj", "up_proj")),
    "qkv_proj": (_ATTENTION, ("q_proj", "k_proj", "v_proj")),
}
_TOWERS = {
    "image": ("vision_tower", "visual", "vision_model", "vision_embed_tokens"),
    "audio": ("audio_tower", "audio_encoder", "audio_model"),
    "encoder": ("encoder",),
    "mtp": ("mtp",),
}


@lru_cache(maxsize=4096)
def names_of(role: str, group: str, matrix: str, inside: bool) -> tuple[str, ...]:
    """The names of a matrix in a stack of a role; ``#`` stands for the layer it is inside of."""
    short = matrix.rsplit(" ", 1)[-1].removesuffix("_proj")
    known = _MATRICES.get(matrix) or _MATRICES.get(short) or matrix.replace(" ", "_")
    matrices = known.split()
    towers = [f"{tower}." for tower in _TOWERS.get(role, ())] or [""]
    if not inside:
        return tuple(f"{tower}{name}" for tower in towers for name in matrices)
    places = _PLACES.get(group, (group,))
    # a router and a shared expert's gate are themselves a matrix
    ends = [""] if group in ("router", "shared_expert_gate") else [f".{name}" for name in matrices]
    return tuple(
        f"{tower}layers.#.{place}{end}".replace("..", ".")
        for tower, place, end in product(towers, places, ends)
    )


def matches(
    patterns: tuple[str, ...],
    names: tuple[str, ...],
    layer: int | None,
    merged: tuple[str, ...] = (),
) -> bool:
    """Whether a list of modules means one of these names, ``#`` in them being the layer.

    ``merged``: the maps that the model's class makes as one, so that a pattern which is in their
    name (``*up_proj*`` in gate_up_proj) means all of them."""
    if not patterns:
        return False
    by_layer, others, numbered = _compiled(patterns, merged)
    if layer in by_layer and _any_match(by_layer[layer], names):
        return True
    if numbered:
        names = tuple(name.replace("#", str(layer)) for name in names)
    return others is not None and _any_match(others, names)


@lru_cache(maxsize=4096)
def _any_match(expression: re.Pattern[str], names: tuple[str, ...]) -> bool:
    return any(expression.match(name) for name in names)


@lru_cache(maxsize=64)
def _compiled(
    patterns: tuple[str, ...], merged: tuple[str, ...]
) -> tuple[dict[int | None, re.Pattern[str]], re.Pattern[str] | None, bool]:
    """The patterns for one layer, by its number; all others; whether those have a number."""
    by_layer: dict[int, list[str]] = {}
    others: list[str] = []
    for pattern in patterns:
        if re.search(OTHER_EXPERTS, pattern):
            continue
        for glob in _globs(pattern):
            bare = _WRAPPERS.sub("", glob)
            one = re.match(r"layers\.(\d{1,6})(?=\.|$)|layers\.(0)(?=\*$)", bare)
            if one is None:  # layers.1* is layer 1 and 10 to 19; layers.0* is one layer
                others.append(bare)
            else:
                by_layer.setdefault(int(one[1] or 0), []).append(f"layers.#{bare[one.end() :]}")
    joined: dict[int | None, re.Pattern[str]] = {
        number: _joined(tuple(globs), merged) for number, globs in by_layer.items()
    }
    numbered = any(character.isdigit() for glob in others for character in glob)
    return joined, _joined(tuple(others), merged) if others else None, numbered


@lru_cache(maxsize=256)
def _joined(globs: tuple[str, ...], merged: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for globs, each of which means a module, what is in it, and a name's end."""
    choices = []
    for glob in dict.fromkeys(globs):
        body = translate(glob).removeprefix("(?s:").removesuffix(r")\Z").removesuffix(r")\z")
        start = "" if glob.startswith("layers.") else r"(?:.*\.)?"
        choice = rf"{start}{body}(?:\..*)?"
        choices.append(f"{_not_merged(choice, merged)}{choice}" if "*" in glob else choice)
    return re.compile(rf"(?s:{'|'.join(choices)})\Z")


def _not_merged(choice: str, made: tuple[str, ...]) -> str:
    """Nothing; of a pattern that means some maps alone and not others (``*up_proj``), that it is
    not the name of all of them together, which ends in the same letters, but where the class made
    one of them."""
    expression = re.compile(rf"(?s:{choice})\Z")
    wrong = []
    for merged, (places, alone) in _MERGED.items():
        found = {
            name: any(expression.match(f"layers.#.{place}.{name}") for place in places)
            for name in (merged, *alone)
        }
        if merged not in made and found[merged] and len({found[name] for name in alone}) > 1:
            wrong.append(merged)
    return rf"(?!(?:.*\.)?(?:{'|'.join(wrong)})(?:\.|\Z))" if wrong else ""


def is_understood(pattern: str) -> bool:
    """Whether a name or pattern is one that can be matched here."""
    return bool(re.search(OTHER_EXPERTS, pattern) or len(pattern) > 1000 or _globs(pattern))


def _globs(pattern: str) -> list[str]:
    """A name or glob as it is; of a regular expression, the globs that say the same.

    Expressions from a file are not run as they are: one can be written to run for years. What is
    not any text, a dot, a number or a choice of words, matches nothing.
    """
    pattern = pattern.removesuffix(".weight")
    text = pattern.removeprefix("re:")
    if text == pattern and not re.search(r"[\\(|$^]", pattern):
        return [pattern]
    if "(?" in text.replace("(?:", ""):  # what looks ahead or behind
        return []
    text = text.removeprefix("^").removesuffix("$").replace(r"\.", "\0")
    text = re.sub(r"\.[*+]\??|\\d[*+]?|\[0-9\][*+]?", "*", text)
    pieces = [piece.split("|") for piece in re.split(r"\((?:\?:)?([^()]*)\)", text)]
    if any(len(piece) > 1 for piece in pieces[::2]) or len(pieces) > 9:
        return (
            [glob for choice in text.split("|") for glob in _globs(f"re:{choice}")][:100]
            if ("(" not in text)
            else []
        )
    globs = ["".join(parts).replace("\0", ".") for parts in product(*pieces)][:100]
    return [glob for glob in globs if not re.search(r"[\\(){}+^$]", glob)]
