"""The longest sequence that a configuration allows."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Table
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from thermoflop.model.architecture.description import Description

POSITION_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "seq_length")
# A tokenizer's key too, whose number without an end is 10**30; read where no other is there.
_TOKENIZER_KEYS = ("model_max_length", "max_sequence_length", "max_seq_length")
# The section of a configuration that is of the language model.
_TEXTS = ("text_config", "llm_config", "language_config", "decoder")
# families whose positions begin behind that of the padding
_FROM_PADDING = frozenset([
    "camembert", "data2vec-text", "ibert", "lilt", "longformer", "luke", "mpnet", "roberta",
    "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
])  # fmt: skip
# Those of the classes of transformers 5.24 that rotate (tests/truth/defaults.py evaluates them). A
# file that transformers wrote leaves out what its class takes anyway, as those of Gemma 3 and
# Falcon do.
_OF_CLASS = {
    2048: """aria_text bitnet codegen deepseek_v2 diffllama doge dots1 exaone4 exaone_moe
        falcon gpt_neox gpt_neox_japanese gptj granite granitemoe granitemoe_swa
        granitemoehybrid granitemoeshared hrm_text hunyuan_v1_dense hunyuan_v1_moe
        hyperclovax idefics llama nanochat olmo olmo2 olmo3 phi""",
    4096: """arcee deepseek_v3 exaone flex_olmo helium nemotron nemotron_h olmoe phi3
        sarvam_mla stablelm starcoder2 zamba zamba2""",
    8192: """beam cohere cohere2 cohere2_moe dory eurobert falcon_h1 gemma gemma2
        granite_swa jais2 modernbert-decoder t5_gemma_module vaultgemma""",
    9216: "emu3_text_model",
    16384: "afmoe persimmon",
    32768: """axk1 gemma3n_text glm4v_text internlm3 minicpm3 qwen2 qwen2_5_omni_text
        qwen2_5_vl_text qwen2_moe qwen2_vl_text qwen3 qwen3_5_moe_text qwen3_5_text
        qwen3_moe qwen3_next qwen3_omni_moe_text smollm3""",
    36864: "molmo2_text",
    65536: "apertus apertus1p5_text glm4v_moe_text olmo_hybrid",
    128000: "lfm2 lfm2_moe lfm3 qwen3_vl_moe_text qwen3_vl_text step3p5",
    131072: """axk2 cosmos3_edge_text cwm ernie4_5 ernie4_5_moe ernie4_5_vl_moe_text
        gemma3_text gemma4_text glm glm4 glm4_moe glm_ocr_text gpt_oss hy_v3 inkling_text
        iquestcoder laguna lara_mini llama4_text mellum mimo_v2_flash minimax ministral mistral
        mixtral mllama_text_model muse_glimmer_text paddleocr_vl_text phi4_multimodal phimoe
        sarvam_moe solar_open youtu""",
    163840: "deepseek_v32",
    196608: "minimax_m2",
    202752: "glm4_moe_lite glm_moe_dsa",
    262144: """bailing_hybrid bamba flint gemma4_unified_text hy_v4 hy_v4_vl_text jamba
        kolibri1 ministral3""",
    524288: "dots3_note_text minimax_m3_vl_text seed_oss",
    1048576: """deepseek_v4 glm5_next_text kimi_linear mistral4 mistral_large4_text
        muse_spark_text""",
}
# What Zamba2's class takes instead where its file says use_long_context.
_LONG_CONTEXT = 16_384
CLASS_POSITIONS = {name: most for most, names in _OF_CLASS.items() for name in names.split()}


def max_positions(config: Config, description: Description) -> int | None:
    """The longest sequence that the configuration states, or that its table of positions holds; of
    a model that reads nothing but images the tokens of one."""
    text = _text(config)
    if config.family.name == "zamba2" and config.raw.get("use_long_context") is True:
        return _LONG_CONTEXT
    most = next(_said(config, text), None)
    if most is not None:
        return most - _passed_over(config, most)
    stack = description.stack("decoder")
    for placed in stack.front if stack is not None else ():
        if isinstance(placed.part, Table) and placed.part.group == "embed_pos":
            return int(placed.part.rows)
    for key in _TOKENIZER_KEYS:
        value = config.raw.get(key)
        if is_count(value):
            return value
    image = description.stack("image") if stack is None else None
    return _of_class(config, text) if image is None else image.positions


def _text(config: Config) -> Config | None:
    """The configuration of the language model in this one."""
    return next((config.nested[key] for key in _TEXTS if key in config.nested), None)


def _said(config: Config, text: Config | None) -> Iterator[int]:
    """What the configuration says, the outer one first, else its default."""
    for key, value in _stated(config, text):
        most = _positions(key, value)
        if most is not None:
            yield most


def _stated(config: Config, text: Config | None) -> Iterator[tuple[str, Any]]:
    """What stands under the keys of positions."""
    beside = config.raw.get("text_config")
    for key in POSITION_KEYS:
        for each in (config, text):
            if each is not None:
                value = each[key] if key in each else each.raw.get(key)
                # of Music Flamingo beside its text: seconds of sound
                seconds = type(value) is float and each is not text and text is not None
                if value is not None and not seconds:
                    yield key, value
        if isinstance(beside, dict) and beside.get(key) is not None:
            yield key, beside[key]


def _positions(key: str, value: object) -> int | None:
    """A number of positions; None for 0 and less, which files write where there is no bound.
    InputError for what is no whole number."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise InputError(f"{key} is {quote_value(value)} where a whole number is expected")
    return value if value > 0 else None


def _of_class(config: Config, text: Config | None) -> int | None:
    """What the class takes where the file says nothing; None of a file that transformers did not
    write, or that says that there is no bound, or where slopes (ALiBi) stand for positions."""
    own: Mapping[str, Any] = (text or config).raw
    said = own.get("alibi") or any(True for _ in _stated(config, text))
    if "transformers_version" not in config.raw or said:
        return None
    return CLASS_POSITIONS.get((text or config).family.name)


def _passed_over(config: Config, rows: int) -> int:
    """Rows of the table of positions that no token uses: RoBERTa and its kin count from behind
    that of the padding (``create_position_ids_from_input_ids`` of transformers)."""
    padding = config.raw.get("pad_token_id", 1)
    if config.family.name not in _FROM_PADDING or type(padding) is not int:
        return 0
    return padding + 1 if 0 <= padding < rows - 1 else 0
