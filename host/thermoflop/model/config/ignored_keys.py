"""Config keys that never change a count, those that a type's class never reads, and the rule for
keys that nobody has heard of.

The names come from the configurations of ``truth`` and from the classes of transformers 5.
``data/unread_keys.json.gz`` is evidence instead of guesses: tests/truth/unread.py writes it from
the sources of transformers, every name of a key that any class has, and for each type those that
its classes read. What a class does not read changes nothing there, whatever it holds.
"""

from __future__ import annotations

import functools
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thermoflop.model.config.family import Family

_IGNORED = frozenset(
    """
    _attn_implementation _attn_implementation_autoset _commit_hash _flash_attn_2_enabled
    _name_or_path activation_dropout adapter_alpha alpha architectures
    apply_query_key_layer_scaling apply_residual_connection_post_layernorm
    apply_spec_augment attention_dropout attention_dropout_prob attention_multiplier
    attention_probs_dropout_prob attention_softmax_in_fp32 attn_dropout attn_dropout_p
    attn_dropout_prob attn_implementation attn_logit_softcapping attn_pdrop attn_scale
    attn_temperature_tuning auto_map aux_loss_alpha bad_words_ids base_model_ep_plan
    base_model_pp_plan base_model_tp_plan begin_suppress_tokens bias_dropout_fusion
    bos_token_id boi_token_index cache_implementation chunk_size chunk_size_feed_forward
    classifier_activation classifier_dropout classifier_dropout_prob classifier_pdrop
    clip_qkv cross_attention_hidden_size decoder_layerdrop decoder_start_token_id
    diversity_penalty do_sample dropout dropout_rate dtype early_stopping embd_pdrop
    embedding_dropout embedding_multiplier emb_pdrop encoder_layerdrop
    encoder_no_repeat_ngram_size encoder_stride eoi_token_index eos_token_id ep_size
    exponential_decay_length_penalty ffn_dropout ffn_act_fn final_logit_softcapping
    finetuning_task floor_scale for_llm_compressor forced_bos_token_id forced_eos_token_id
    fused_add_norm fused_bias_fc fused_dropout_add_ln fused_mlp gradient_checkpointing
    hidden_dropout hidden_dropout_prob id2label image_token_id image_token_index init_device
    init_std initial_context_length initializer_factor initializer_range input_jitter_noise
    is_decoder keys_to_ignore_at_inference label2id label_smoothing language layer_norm_eps
    layer_norm_epsilon layerdrop length_penalty logit_scale logit_scale_init_value
    logits_scaling low_cpu_mem_usage mamba_dt_init_floor mamba_dt_max mamba_dt_min
    mask_feature_length mask_feature_min_masks mask_feature_prob mask_time_length
    mask_time_min_masks mask_time_prob masked_softmax_fusion max_length max_new_tokens
    max_shard_size mean_attn_override median_filter_width min_length mlp_dropout
    mlp_dropout_rate model_max_length model_name model_type moe_aux_loss_coef
    moe_router_dtype mscale n_group n_ctx no_repeat_ngram_size norm_eps norm_topk_prob
    num_beam_groups num_beams num_logits_to_keep num_nextn_predict_layers
    num_image_tokens num_labels num_return_sequences num_mtp_layers offload_state_dict open_clip
    original_max_position_embeddings
    output_attentions output_dropout output_hidden_states output_past output_router_logits
    output_scores pad_token_id partial_rotary_factor pipeline_tag pooler_act prefix
    pretraining_tp problem_type compression_config quantization quantization_config
    query_pre_attn_scalar relative_attention_max_distance remove_invalid_values
    reorder_and_upcast_attn repetition_penalty rescale_prenorm_residual resid_pdrop
    residual_dropout residual_in_fp32 residual_multiplier return_dict return_dict_in_generate
    return_unused_kwargs revision rms_norm_eps rope_interleave rope_interleaved
    rope_local_base_freq
    rope_parameters rope_ratio rope_scaling rope_theta rotary rotary_base rotary_dim
    rotary_emb_base rotary_emb_fraction rotary_emb_interleaved rotary_emb_scale_base rotary_pct
    routed_scaling_factor router_aux_loss_coef router_bias_update_speed router_dtype
    router_jitter_noise router_z_loss_coef scale_attention_softmax_in_fp32
    scale_attn_by_inverse_layer_idx scale_attn_weights scale_embedding scoring_func seq_aux
    seq_classif_dropout seq_length sep_token_id sinusoidal_pos_embds skip_bias_add
    skip_bias_add_qkv slow_but_exact softmax_scale static_position_embeddings
    suppress_tokens summary_activation summary_first_dropout summary_hidden_size
    summary_last_dropout summary_proj_to_labels summary_type summary_use_proj swiglu_limit
    task_specific_params temperature tf_legacy_loss time_step_floor time_step_init_scheme
    time_step_limit time_step_max time_step_min time_step_scale tokenizer_class top_k top_p
    topk_group topk_method torch_dtype torchscript transformers_version trust_remote_code
    typical_p unk_token_id unpad_inputs use_bfloat16 use_cache use_flash_attn use_flash_attention
    use_flash_rotary use_logits_to_keep use_mamba_kernels use_xentropy verbose vision_feature_layer
    vision_feature_select_strategy yarn_config token_classification_bias

    beta_fast beta_slow long_factor short_factor moe_jitter_eps moe_loss_weight
    moe_normalize_expert_weights norm_before_gate rms_norm bos_token eos_token pad_token
    max_seq_len max_sequence_length max_position_embeddings n_positions max_context_length
    is_encoder_decoder hidden_act hidden_activation activation_function
    activation mlp_hidden_act mamba_hidden_act activation_type bidirectional offset_alibi
    custom_pipelines tokenizer_name init_config forced_decoder_ids extra_pos_embeddings
    output_projection calc_logits_for_entire_prompt layers_to_keep transformers_weights

    _num_labels internal_version library_name license matryoshka_dimensions moe_layer_recompute
    moe_permute_fusion moe_router_fusion mtp_hybrid_override_pattern mtp_layers_block_type
    remove_padding scale_decoder_outputs sequence_parallel tensor_model_parallel_size
    torch_compile use_associative_scan use_mambapy use_mem_eff_path use_recompute
    classifier_from_token is_causal dual_chunk_attention_config is_original_qwen3_reranker

    bf16 context_length dp_size enable_thinking eval_batch_size eval_steps expert_parallel_size
    fp16 fp32 fps fuse_rms_norm fuse_rope global_batch_size gradient_accumulation_steps
    is_quantized keep_attention_mask logging_steps lora_merged max_batch_size max_input_len
    max_input_length max_model_len max_num_batched_tokens max_output_len max_pixels
    max_prefill_tokens max_seq_length max_source_length max_target_length micro_batch_size
    min_pixels model_max_len model_parallel_size model_size_in_b normalize_embeddings num_ctx
    num_train_epochs num_workers pipeline_parallel_size pp_size random_seed return_legacy_cache
    safe_serialization save_steps seed seq_len tp_size train_batch_size train_seq_len
    training_steps truncate_dim use_dynamic_ntk use_fast use_flash_attention_2 use_flash_attn_2
    use_fused_rms_norm use_kv_cache use_liger_kernel use_logn_attn use_safetensors use_sdpa
    video_fps warmup_steps world_size
    """.split()  # noqa: SIM905 - one name a line would be 250 lines
)
_IGNORED_ENDINGS = (
    "_dropout",
    "_pdrop",
    "_dropout_prob",
    "_dropout_rate",
    "_token_id",
    "_token_ids",
    "_token_index",
    "_eps",
    "_epsilon",
    "_coef",
    "_init_std",
    "_loss_weight",
    "_softcapping",
    "_softcap",
    "_cap",
    "_theta",
    "_loss_alpha",
    "_dtype",
    "_hidden_act",
    "_in_fp32",
    "_overlap",
    "_revision",
    "_version",
)
_IGNORED_STARTS = ("rope_", "rotary_", "initializer_", "init_", "time_step_", "loss_", "router_z")
# What tools write into a config.json for themselves: any key that starts with one of their names.
_TOOLS = (
    "bitsandbytes", "coreml", "exllama", "ggml", "gguf", "ipex", "mlx", "neuron", "onnx",
    "openvino", "sentence_transformers", "sglang", "tensorrt", "transformers.js",
    "transformers_js", "trtllm", "unsloth", "vllm",
)  # fmt: skip
# A word, a fraction or a list under an unknown name is accepted, unless a part of it means a size.
_SIZE_PARTS = (  # noqa: SIM905 - a list of words
    "attn attention bias block channel conv depth dim expert ffn head hidden inter kernel layer "
    "mlp moe norm num pattern position proj rank ratio share size state step tie tower type vocab "
    "width window"
).split()


