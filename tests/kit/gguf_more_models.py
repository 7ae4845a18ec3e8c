"""Further layouts of GGUF files: of models that the catalogue has not, as their class is by itself
(``=olmo``) with what ``config`` says besides, and of architectures that the library has not."""

from __future__ import annotations

from typing import Any

from kit import gguf_models

_FIRST = gguf_models._FIRST
TIED = gguf_models.TIED
NORMED = "output_norm h; output_norm.bias h"
SIZES = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4}  # fmt: skip
LAYOUTS: dict[str, dict[str, Any]] = {
    **gguf_models.LAYOUTS,
    "OLMO =olmo": {"outside": "token_embd V,h; output V,h", "all": "$attn; $ffn"},
    "ARCEE =arcee": {"all": "$norms; $attn; ffn_up f,h; ffn_down h,f"},
    "XVERSE =xverse": {"config": SIZES, "all": "$norms; $attn; $ffn"},
    "ORION =orion": {
        "config": SIZES,
        "outside": f"token_embd V,h; output V,h; {NORMED}", "all": "$both; $attn; $ffn",
    },
    "JAIS2 =jais2": {
        "config": {"attention_bias": True},
        "outside": f"token_embd V,h; output V,h; {NORMED}",
        "all": "$both; $plain; $attn; attn_q.bias q; attn_k.bias k; attn_v.bias k;"
        " attn_output.bias h",
    },
    "AFMOE =afmoe": {
        "let": "s=2*m", "kinds": "['dense'] + ['sparse'] * (L - 1)",
        "keys": "expert_count=e expert_used_count=6 expert_feed_forward_length=m"
        " expert_shared_count=2 leading_dense_block_count=1 attention.sliding_window=1024",
        "all": "$norms; $attn; $qk; attn_gate q,h; post_attention_norm h; post_ffw_norm h",
        "dense": "$ffn", "sparse": "$exps; $shexp; exp_probs_b.bias e",
    },
    "DOTS1 =dots1": {
        "config": {"n_routed_experts": 8, "n_shared_experts": 2, "num_experts_per_tok": 2,
                   "first_k_dense_replace": 1, "sliding_window": None},
        "let": "s=2*m", "kinds": _FIRST, "keys": "$routed expert_shared_count=2",
        "all": "$norms; $attn; $qk", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
    },
    "DEEPSEEK =deepseek": {
        "config": {"n_routed_experts": 8, "n_shared_experts": 2, "num_experts_per_tok": 2,
                   "first_k_dense_replace": 1},
        "let": "s=2*m", "kinds": _FIRST, "keys": "$routed expert_shared_count=2",
        "all": "$norms; $attn", "dense": "$ffn", "sparse": "$exps; $shexp",
    },
    "EXAONE_MOE =exaone_moe": {
        "let": "s=m", "kinds": "['dense'] + ['sparse'] * (L - 1)",
        "keys": "expert_count=e expert_used_count=8 expert_feed_forward_length=m"
        " expert_shared_count=1 leading_dense_block_count=1 attention.sliding_window=4096"
        " attention.sliding_window_pattern=[(i + 1) % 4 != 0 for i in range(L)]",
        "all": "$norms; $attn; $qk", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
    },
    "GRANITE_MOE =granitemoe": {
        "let": "m=f", "keys": "expert_count=e expert_used_count=2", "all": "$norms; $attn; $exps",
    },
    "GRANITE_MOE =granitemoeshared": {
        "config": {"shared_intermediate_size": 512}, "let": "m=f s=512",
        "keys": "expert_count=e expert_used_count=2 expert_shared_feed_forward_length=512",
        "all": "$norms; $attn; $exps; $shexp",
    },
    "MISTRAL4 =mistral4": {
        "let": "s=m", "keys": "$latents $routed expert_shared_count=1 attention.q_lora_rank=a",
        "all": "$norms; $mla; $q_a; $exps; $shexp",
    },
    "OPENELM =openelm": {
        "config": {"num_transformer_layers": 2, "num_query_heads": [4, 8], "num_kv_heads": [1, 2],
                   "ffn_multipliers": [0.5, 1.0], "normalize_qk_projections": True,
                   "share_input_output_layers": True, "head_dim": 64},
        "let": "h=2048 L=2 kv=1 d=64 V=32000", "outside": TIED, "kinds": "['x', 'y']",
        "keys": "attention.head_count=[4, 8] attention.head_count_kv=[1, 2]"
        " feed_forward_length=[1024, 2048]",
        "all": "$norms; $qk",
        "x": "attn_qkv 6*64,h; attn_output h,256; ffn_gate 1024,h; ffn_up 1024,h; ffn_down h,1024",
        "y": "attn_qkv 12*64,h; attn_output h,512; ffn_gate 2048,h; ffn_up 2048,h; ffn_down h,2048",
    },
    "BITNET bitnet-b1.58-2b": {
        "outside": TIED, "all": "$norms; $attn; $ffn; attn_sub_norm h; ffn_sub_norm f",
    },
    "BAILINGMOE2 ling-mini-2.0": {
        "let": "s=m", "kinds": _FIRST, "keys": "$routed expert_shared_count=1",
        "all": "$norms; attn_qkv q+2*k,h; attn_output h,q; $qk", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
    },
    "EUROBERT =eurobert": {"outside": TIED, "all": "$norms; $attn; $ffn"},
    "JINA_BERT_V2 =jina_bert": {
        "config": {"position_embedding_type": "alibi", "feed_forward_type": "geglu",
                   "vocab_size": 300},
        "outside": "token_embd V,h; token_types 2,h; $embed",
        "all": "$encoder; ffn_gate f,h; ffn_up f,h; ffn_down h,f; ffn_down.bias h",
    },
    "LLAMA mixtral-8x7b": {
        "let": "m=f", "keys": "expert_count=e expert_used_count=2", "all": "$norms; $attn; $exps",
    },
}  # fmt: skip
# Architectures that the library has not yet, by their names in llama.cpp's src/llama-arch.cpp.
LAYOUTS |= {
    "deepseek32 deepseek-v3.2": {
        "let": "s=m", "kinds": _FIRST,
        "keys": "$latents $routed expert_shared_count=1 attention.q_lora_rank=a"
        " attention.indexer.head_count=i attention.indexer.key_length=128"
        " attention.indexer.top_k=2048",
        "all": "$norms; $mla; $q_a; $indexer", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
    },
    "deepseek4 deepseek-v4-flash": {
        "let": "s=m kv=1 o=8*1024 mix=24",
        "kinds": "[f'x{compress_ratios[i]} ' + ('hash' if i < 3 else 'bias') for i in range(L)]",
        "keys": "attention.compress_ratios=compress_ratios attention.key_length=d"
        " attention.q_lora_rank=a rope.dimension_count=r attention.sliding_window=128"
        " attention.indexer.head_count=i attention.indexer.key_length=128"
        " attention.indexer.top_k=512 attention.output_group_count=8"
        " attention.output_lora_rank=1024 hyper_connection.count=4 expert_count=e"
        " expert_used_count=6 expert_feed_forward_length=m expert_shared_count=1",
        "outside": "token_embd V,h; output V,h; output_norm h; hc_head_fn 4,4*h; hc_head_base 4;"
        " hc_head_scale 1",
        "all": "attn_norm h; ffn_norm h; attn_sinks n; attn_q_a a,h; attn_q_a_norm a;"
        " attn_q_b q,a; attn_kv d,h; attn_kv_norm d; attn_output_a o,q//8; attn_output_b h,o;"
        " hc_attn_fn mix,4*h; hc_attn_base mix; hc_attn_scale 3; hc_ffn_fn mix,4*h;"
        " hc_ffn_base mix; hc_ffn_scale 3; $exps; $shexp",
        "x128": "$pool1", "x4": "$pool2; indexer.proj i,h; indexer.attn_q_b i*128,a;"
        " indexer_compressor_kv 256,h; indexer_compressor_gate 256,h;"
        " indexer_compressor_ape 4,256; indexer_compressor_norm 128",
        "hash": "ffn_gate_tid2eid V,6", "bias": "exp_probs_b.bias e",
    },
}  # fmt: skip
