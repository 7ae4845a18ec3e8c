"""What older decoders and encoders of GGUF say otherwise than by a key of the same meaning."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from thermoflop.model.config.gguf_metadata import Metadata

_KV, _HEADS, _INNER = "attention.head_count_kv", "attention.head_count", "feed_forward_length"


def _falcon(config: dict[str, Any], data: Metadata) -> None:
    """The new architecture groups heads, and has one norm or two."""
    grouped = data.count(_KV) > 1
    config.update(new_decoder_architecture=grouped, multi_query=True)
    if grouped and data.tensors:
        config["num_ln_in_parallel_attn"] = 2 if data.has("attn_norm_2.weight") else 1


def _starcoder(config: dict[str, Any], data: Metadata) -> None:
    config["multi_query"] = data.count(_KV, 1) == 1


def _mpt(config: dict[str, Any], data: Metadata) -> None:
    config["expansion_ratio"] = data.share(_INNER, "embedding_length")
    config["no_bias"] = not data.has("attn_qkv.bias")
    config["attn_config"] = {
        "qk_ln": data.has("attn_q_norm.weight"), "kv_n_heads": data.get(_KV),
    }  # fmt: skip


def _dbrx(config: dict[str, Any], data: Metadata) -> None:
    config["attn_config"] = {"kv_n_heads": data.count(_KV)}
    config["ffn_config"] = {
        "ffn_hidden_size": data.count(_INNER), "moe_num_experts": data.count("expert_count"),
        "moe_top_k": data.count("expert_used_count"),
    }  # fmt: skip


def _chatglm(config: dict[str, Any], data: Metadata) -> None:
    config["padded_vocab_size"] = config["vocab_size"]
    config["kv_channels"] = data.share("embedding_length", _HEADS)
    bias = data.has("attn_qkv.bias") or data.has("attn_q.bias")
    config.update(multi_query_attention=True, add_qkv_bias=bias)


def _stablelm(config: dict[str, Any], data: Metadata) -> None:
    config["use_parallel_residual"] = bool(data.get("use_parallel_residual"))


def _minicpm(config: dict[str, Any], _data: Metadata) -> None:
    config.pop("num_experts_per_tok", None)


def _qwen(config: dict[str, Any], data: Metadata) -> None:
    config["kv_channels"] = data.share("embedding_length", _HEADS)


def _encoder(config: dict[str, Any], data: Metadata) -> None:
    """Kinds of tokens and positions by their tables; the rest by what tensors there are."""
    kinds, rows = data.sides("token_types.weight"), data.sides("position_embd.weight")
    config["type_vocab_size"] = kinds[1] if len(kinds) == 2 else 0
    if len(rows) == 2:
        config["max_position_embeddings"] = rows[1]
    config["architectures"] = ["BertModel"]  # the class without a head


def _embedding(config: dict[str, Any], data: Metadata) -> None:
    """Attention to both sides, within a window of which half lies on each."""
    config["sliding_window"] = data.count("attention.sliding_window", 0)
    config["use_bidirectional_attention"] = True


def _nomic_bert(config: dict[str, Any], data: Metadata) -> None:
    """The mixture has biases and no gate."""
    _encoder(config, data)
    moe = data.name.endswith("moe")
    config["hidden_act"] = "gelu" if moe else "silu"
    for key, part in (
        ("qkv_proj_bias", "attn_qkv.bias"),
        ("mlp_fc1_bias", "ffn_up.bias"),
        ("mlp_fc2_bias", "ffn_down.bias"),
    ):
        config[key] = data.has(part)


def _jina_bert(config: dict[str, Any], data: Metadata) -> None:
    _encoder(config, data)
    gated = data.has("ffn_gate.weight")
    up = data.sides("blk.0.ffn_up.weight")
    gated = gated or (len(up) == 2 and up[1] == 2 * data.count(_INNER))
    config["feed_forward_type"] = "geglu" if gated else "original"
    config["position_embedding_type"] = "alibi"


def _t5(config: dict[str, Any], data: Metadata) -> None:
    """Gated where the encoder has a gate; the encoder alone is a class of its own."""
    config.update(
        d_kv=data.count("attention.key_length"), d_ff=data.count(_INNER),
        relative_attention_num_buckets=data.count("attention.relative_buckets_count", 32),
        num_decoder_layers=data.count("decoder_block_count", data.layers),
        feed_forward_proj="gated-gelu" if data.has("ffn_gate.weight") else "relu",
    )  # fmt: skip
    if data.name == "t5encoder":
        config["architectures"] = ["T5EncoderModel"]


OTHERS: dict[str, Callable[[dict[str, Any], Metadata], None]] = {
    "falcon": _falcon,
    "starcoder": _starcoder,
    "mpt": _mpt,
    "dbrx": _dbrx,
    "chatglm": _chatglm,
    "stablelm": _stablelm,
    "minicpm": _minicpm,
    "qwen": _qwen,
    "bert": _encoder,
    "modern-bert": _encoder,
    "jina-bert-v3": _encoder,
    "nomic-bert": _nomic_bert,
    "nomic-bert-moe": _nomic_bert,
    "jina-bert-v2": _jina_bert,
    "gemma-embedding": _embedding,
    "t5": _t5,
    "t5encoder": _t5,
}
