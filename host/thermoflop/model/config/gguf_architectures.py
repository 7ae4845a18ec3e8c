"""The architectures of GGUF files: the family that each one is, and what each key is called there.

Names of architectures and keys are those of llama.cpp's src/llama-arch.cpp; what a converter writes
under a key is that of conversion/*.py, and what a file holds that of src/models/*.cpp, each by the
name of its architecture. A word of an entry is ``key=behind``, a key of the family's configuration
and what GGUF calls it behind the architecture's name; ``key?tensor``, whether layers have such a
tensor; or ``@group``, several of these.
"""

from __future__ import annotations

# What nearly all have. A key that a family does not read is left out.
COMMON = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "max_position_embeddings": "context_length",
    "sliding_window": "attention.sliding_window",
    "num_experts_per_tok": "expert_used_count",
}
_GROUPS = {
    "experts": "num_experts=expert_count moe_intermediate_size=expert_feed_forward_length",
    "local": "num_local_experts=expert_count",
    "routed": "n_routed_experts=expert_count n_shared_experts=expert_shared_count"
    " moe_intermediate_size=expert_feed_forward_length"
    " first_k_dense_replace=leading_dense_block_count",
    "latent": "@routed @mla",
    "mla": "q_lora_rank=attention.q_lora_rank kv_lora_rank=attention.kv_lora_rank"
    " qk_rope_head_dim=rope.dimension_count",
    "indexer": "index_n_heads=attention.indexer.head_count"
    " index_head_dim=attention.indexer.key_length index_topk=attention.indexer.top_k",
    "delta": "linear_conv_kernel_dim=ssm.conv_kernel linear_key_head_dim=ssm.state_size"
    " linear_num_key_heads=ssm.group_count linear_num_value_heads=ssm.time_step_rank"
    " full_attention_interval=full_attention_interval",
    "shared": "shared_expert_intermediate_size=expert_shared_feed_forward_length",
    "mamba2": "mamba_n_heads=ssm.time_step_rank mamba_d_state=ssm.state_size"
    " mamba_n_groups=ssm.group_count mamba_d_conv=ssm.conv_kernel",
    "own": "hidden_size_per_layer_input=embedding_length_per_layer_input"
    " num_kv_shared_layers=attention.shared_kv_layers",
    "gpt": "n_inner=feed_forward_length",
}
_ENTRIES = {
    "llama": "llama",
    "llama-embed": "llama_bidirec",
    "llada": "llama",
    "pangu-embedded": "llama",
    "mistral": "mistral",
    "mistral3": "mistral",
    "mistral4": "mistral4 @latent",
    "llama4": "llama4_text @local intermediate_size=expert_feed_forward_length"
    " intermediate_size_mlp=feed_forward_length"
    " interleave_moe_layer_step=interleave_moe_layer_step",
    "deci": "nemotron-nas",
    "qwen": "qwen",
    "qwen2": "qwen2",
    "qwen2vl": "qwen2",
    "qwen25vl": "qwen2",  # as Ollama calls it
    "dream": "qwen2",
    "qwen2moe": "qwen2_moe @experts @shared",
    "qwen3": "qwen3",
    "qwen3vl": "qwen3",
    "qwen3moe": "qwen3_moe @experts",
    "qwen3vlmoe": "qwen3_moe @experts",
    "rnd1": "qwen3_moe @experts",
    "qwen3next": "qwen3_next @experts @shared @delta",
    "qwen35": "qwen3_5_text @delta",
    "qwen35moe": "qwen3_5_moe_text @experts @shared @delta",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "gemma-embedding": "gemma3_text",
    "gemma3n": "gemma3n_text @own altup_num_inputs=altup.num_inputs",
    "gemma4": "gemma4_text @own num_experts=expert_count top_k_experts=expert_used_count"
    " moe_intermediate_size=expert_feed_forward_length",
    "phi2": "phi",
    "phi3": "phi3",
    "phimoe": "phimoe @local lm_head_bias?output.bias",
    "deepseek": "deepseek @routed",
    "deepseek2": "deepseek_v2 @latent",
    "deepseek2-ocr": "deepseek @routed",
    "glm4moelite": "deepseek_v2 @latent",  # as Ollama calls it
    "deepseek32": "deepseek_v32 @latent @indexer",
    "deepseek4": "deepseek_v4 @indexer head_dim=attention.key_length"
    " q_lora_rank=attention.q_lora_rank qk_rope_head_dim=rope.dimension_count"
    " n_routed_experts=expert_count moe_intermediate_size=expert_feed_forward_length"
    " compress_ratios=attention.compress_ratios o_groups=attention.output_group_count"
    " o_lora_rank=attention.output_lora_rank hc_mult=hyper_connection.count",
    "kimi-linear": "kimi_linear @latent linear_head_dim=kda.head_dim"
    " linear_conv_kernel_dim=ssm.conv_kernel",
    "minicpm3": "minicpm3 @mla",
    "glm4": "glm4",
    "glm4moe": "glm4_moe @routed use_qk_norm?attn_q_norm.weight",
    "glm-dsa": "glm_moe_dsa @latent @indexer",
    "chatglm": "chatglm ffn_hidden_size=feed_forward_length"
    " multi_query_group_num=attention.head_count_kv",
    "gpt-oss": "gpt_oss @local intermediate_size=expert_feed_forward_length",
    "gptoss": "gpt_oss @local intermediate_size=expert_feed_forward_length",  # Ollama's
    "gpt2": "gpt2 @gpt",
    "gptj": "gptj @gpt",
    "gptneox": "gpt_neox",
    "starcoder": "gpt_bigcode @gpt",
    "starcoder2": "starcoder2",
    "bloom": "bloom",
    "mpt": "mpt",
    "falcon": "falcon num_kv_heads=attention.head_count_kv ffn_hidden_size=feed_forward_length",
    "falcon-h1": "falcon_h1 @mamba2 mamba_d_ssm=ssm.inner_size mamba_rms_norm?ssm_norm.weight",
    "command-r": "cohere",
    "cohere2": "cohere2",
    "olmo": "olmo",
    "olmo2": "olmo2",
    "olmoe": "olmoe num_experts=expert_count",
    "llada-moe": "olmoe num_experts=expert_count",
    "granite": "granite",
    "granitemoe": "granitemoe @local shared_intermediate_size=expert_shared_feed_forward_length",
    "granitehybrid": "granitemoehybrid @local @mamba2"
    " shared_intermediate_size=expert_shared_feed_forward_length",
    "exaone": "exaone",
    "exaone4": "exaone4",
    "exaone-moe": "exaone_moe @experts num_shared_experts=expert_shared_count"
    " first_k_dense_replace=leading_dense_block_count",
    "smollm3": "smollm3",
    "seed_oss": "seed_oss",
    "arcee": "arcee",
    "afmoe": "afmoe @experts num_shared_experts=expert_shared_count"
    " num_dense_layers=leading_dense_block_count",
    "apertus": "apertus",
    "ernie4_5": "ernie4_5",
    "paddleocr": "ernie4_5",
    "ernie4_5-moe": "ernie4_5_moe moe_num_experts=expert_count"
    " moe_intermediate_size=expert_feed_forward_length moe_num_shared_experts=expert_shared_count"
    " moe_layer_start_index=leading_dense_block_count"
    " moe_layer_interval=interleave_moe_layer_step",
    "hunyuan-dense": "hunyuan_v1_dense",
    "hunyuan_vl": "hunyuan_v1_dense",
    "hunyuan-moe": "hunyuan_v1_moe num_experts=expert_count",
    "dots1": "dots1 @routed",
    "bailingmoe": "bailing_moe @routed use_qk_norm?attn_q_norm.weight use_bias?attn_output.bias",
    "bailingmoe2": "bailing_moe @routed use_qk_norm?attn_q_norm.weight use_bias?attn_output.bias",
    "minimax-m2": "minimax_m2 @local intermediate_size=expert_feed_forward_length",
    "mimo2": "mimo_v2_flash n_routed_experts=expert_count v_head_dim=attention.value_length"
    " moe_intermediate_size=expert_feed_forward_length"
    " sliding_window_size=attention.sliding_window",
    "step35": "step3p5 n_routed_experts=expert_count"
    " moe_intermediate_size=expert_feed_forward_length"
    " share_expert_dim=expert_shared_feed_forward_length",
    "lfm2": "lfm2 conv_L_cache=shortconv.l_cache",
    "lfm2moe": "lfm2_moe @experts conv_L_cache=shortconv.l_cache"
    " num_dense_layers=leading_dense_block_count",
    "nemotron": "nemotron",
    "nemotron_h": "nemotron_h mamba_num_heads=ssm.time_step_rank ssm_state_size=ssm.state_size"
    " n_groups=ssm.group_count conv_kernel=ssm.conv_kernel",
    "nemotron_h_moe": "nemotron_h @routed mamba_num_heads=ssm.time_step_rank"
    " ssm_state_size=ssm.state_size n_groups=ssm.group_count conv_kernel=ssm.conv_kernel"
    " moe_shared_expert_intermediate_size=expert_shared_feed_forward_length"
    " moe_latent_size=moe_latent_size",
    "mamba": "mamba state_size=ssm.state_size conv_kernel=ssm.conv_kernel"
    " time_step_rank=ssm.time_step_rank intermediate_size=ssm.inner_size",
    "mamba2": "mamba2 state_size=ssm.state_size conv_kernel=ssm.conv_kernel"
    " num_heads=ssm.time_step_rank n_groups=ssm.group_count",
    "jamba": "jamba num_experts=expert_count mamba_d_state=ssm.state_size"
    " mamba_d_conv=ssm.conv_kernel mamba_dt_rank=ssm.time_step_rank",
    "rwkv7": "rwkv7 head_dim=wkv.head_size decay_low_rank_dim=attention.decay_lora_rank"
    " a_low_rank_dim=attention.iclr_lora_rank gate_low_rank_dim=attention.gate_lora_rank"
    " v_low_rank_dim=attention.value_residual_mix_lora_rank",
    "stablelm": "stablelm use_qkv_bias?attn_q.bias qk_layernorm?attn_q_norm.weight",
    "baichuan": "baichuan",
    "internlm2": "internlm2 bias?attn_q.bias",
    "minicpm": "minicpm",
    "xverse": "xverse",
    "orion": "orion",
    "jais2": "jais2",
    "bitnet": "bitnet",
    "dbrx": "dbrx",
    "openelm": "openelm",
    "bert": "bert",
    "nomic-bert": "nomic_bert",
    "nomic-bert-moe": "nomic_bert num_experts=expert_count moe_every_n_layers=moe_every_n_layers"
    " moe_top_k=expert_used_count",
    "modern-bert": "modernbert",
    "eurobert": "eurobert",
    "jina-bert-v2": "jina_bert",
    "jina-bert-v3": "jina_embeddings_v3",
    "t5": "t5",
    "t5encoder": "t5",
}  # fmt: skip
# Those that write by removing masks and see both sides (llm_arch_is_diffusion of llama-arch.cpp).
UNMASKING = frozenset(["dream", "llada", "llada-moe", "rnd1"])
# Architectures that are no model of their own, and what they are.
BESIDE = {
    "clip": "what sees or hears for a model (mmproj), which llama.cpp loads beside it",
    "dflash": "a draft that works with its model alone",
    "eagle3": "a draft that works with its model alone",
    "gemma4-assistant": "a draft that works with its model alone",
}
# ``general.type`` of files that are no model, and what they are.
TYPES = {
    "adapter": "an adapter (LoRA), which is added to a model",
    "mmproj": BESIDE["clip"],
    "imatrix": "an importance matrix, by which a model is quantized",
}
NAMES = tuple(_ENTRIES)


def find_architecture(name: str) -> tuple[str, dict[str, str], dict[str, str]] | None:
    """The family of an architecture, its keys by their names there, and those that say whether
    there is a tensor; None for one that is not known."""
    if name not in _ENTRIES:
        return None
    family, *words = _ENTRIES[name].split()
    keys, present = {}, {}
    while words:
        word = words.pop(0)
        if word.startswith("@"):
            words = [*_GROUPS[word[1:]].split(), *words]
        elif "?" in word:
            key, _, tensor = word.partition("?")
            present[key] = tensor
        else:
            key, _, behind = word.partition("=")
            keys[key] = behind
    return family, keys, present
