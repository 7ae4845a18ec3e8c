"""The families of models, as data: one entry for each ``model_type``, in modules by kind.

A module is imported when one of its families is looked up: starting stays cheap.
"""

from __future__ import annotations

from importlib import import_module

from thermoflop.model.config.drafting_classes import drafting_family
from thermoflop.model.config.family import FAMILIES, Family, spaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# module -> the model_types that it defines; the test of families holds both lists equal
MODULES = {
    "dense": "cohere cohere2 gemma gemma2 gemma3_text granite llama mistral olmo olmo2 olmo3 phi3"
    " qwen2 qwen3 smollm3 stablelm",
    "classic": "codegen gpt2 gpt_bigcode gpt_neo gpt_neox gptj nemotron opt phi starcoder2",
    "alibi": "bloom falcon mpt",
    "mixtures": "dbrx glm4_moe gpt_oss granitemoe llama4_text mixtral olmoe phimoe qwen2_moe"
    " qwen3_moe",
    "latent": "deepseek_v2 deepseek_v3 deepseek_v32 glm4_moe_lite glm_moe_dsa kimi_k2",
    "linear": "kimi_linear minimax qwen3_5_moe_text qwen3_5_text qwen3_next",
    "sparse": "deepseek_ref deepseek_v4 minimax_m3 minimax_m3_vl_text",
    "by_layer": "mimo mimo_v2_flash openelm step3p5",
    "by_vendor": "arcee biogpt dots1 ernie4_5 exaone4 glm glm4 granitemoeshared helium"
    " minimax_m2 ministral persimmon seed_oss",
    "llama_kin": "cwm emu3_text_model exaone granite_swa hunyuan_v1_dense hyperclovax internlm3"
    " iquestcoder jais2 ministral3 nanochat vaultgemma",
    "expert_kin": "aria_text ernie4_5_moe flex_olmo hunyuan hunyuan_v1_moe hy_v3 param2moe"
    " sarvam_moe solar_open",
    "sliding_experts": "cohere2_moe exaone_moe flint granitemoe_swa kolibri1 mellum",
    "latent_kin": "axk1 beam lara_mini minicpm3 mistral4 sarvam_mla youtu",
    "recurrences": "recurrent_gemma rwkv",
    "matrix_states": "jet_nemotron plamo2 rwkv7 xlstm",
    "xlnet": "xlnet",
    "own_parts": "Motif afmoe apertus bitnet diffllama doge dory hrm_text laguna moshi motif",
    "gpt_kin": "ctrl gpt-sw3 gpt_neox_japanese modernbert-decoder openai-gpt xglm",
    "recurrent": "falcon_mamba jamba mamba mamba2 nemotron_h nemotron_h_puzzle",
    "per_layer": "gemma3n_text gemma4_text gemma4_unified_text nemotron-nas",
    "hybrids": "bamba falcon_h1 granitemoehybrid lfm2 lfm2_moe lfm3 zamba zamba2",
    "beside_weights": "aquila baichuan bailing_moe bailing_moe_v2 chatglm deepseek internlm"
    " internlm2 llama_bidirec minicpm orion phi3small qwen xverse",
    "encoders": "albert bert camembert distilbert electra roberta xlm-roberta",
    "vision": "clip clip_text_model clip_vision_model deit siglip_vision_model swin swinv2 vit",
    "more_seers": "aimv2 aimv2_text_model aimv2_vision_model audio-spectrogram-transformer beit"
    " chinese_clip chinese_clip_text_model chinese_clip_vision_model data2vec-vision"
    " metaclip_2 metaclip_2_text_model metaclip_2_vision_model mlcd_vision_model pixio vit_mae",
    "more_texts": "dpr imagegpt openai_privacy_filter splinter visual_bert",
    "towers": "gemma4_vision idefics3_vision internvl_vision kimi_k25_vision llama4_vision_model"
    " minimax_m3_vl_vision paddleocr_vl_vision pixtral siglip2_vision_model smolvlm_vision"
    " video_llama_3_vision",
    "inkling": "inkling2_text inkling_text",
    "inkling_senses": "inkling2 inkling2_vision inkling_audio inkling_mm_model inkling_vision",
    "newest": "axk2 dots3_note_text hy_v4 hy_v4_vl_text mistral_large4_text",
    "newest_hybrids": "bailing_hybrid glm5_next_text minicpm_sala olmo_hybrid solar_open2",
    "ngrams": "longcat_flash longcat_flash_ngram longcat_flash_sparse qwen3_8_flash_next_text"
    " qwen4_exp_text",
    "shared_entries": "deepseek_v41 deepseek_v41_text deepseek_v41_vision",
    "mimo": "mimo_v2 mimo_v2_text mimovl",
    "gigachat": "gigachat3_5",
    "ring": "bailing_moe_linear",
    "step5": "step3p5v step4 step5 step5_vl",
    "step3": "step3_text step3_vision_encoder step3_vl",
    "hunyuan_ocr": "hunyuan_vl hunyuan_vl_text hunyuan_vl_vision",
    "alice": "alice_ai",
    "dots_note": "dots3_note dots3_note_audio_encoder dots3_note_vision_encoder",
    "deepseek_ocr2": "deepseek_ocr2 deepseek_ocr2_encoder deepseek_ocr2_sam_vision_model"
    " deepseek_ocr2_text deepseek_ocr2_vision",
    "zaya": "zaya zaya1_vl zaya1_vl_text zaya1_vl_vision",
    "newest_served": "iquest_q1 joyai_llm_flash k2_horizon nanbeige ouro plamo3 spark2_5"
    " telechat3 xing4_0 youtu_llm",
    "qwen_towers": "exaone4_5_vision glm4v_moe_vision glm4v_vision glm5_next_vision glm_ocr_vision"
    " qwen2_5_omni_vision_encoder qwen2_5_vl_vision qwen3_omni_moe_vision_encoder"
    " qwen2_vl_vision qwen3_5_vision qwen3_vl_vision",
    "other_towers": "gemma4_audio kimi_k3_vision mllama_vision_model phi4_multimodal_audio"
    " phi4_multimodal_vision qwen2_5_omni_audio_encoder qwen2_audio_encoder step3p5_vision"
    " voxtral_encoder",
    "wrapped": "exaone4_5_text glm4v_moe_text glm4v_text glm_ocr_text paddleocr_vl_text"
    " qwen2_5_omni_text mllama_text_model phi4_multimodal_text"
    " qwen2_5_vl_text qwen2_vl_text qwen3_vl_moe_text qwen3_vl_text",
    "more_wrappers": "aya_vision cohere2_vision cosmos3_omni deepseek_vl glm46v glm_ocr glmga"
    " hyperclovax_vision_v2 kimi_k3 lighton_ocr paddleocr_vl qwen2_5_omni_thinker"
    " step3p7 video_llama_3 vipllava",
    "wrappers": "exaone4_5 gemma3 gemma4 glm4v glm4v_moe idefics3 internvl kimi_k25"
    " lfm2_vl llama4 llava llava_next llava_next_video llava_onevision minimax_m3_vl"
    " mistral3 mllama paligemma phi4_multimodal qwen2_5_vl qwen2_audio qwen2_vl qwen3_5"
    " qwen3_5_moe qwen3_8_flash_next qwen3_vl qwen3_vl_moe qwen4_exp smolvlm video_llava voxtral",
    "early_wrappers": "aria blip blip-2 fuyu git idefics idefics2 instructblip instructblipvideo"
    " kosmos-2 kosmos-2.5",
    "newest_seers": "bailing_moe_v3_vl colmodernvbert colpali colqwen2 diffusion_gemma"
    " diffusion_gemma_text qwen3_moe_vit",
    "served": "Dream bidirectional_pplx_qwen3 jina_embeddings_v5 llada llada2_moe minimax_m1"
    " minimax_text_01 nemotron_labs_diffusion sdar sdar_moe solar",
    "served_wrappers": "deepseek_ocr_vision deepseek_vl_v2 dots_ocr dots_vision kimi_vl"
    " unlimited-ocr",
    "beside_experts": "arctic grok-1 grok-2",
    "beside_wrappers": "intern_vit_6b interns1 internvl_chat lfm2-vl minicpmv phi3_v",
    "nemotron_seers": "NemotronH_Nano_Omni_Reasoning_V3 NemotronH_Nano_VL_V2 nemotron_radio"
    " nemotron_sound",
    "compass": "cohere_compass cohere_compass_text cohere_compass_vision granite4_vision"
    " granite4_vision_text",
    "published_seers": "GOT got_text locateanything minimax_vl_01 moondream1"
    " moondream_vision ovis2_5 ovis2_6 ovis2_6_moe ovis2_6_next siglip2_navit step_robotics"
    " step_robotics_vision",
    "apertus": "apertus1p5 apertus1p5_text apertus1p5_vision_tokenizer wavtokenizer_encoder",
    "phi4mm": "phi4mm phi4mm_audio phi4mm_text",
    "listening_wrappers": "audioflamingo3 glmasr moss_transcribe_diarize musicflamingo qwen3_asr"
    " voxtral_realtime",
    "listening_towers": "audioflamingo3_encoder glmasr_encoder moss_transcribe_diarize_audio"
    " qwen3_asr_encoder voxtral_realtime_encoder voxtral_realtime_text",
    "single_towers": "gemma3n_audio gemma3n_vision hy_v4_vl_vision",
    "document_wrappers": "deepseek_vl_hybrid got_ocr2 granite_docling pp_chart2table unlimited_ocr",
    "newer_wrappers": "cosmos3_edge ernie4_5_vl_moe gemma3n gemma4_unified glm5_next hy_v4_vl"
    " janus lfm3_vl minicpm_ocr minicpmv4_6 minicpmv4_7 mistral_large4 modernvbert molmo2"
    " muse_glimmer muse_spark nemotron_h_omni ovis2 qianfan_ocr qwen3_omni_moe_thinker"
    " shieldgemma2 ultravbert",
    "granite_ears": "granite_speech granite_speech_encoder granite_speech_plus"
    " granite_speech_projector",
    "speaking": "qwen3_omni_moe qwen3_omni_moe_code2wav qwen3_omni_moe_talker"
    " qwen3_omni_moe_talker_code_predictor qwen3_omni_moe_talker_text",
    "ernie_beside": "DFNRope_vision_transformer ernie4_5_moe_vl",
    "newer_texts": "cosmos3_edge_text ernie4_5_vl_moe_text molmo2_text muse_glimmer_text"
    " muse_spark_text qwen3_omni_moe_text",
    "newer_towers": "cosmos3_edge_vision ernie4_5_vl_moe_vision gemma4_unified_audio"
    " gemma4_unified_vision janus_vision_model janus_vqgan lfm3_vl_vision minicpm_ocr_vision"
    " minicpmv4_6_vision minicpmv4_7_vision molmo2_adapter molmo2_vision muse_glimmer_vision"
    " muse_spark_audio muse_spark_vision ovis2_vision qianfan_ocr_vision"
    " qwen3_omni_moe_audio_encoder radio",
    "early_towers": "blip_2_qformer blip_2_vision_model blip_text_model blip_vision_model fuyu_text"
    " git_text git_vision_model idefics2_perceiver idefics2_vision idefics_perciever idefics_text"
    " idefics_vision instructblip_qformer instructblip_vision_model instructblipvideo_qformer"
    " instructblipvideo_vision_model kosmos_2_5_text_model kosmos_2_5_vision_model"
    " kosmos_2_text_model kosmos_2_vision_model",
    "document_towers": "got_ocr2_vision granite_docling_text granite_docling_vision"
    " pp_chart2table_vision sam_vision_model unlimited_ocr_sam_vision_model unlimited_ocr_text"
    " unlimited_ocr_vision unlimited_ocr_vision_encoder",
    "bert_kin": "big_bird data2vec-text ernie flaubert ibert layoutlm megatron-bert rembert"
    " roberta-prelayernorm roc_bert roformer tapas xlm xlm-roberta-xl",
    "bert_others": "bert-generation fnet longformer luke mobilebert mra nystromformer"
    " tipsv2_text_model ultrabert xmod yoso",
    "embedders": "esm esmc eurobert gte jina_bert jina_embeddings_v3 modernbert mpnet new"
    " nomic_bert",
    "own_encoders": "convbert neomme reformer squeezebert",
    "drafting": "dflash dflash2 dspark eagle3 eagle3_deepseek eagle3_qwen3 gemma4_assistant"
    " gemma4_unified_assistant muse_glimmer_assistant",
    "resized": "funnel perceiver",
    "deberta": "deberta deberta-v2",
    "pairs": "encoder-decoder pix2struct pix2struct_text_model pix2struct_vision_model trocr"
    " vision-encoder-decoder",
    "series": "timesfm timesfm2_5",
    "videos": "tipsv2 tipsv2_vision_model videomae vivit vjepa2",
    "embedding_gemma": "embedding_gemma2 embedding_gemma2_text",
    "speech": "canary canary_decoder cohere_asr data2vec-audio hubert moonshine omniasr_audio"
    " omniasr_ctc parakeet_ctc parakeet_encoder parakeet_rnnt parakeet_tdt unispeech"
    " unispeech-sat wav2vec2 wavlm",
    "seers": "dinov2 dinov2_with_registers dinov3_vit ijepa siglip siglip2 siglip2_text_model"
    " siglip_text_model vit_msn",
    "t5gemma": "t5_gemma_module t5gemma",
    "seq2seq": "bart bigbird_pegasus blenderbot blenderbot-small fsmt led longt5 m2m_100 marian"
    " mbart mt5 mvp nllb-moe pegasus pegasus_x plbart switch_transformers t5 umt5 whisper",
}
_TOWERS = spaced(
    "towers qwen_towers other_towers single_towers early_towers document_towers listening_towers"
    " newer_towers"
)
# towers whose class is counted alone as well, and those that are parts of other models only
_ALONE = {"siglip2_vision_model", *spaced(
    "cosmos3_edge_vision exaone4_5_vision gemma4_vision glm4v_moe_vision glm4v_vision"
    " glm5_next_vision glm_ocr_vision hy_v4_vl_vision idefics3_vision internvl_vision"
    " kimi_k25_vision lfm3_vl_vision muse_glimmer_vision muse_spark_vision pixtral"
    " qianfan_ocr_vision qwen2_5_vl_vision qwen3_5_vision qwen3_vl_vision radio sam_vision_model"
    " smolvlm_vision video_llama_3_vision"
)}  # fmt: skip
_PARTS = {name for kind in _TOWERS for name in MODULES[kind].split()} - _ALONE
_PARTS |= {*spaced(
    "DFNRope_vision_transformer apertus1p5_vision_tokenizer canary_decoder cohere_compass_vision"
    " deepseek_ocr2_encoder deepseek_ocr2_sam_vision_model deepseek_ocr2_vision deepseek_ocr_vision"
    " deepseek_v41_vision dots3_note_audio_encoder dots3_note_vision_encoder"
    " dots_vision granite_speech_encoder granite_speech_projector"
    " hunyuan_vl_vision inkling2_vision inkling_audio inkling_vision intern_vit_6b mimovl"
    " moondream_vision nemotron_radio nemotron_sound phi4mm_audio phi4mm_text"
    " pix2struct_text_model pix2struct_vision_model qwen3_moe_vit step3_vision_encoder"
    " got_text siglip2_navit step_robotics_vision wavtokenizer_encoder"
    " zaya1_vl_vision"
    " t5_gemma_module"
)}  # fmt: skip
_PARTS |= set(MODULES["speaking"].split()) - {"qwen3_omni_moe"}
_HOME = {name: module for module, names in MODULES.items() for name in names.split()}

FAMILY_NAMES = tuple(sorted(_HOME.keys() - _PARTS))


def find_family(name: str) -> Family | None:
    """The family of a ``model_type``, or None when there is none."""
    module = _HOME.get(name)
    if module is None:
        return None
    import_module(f"thermoflop.model.config.families.{module}")
    return FAMILIES[name]


# classes of files that state no model_type
UNNAMED = {"LongcatCausalLM": "longcat_flash_sparse"}


def own_type(name: str, raw: Mapping[str, Any]) -> str:
    """The type that code beside the weights builds under another's name (jinaai's BERTs)."""
    if name == "bert" and str(raw.get("architectures")).startswith("['JinaBert"):
        return "jina_bert"
    if name == "xlm-roberta" and raw.get("position_embedding_type") == "rotary":
        return "jina_embeddings_v3"
    if name == "jina_embeddings_v5" and raw.get("is_decoder") is False:
        return "eurobert"  # the nano ones
    if name == "git" and raw.get("architectures") == ["Grok1ForCausalLM"]:
        return "grok-2"  # as xAI's file has it
    return drafting_family(raw) or name