def changes_nothing(key: str, value: Any) -> bool:
    """Whether a key cannot change a count: known to change none, switched off, or unrelated.

    An unknown key that is null, false, zero or empty changes nothing. An unknown whole number,
    ``true`` or nested object might, and so might any value under a name of a size.
    """
    if key in _IGNORED or key.endswith(_IGNORED_ENDINGS) or key.startswith(_IGNORED_STARTS):
        return True
    if key.startswith(_TOOLS) or (key.startswith("is_") and key.endswith("_config")):
        return True
    if value in (None, False, "", [], {}):
        return True
    if isinstance(value, bool | int | dict):
        return False
    return not any(part in key.lower() for part in _SIZE_PARTS)


_TABLE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "unread_keys.json.gz")  # noqa: PTH118, PTH120
# The names under which classes take their width and depth.
_CORE = (
    "hidden_size", "n_embd", "d_model", "dim",
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers",
)  # fmt: skip


@functools.cache
def _table() -> tuple[list[str], dict[str, list[int]]]:
    import gzip
    import json

    with gzip.open(_TABLE) as file:
        table = json.loads(file.read())
    return table["keys"].split(), table["read"]


@functools.cache
def unread_keys(model_type: str) -> frozenset[str]:
    """The keys of other classes that those of this type never read; none for a type unknown."""
    keys, read = _table()
    if model_type not in read:
        return frozenset()
    return frozenset(keys) - {keys[number] for number in read[model_type]}


def is_unread(family: Family, raw: Mapping[str, Any], key: str) -> bool:
    """Whether the class of a family never reads a key that other classes have.

    A configuration that leaves its width or depth out might say it under another class's name,
    and a mixture of experts in a family that has none is code of its own: neither is believed.
    """
    if any(core in family.keys and core not in raw for core in _CORE):
        return False
    if ("expert" in key or "moe" in key) and not any("expert" in own for own in family.keys):
        return False
    return key in unread_keys(family.name)
