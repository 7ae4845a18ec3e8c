"""The layouts of GGUF files (``gguf_layouts.py``), by the architecture of the ``gguf`` library and
the model of the catalogue that it is of."""

from __future__ import annotations

TIED = "token_embd V,h; output_norm h"
_FULL = "['full' if (i+1) % 4 == 0 else 'linear' for i in range(L)]"
_FIRST = "['dense' if i < first_k_dense_replace else 'sparse' for i in range(L)]"
_SLIDES = (
    "attention.sliding_window_pattern=[t == 'sliding_attention' for t in layer_types]"
    " attention.sliding_window=sliding_window"
)
_SIXTH = (
    "attention.sliding_window_pattern=[(i + 1) % 6 != 0 for i in range(L)]"
    " attention.sliding_window=sliding_window"
)
Lines = dict[str, str]
LAYOUTS: dict[str, Lines] = {
    "QWEN3NEXT qwen3-next-80b-a3b": {
        "let": "s=512", "kinds": _FULL,
        "keys": "$deltas expert_count=e expert_used_count=top expert_feed_forward_length=m"
        " expert_shared_feed_forward_length=s",
        "all": "attn_norm h; post_attention_norm h; $exps; $shexp; ffn_gate_inp_shexp h",
        "full": "attn_q 2*q,h; attn_k k,h; attn_v k,h; attn_output h,q; $qk",
        "linear": "$delta; ssm_ba 64,h",
    },
    "QWEN35 qwen3.5-9b": {
        "kinds": _FULL, "keys": "$deltas",
        "all": "attn_norm h; post_attention_norm h; $ffn",
        "full": "attn_q 2*q,h; attn_k k,h; attn_v k,h; attn_output h,q; $qk",
        "linear": "$delta; ssm_alpha 32,h; ssm_beta 32,h",
    },
    "QWEN35MOE qwen3.5-35b-a3b": {
        "let": "s=512", "kinds": _FULL,
        "keys": "$deltas expert_count=e expert_used_count=8 expert_feed_forward_length=m"
        " expert_shared_feed_forward_length=s",
        "all": "attn_norm h; post_attention_norm h; ffn_gate_inp e,h; ffn_gate_up_exps e,2*m,h;"
        " ffn_down_exps e,h,m; $shexp; ffn_gate_inp_shexp h",
        "full": "attn_q 2*q,h; attn_k k,h; attn_v k,h; attn_output h,q; $qk",
        "linear": "$delta; ssm_alpha 32,h; ssm_beta 32,h",
    },
    "GEMMA4 gemma-4-31b": {
        "kinds": "['slides' if (i + 1) % 6 else 'full' for i in range(L)]",
        "keys": f"{_SIXTH} attention.key_length=512 attention.key_length_swa=256"
        " attention.head_count_kv=[16 if (i + 1) % 6 else 4 for i in range(L)]"
        " embedding_length_per_layer_input=0 attention.shared_kv_layers=0"
        "",
        "outside": f"{TIED}; rope_freqs 256",
        "all": "attn_norm h; post_attention_norm h; ffn_norm h; post_ffw_norm h; $ffn;"
        " layer_output_scale 1",
        "full": "attn_q n*512,h; attn_k 4*512,h; attn_output h,n*512; attn_q_norm 512;"
        " attn_k_norm 512",
        "slides": "$attn; $qk",
    },
    "GEMMA4 gemma-4-26b-a4b": {
        "kinds": "['slides' if (i + 1) % 6 else 'full' for i in range(L)]",
        "keys": f"{_SIXTH} attention.key_length=512 attention.key_length_swa=256"
        " attention.head_count_kv=[8 if (i + 1) % 6 else 2 for i in range(L)]"
        " embedding_length_per_layer_input=0 attention.shared_kv_layers=0"
        " expert_count=e expert_used_count=8 expert_feed_forward_length=m",
        "outside": f"{TIED}; rope_freqs 256",
        "all": "attn_norm h; post_attention_norm h; ffn_norm h; post_ffw_norm h; $ffn;"
        " layer_output_scale 1; ffn_gate_inp e,h; ffn_gate_inp.scale h; ffn_gate_up_exps e,2*m,h;"
        " ffn_down_exps e,h,m; ffn_down_exps.scale e; pre_ffw_norm_2 h; post_ffw_norm_1 h;"
        " post_ffw_norm_2 h",
        "full": "attn_q n*512,h; attn_k 2*512,h; attn_output h,n*512; attn_q_norm 512;"
        " attn_k_norm 512",
        "slides": "$attn; $qk",
    },
    "GEMMA3N gemma-3n-e4b-text": {
        "let": "h=2048 L=35 n=8 kv=2 d=256 f=16384 V=262400 u=256",
        "kinds": "['reads' if i >= 20 else 'own' for i in range(L)]",
        "keys": "attention.sliding_window=512 attention.key_length=d altup.num_inputs=4"
        " embedding_length_per_layer_input=u attention.shared_kv_layers=15"
        " attention.sliding_window_pattern=[(i + 1) % 5 != 0 for i in range(L)]",
        # later layers have keys of their own in the files, which are never read
        "outside": f"{TIED}; altup_proj 3,h,h; altup_unembd_proj 3,h,h; per_layer_proj_norm u;"
        " per_layer_token_embd 262144,L*u; per_layer_model_proj L*u,h",
        "all": "$attn; $qk; $ffn; attn_norm h; post_attention_norm h; ffn_norm h; post_ffw_norm h;"
        " inp_gate u,h; proj h,u; post_norm h; altup_correct_coef 4,4; altup_correct_scale h;"
        " altup_predict_coef 16,4; altup_router 4,h; altup_router_norm h; laurel_l 64,h;"
        " laurel_r h,64; laurel_post_norm h",
    },
    "MINIMAXM2 minimax-m2.5": {
        "let": "m=f",
        "keys": "expert_count=e expert_used_count=8 expert_feed_forward_length=m",
        "all": "$attn; attn_q_norm q; attn_k_norm k; $norms; $exps; exp_probs_b.bias e",
    },
    "LFM2 lfm2-1.2b": {
        "let": "f=8192", "kinds": "['attn' if i in full_attn_idxs else 'conv' for i in range(L)]",
        "keys": "attention.head_count_kv=[kv if i in full_attn_idxs else 0 for i in range(L)]"
        " shortconv.l_cache=3",
        "outside": "token_embd V,h; token_embd_norm h", "all": "$norms; $ffn",
        "attn": "$attn; $qk",
        "conv": "shortconv.conv h,3; shortconv.in_proj 3*h,h; shortconv.out_proj h,h",
    },
    "LFM2MOE lfm2-8b-a1b": {
        "kinds": "[('attn ' if t == 'full_attention' else 'conv ') +"
        " ('dense' if i < 2 else 'sparse') for i, t in enumerate(layer_types)]",
        "keys": "attention.head_count_kv=[kv if t == 'full_attention' else 0 for t in layer_types]"
        " shortconv.l_cache=3 expert_count=e expert_used_count=4 expert_feed_forward_length=m"
        " leading_dense_block_count=2",
        "outside": "token_embd V,h; token_embd_norm h", "all": "$norms", "attn": "$attn; $qk",
        "conv": "shortconv.conv h,3; shortconv.in_proj 3*h,h; shortconv.out_proj h,h",
        "dense": "$ffn", "sparse": "$exps; exp_probs_b.bias e",
    },
    "GRANITE_HYBRID granite-4.0-h-tiny": {
        "let": "m=f s=1024 x=3072 g=1 t=128 w=48",
        "kinds": "['attn' if t == 'attention' else 'ssm' for t in layer_types]",
        "keys": "$ssms ssm.group_count=1 expert_count=e expert_used_count=6"
        " expert_shared_feed_forward_length=s"
        " attention.head_count_kv=[kv if t == 'attention' else 0 for t in layer_types]",
        "outside": TIED, "all": "$norms; $exps; $shexp", "attn": "$attn", "ssm": "$mamba2",
    },
    "FALCON_H1 falcon-h1-1.5b": {
        "let": "x=3072 g=1 t=256 w=48", "keys": "$ssms ssm.group_count=1",
        "all": "$norms; $attn; $ffn; ssm_in 2*x+2*g*t+w,h; ssm_conv1d x+2*g*t,4;"
        " ssm_conv1d.bias x+2*g*t; ssm_dt.bias w; ssm_a. w; ssm_d. w; ssm_norm x; ssm_out h,x",
    },
    "NEMOTRON_H nemotron-h-8b": {
        "let": "x=8192 g=8 t=128 w=128", "kinds": "list_of(hybrid_override_pattern)",
        "keys": "$ssms ssm.group_count=8 attention.key_length=128"
        " attention.head_count_kv=[8 if c == '*' else 0 for c in hybrid_override_pattern]"
        " feed_forward_length=[f if c == '-' else 0 for c in hybrid_override_pattern]",
        "all": "attn_norm h", "M": "$mamba2", "-": "ffn_up f,h; ffn_down h,f", "*": "$attn",
    },
    "NEMOTRON_H_MOE nemotron-3-super-120b-a12b": {
        "let": "x=8192 g=8 t=128 w=128 s=5376 u=1024",
        "kinds": "list_of(hybrid_override_pattern) + ['E *']",  # the last predicts further ahead
        "keys": "$ssms ssm.group_count=8 attention.key_length=128 block_count=L+1"
        " nextn_predict_layers=1 expert_shared_feed_forward_length=s expert_shared_count=1"
        " expert_count=e expert_used_count=22 expert_feed_forward_length=m moe_latent_size=u"
        " attention.head_count_kv=[2 if c == '*' else 0 for c in hybrid_override_pattern + '*']"
        " feed_forward_length=[f if c == 'E' else 0 for c in hybrid_override_pattern + 'E']",
        "all": "attn_norm h", "M": "$mamba2", "*": "$attn",
        "E": "ffn_gate_inp e,h; exp_probs_b.bias e; ffn_latent_down u,h; ffn_latent_up h,u;"
        " ffn_up_exps e,m,u; ffn_down_exps e,u,m; ffn_up_shexp s,h; ffn_down_shexp h,s",
    },
    "MAMBA mamba-130m": {
        "let": "x=1536 t=16 w=48 V=50280 f=0 kv=0", "keys": "$ssms",
        "outside": TIED, "all": "attn_norm h; $ssm",
    },
    "MAMBA falcon-mamba-7b": {
        "let": "x=8192 t=16 w=256 f=0 kv=0", "keys": "$ssms ssm.dt_b_c_rms=True",
        "all": "attn_norm h; $ssm",
    },
    "MAMBA2 mamba2-130m": {
        "let": "x=1536 g=1 t=128 w=24 f=0 kv=0 n=0", "keys": "$ssms ssm.group_count=1",
        "outside": TIED, "all": "attn_norm h; $mamba2",
    },
    "JAMBA jamba-v0.1": {
        "let": "x=8192 t=16 w=256 m=14336 e=16",
        "kinds": "[('attn ' if i % 8 == 4 else 'ssm ') + ('sparse' if i % 2 else 'dense')"
        " for i in range(L)]",
        "keys": "$ssms expert_count=16 expert_used_count=2"
        " attention.head_count_kv=[8 if i % 8 == 4 else 0 for i in range(L)]",
        "all": "$norms", "attn": "$attn", "sparse": "$exps", "dense": "$ffn",
        "ssm": "$ssm; ssm_dt_norm w; ssm_b_norm t; ssm_c_norm t",
    },
    "GLM_DSA glm-5": {
        "let": "s=m", "kinds": f"{_FIRST} + ['sparse ahead']",
        "keys": "$latents $routed expert_shared_count=1 attention.q_lora_rank=a block_count=L+1"
        " nextn_predict_layers=1 attention.indexer.head_count=i attention.indexer.key_length=128"
        " attention.indexer.top_k=2048",
        "all": "$norms; $mla; $q_a; $indexer", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
        "ahead": "nextn.eh_proj h,2*h; nextn.enorm h; nextn.hnorm h; nextn.shared_head_norm h",
    },
    "GLM_DSA glm-5.2": {
        "let": "s=m",
        "kinds": "[('dense ' if i < 3 else 'sparse ') + ('x' if i < 3 or i % 4 == 2 else 'y')"
        " for i in range(L)]",
        "keys": "$latents $routed expert_shared_count=1 attention.q_lora_rank=a"
        " attention.indexer.head_count=i attention.indexer.key_length=128"
        " attention.indexer.top_k=2048",
        "all": "$norms; $mla; $q_a", "x": "$indexer", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
    },
    "DEEPSEEK2 deepseek-v2-lite": {
        "let": "s=2*m", "keys": "$latents $routed expert_shared_count=2", "kinds": _FIRST,
        "all": "$norms; $mla; attn_q n*(p+r),h", "dense": "$ffn", "sparse": "$exps; $shexp",
    },
    "DEEPSEEK2 glm-4.7-flash": {
        "let": "s=m first_k_dense_replace=1", "kinds": _FIRST,
        "keys": "$latents $routed expert_shared_count=1 attention.q_lora_rank=a",
        "all": "$norms; $mla; $q_a", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
    },
    "KIMI_LINEAR kimi-linear-48b-a3b": {
        # every fourth layer attends, and the last
        "let": "L=27 h=2304 n=32 f=9216 V=163840 c=512 r=64 p=128 v=128 e=256 m=1024 s=m y=n*128"
        " top=8 first_k_dense_replace=1",
        "kinds": "[('full ' if i % 4 == 3 or i == 26 else 'delta ') +"
        " ('sparse' if i else 'dense') for i in range(L)]",
        "keys": "$latents $routed expert_shared_count=1 kda.head_dim=128 ssm.conv_kernel=4"
        " attention.head_count_kv=[int(i % 4 == 3 or i == 26) for i in range(L)]",
        "all": "$norms", "full": "$mla; attn_q n*(p+r),h", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
        "delta": "attn_q y,h; attn_k y,h; attn_v y,h; ssm_conv1d_q y,4; ssm_conv1d_k y,4;"
        " ssm_conv1d_v y,4; ssm_f_a 128,h; ssm_f_b y,128; ssm_beta n,h; ssm_a. n; ssm_g_a 128,h;"
        " ssm_g_b y,128; ssm_dt.bias y; ssm_norm 128; attn_output h,y",
    },
    "MINICPM3 minicpm3-4b": {
        # sizes of the class
        "let": "L=62 h=2560 n=40 f=6400 V=73448 c=256 r=32 p=64 v=64 a=768",
        "keys": "attention.kv_lora_rank=c rope.dimension_count=r attention.key_length=p+r"
        " attention.q_lora_rank=a",
        "outside": TIED,
        "all": "$norms; $ffn; $q_a; attn_kv_a_mqa c+r,h; attn_kv_a_norm c; attn_kv_b n*(p+v),c;"
        " attn_output h,n*v",
    },
    "BAILINGMOE ling-lite": {
        "let": "s=2*m first_k_dense_replace=0",
        "keys": "$routed leading_dense_block_count=0 expert_shared_count=2",
        "all": "$norms; $attn; $exps; $shexp",
    },
    "HUNYUAN_MOE hunyuan-a13b": {
        "let": "m=f s=f e=64",
        "keys": "expert_count=e expert_used_count=8 expert_shared_feed_forward_length=f"
        " expert_feed_forward_length=f expert_shared_count=1",
        "outside": TIED, "all": "$norms; $attn; $qk; $exps; $shexp",
    },
    "ERNIE4_5_MOE ernie-4.5-21b-a3b": {
        "let": "e=64 s=2*m", "kinds": "['dense'] + ['sparse'] * (L - 1)",
        "keys": "expert_count=e expert_used_count=6 expert_feed_forward_length=m"
        " expert_shared_count=2 leading_dense_block_count=1 interleave_moe_layer_step=1",
        "outside": TIED, "all": "$norms; $attn", "dense": "$ffn",
        "sparse": "$exps; $shexp; exp_probs_b.bias e",
    },
    "EXAONE4 exaone-4.0-32b": {
        "keys": _SLIDES, "all": "$attn; $qk; $ffn; post_attention_norm h; post_ffw_norm h",
    },
    "OLMO2 olmo-3-7b": {
        "keys": "attention.sliding_window=4096"
        " attention.sliding_window_pattern=[(i + 1) % 4 != 0 for i in range(L)]",
        "all": "$attn; attn_q_norm q; attn_k_norm k; $ffn; post_attention_norm h; post_ffw_norm h",
    },
    "PHI2 phi-2": {
        "outside": "token_embd V,h; output V,h; output.bias V; output_norm h; output_norm.bias h",
        "all": "$fused; $plain; attn_norm h; attn_norm.bias h",
    },
    "PHIMOE phi-3.5-moe": {
        "let": "m=f", "keys": "expert_count=e expert_used_count=2",
        "outside": "token_embd V,h; output V,h; output.bias V; output_norm h; output_norm.bias h;"
        " rope_factors_long 64; rope_factors_short 64",
        "all": "$both; $exps; $attn; attn_q.bias q; attn_k.bias k; attn_v.bias k;"
        " attn_output.bias h",
    },
    "STABLELM stablelm-2-1.6b": {
        "outside": "token_embd V,h; output V,h; output_norm h; output_norm.bias h",
        "all": "$both; $attn; attn_q.bias q; attn_k.bias k; attn_v.bias k; $ffn",
    },
    "FALCON falcon-7b": {
        "let": "kv=1",
        "outside": "token_embd V,h; output_norm h; output_norm.bias h",
        "all": "attn_norm h; attn_norm.bias h; attn_qkv q+2*k,h; attn_output h,q; ffn_up f,h;"
        " ffn_down h,f",
    },
    "FALCON falcon-40b": {
        "let": "kv=8",
        "outside": "token_embd V,h; output_norm h; output_norm.bias h",
        "all": "attn_norm h; attn_norm.bias h; attn_qkv q+2*k,h; attn_output h,q; ffn_up f,h;"
        " ffn_down h,f; attn_norm_2 h; attn_norm_2.bias h",
    },
    "GPT2 gpt2": {
        "let": "V=50257", "keys": "context_length=1024",
        "outside": "token_embd V,h; position_embd 1024,h; output_norm h; output_norm.bias h",
        "all": "$both; $fused; $plain",
    },
    "STARCODER starcoder": {
        "let": "kv=1", "keys": "context_length=8192",
        "outside": "token_embd V,h; position_embd 8192,h; output_norm h; output_norm.bias h",
        "all": "$both; $fused; $plain",
    },
    "GPTNEOX pythia-160m": {
        "outside": "token_embd V,h; output V,h; output_norm h; output_norm.bias h",
        "all": "$both; $fused; $plain",
    },
    "GPTJ gpt-j-6b": {
        "keys": "context_length=2048",
        "outside": "token_embd V,h; output V,h; output.bias V; output_norm h; output_norm.bias h",
        "all": "attn_norm h; attn_norm.bias h; $attn; $plain",
    },
    "BLOOM bloom-560m": {
        "outside": "token_embd V,h; $embed; output_norm h; output_norm.bias h",
        "all": "$both; $fused; $plain",
    },
    "MPT mpt-7b": {
        "outside": TIED,
        "all": "attn_norm h; ffn_norm h; attn_qkv 3*h,h; attn_output h,h; ffn_up f,h; ffn_down h,f",
    },
    "BAICHUAN baichuan2-7b": {"all": "$norms; $attn; $ffn"},
    "INTERNLM2 internlm2.5-7b": {"all": "$norms; $attn; $ffn"},
    "CHATGLM chatglm3-6b": {
        "let": "kv=2",
        "all": "$norms; attn_qkv q+2*k,h; attn_qkv.bias q+2*k; attn_output h,q; ffn_up 2*f,h;"
        " ffn_down h,f",
    },
    "MINICPM minicpm-2b": {"outside": TIED, "all": "$norms; $attn; $ffn"},
    "NEMOTRON nemotron-4-minitron-4b": {
        "outside": "token_embd V,h; output V,h; output_norm h; output_norm.bias h",
        "all": "$both; $attn; ffn_up f,h; ffn_down h,f",
    },
    "APERTUS apertus-8b": {
        "keys": "xielu.alpha_p=[1.0]*L xielu.alpha_n=[1.0]*L",
        "all": "$norms; $attn; $qk; ffn_up f,h; ffn_down h,f",
    },
    "QWEN qwen-7b": {
        "let": "f=11008", "keys": "feed_forward_length=22016",
        "all": "$norms; attn_qkv 3*h,h; attn_qkv.bias 3*h; attn_output h,h; $ffn",
    },
    "DBRX dbrx": {
        "let": "kv=8 f=10752 m=10752 e=16", "keys": "expert_count=16 expert_used_count=4",
        "all": "attn_norm h; attn_output_norm h; attn_qkv q+2*k,h; attn_output h,q; $exps",
    },
    "GEMMA_EMBEDDING embeddinggemma-300m": {
        "keys": "attention.sliding_window=512",
        "outside": f"{TIED}; dense_2 3072,h; dense_3 h,3072",
        "all": "$attn; $qk; $ffn; attn_norm h; post_attention_norm h; ffn_norm h; post_ffw_norm h",
    },
    "MIMO2 mimo-v2-flash": {
        "kinds": "[('slides ' if s else 'full ') + ('sparse' if i else 'dense')"
        " for i in range(L) for s in [i and (i + 1) % 6]]",
        "keys": "attention.value_length=v attention.sliding_window=128"
        " attention.sliding_window_pattern=[i != 0 and (i + 1) % 6 != 0 for i in range(L)]"
        " attention.head_count_kv=[2 * kv if i and (i + 1) % 6 else kv for i in range(L)]"
        " expert_count=e expert_used_count=8 expert_feed_forward_length=m",
        "all": "$norms", "dense": "$ffn", "sparse": "$exps; exp_probs_b.bias e",
        "full": "attn_q q,h; attn_k k,h; attn_v kv*v,h; attn_output h,n*v",
        "slides": "attn_q q,h; attn_k 2*k,h; attn_v 2*kv*v,h; attn_output h,n*v; attn_sinks n",
    },
    "DECI llama-3.3-nemotron-super-49b-v1": {
        "let": "kv=8 f=28672",
        "kinds": "[('none ' if b['attention']['no_op'] else 'attn ') + str(b['ffn']['ffn_mult'])"
        " for b in block_configs]",
        "keys": "attention.head_count=[0 if b['attention']['no_op'] else n for b in block_configs]"
        " attention.head_count_kv=[0 if b['attention']['no_op'] else 8 for b in block_configs]"
        " feed_forward_length=[-(-int(2 * b['ffn']['ffn_mult'] * h / 3) // 256) * 256"
        " for b in block_configs]",
        "all": "ffn_norm h", "attn": "attn_norm h; $attn",
        **{
            str(mult): f"ffn_gate {width},h; ffn_up {width},h; ffn_down h,{width}"
            for mult in (0.5, 1.0, 1.3125, 2.625, 3.28125, 5.25)
            # a multiple of 256 from two thirds (configuration_decilm.py)
            for width in [-(-int(2 * mult * 8192 / 3) // 256) * 256]
        },
    },
    "BERT bge-small-en-v1.5": {
        "keys": "context_length=512",
        "outside": "token_embd V,h; token_types 2,h; position_embd 512,h; $embed",
        "all": "$encoder; $plain",
    },
    "NOMIC_BERT nomic-embed-text-v1.5": {
        "let": "h=768 L=12 n=12 f=3072 V=30528",
        "outside": "token_embd V,h; token_types 2,h; $embed",
        "all": "attn_qkv 3*h,h; attn_output h,h; $after; $ffn",
    },
    "NOMIC_BERT_MOE nomic-embed-text-v2-moe": {
        "let": "m=f", "kinds": "['sparse' if i % 2 else 'dense' for i in range(L)]",
        "keys": "expert_count=8 expert_used_count=2 moe_every_n_layers=2",
        "outside": "token_embd V,h; token_types 1,h; $embed",
        "all": "attn_qkv 3*h,h; attn_qkv.bias 3*h; attn_output h,h; attn_output.bias h; $after",
        "dense": "$plain",
        "sparse": "ffn_gate_inp 8,h; ffn_up_exps 8,m,h; ffn_down_exps 8,h,m; ffn_down.bias h",
    },
    "MODERN_BERT modernbert-base": {
        "kinds": "['first'] + ['later'] * (L - 1)",
        "outside": "token_embd V,h; token_embd_norm h; output_norm h",
        "all": "attn_qkv 3*h,h; attn_output h,h; ffn_norm h; ffn_up 2*f,h; ffn_down h,f",
        "later": "attn_norm h",
    },
    "T5 t5-base": {
        "let": "kv=n f=3072 L=12",
        "keys": "attention.key_length=64 attention.relative_buckets_count=32"
        " decoder_block_count=12",
        "outside": "token_embd V,h; enc.output_norm h; dec.output_norm h;"
        " enc.blk.0.attn_rel_b 32,n; dec.blk.0.attn_rel_b 32,n;"
        + ";".join(
            f"{side}.blk.{layer}.{name}"
            for layer in range(12)
            for side, more in (("enc", ""), ("dec", "cross_attn_"))
            for name in (
                *("attn_norm h", "attn_q q,h", "attn_k q,h", "attn_v q,h", "attn_o h,q"),
                *("ffn_norm h", "ffn_up f,h", "ffn_down h,f"),
                *((f"{more}norm h", f"{more}q q,h", f"{more}k q,h", f"{more}v q,h",
                   f"{more}o h,q") if more else ()),
            )
        ),
    },
}  # fmt: skip
