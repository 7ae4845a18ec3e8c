"""The number format that a model's name says: ``llama-3.1-8b-awq``, ``qwen3-8b:q4_K_M``; a name in
Ollama's library that says none means the format of its download."""

from __future__ import annotations

import re

from thermoflop.errors import InputError
from thermoflop.model.architecture.formats import USUAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# The patterns of this module are not compiled before they are asked for: a name asks for few.
# llama.cpp's names of its formats, as in q4_K_M, iq3_xxs, ud-q2_k_xl
GGUF = r"[-_.: ](?:ud[-_])?((?:i|t)?q\d(?:_[a-z0-9]+)*|mxfp4_moe)$"
# Words of a name, the first that is there, and the format that they mean. The groups and scales are
# those that the method's own tools have by default (AutoAWQ, GPTQModel, bitsandbytes as Unsloth
# publishes it, mlx_lm.convert, llm-compressor).
_WORDS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(words.split()), meant)
    for words, meant in (
        ("gptq int8", "gptq-int8-g128"), ("gptq 8bit", "gptq-int8-g128"),
        ("gptq", "gptq-int4-g128"), ("awq", "awq-int4-g128"), ("hqq", "hqq-int4-g64"),
        ("mlx 8bit", "mlx-int8-g64"), ("mlx 4bit", "mlx-int4-g64"),
        ("bnb 8bit", "bnb-int8"), ("bnb 4bit unsloth", "bnb-nf4-dq"), ("bnb 4bit", "bnb-nf4"),
        ("w4a16", "w4a16-g128"), ("w8a16", "w8a16"), ("w8a8", "w8a8"), ("nvfp4", "nvfp4"),
        ("mxfp4", "mxfp4"), ("mxfp8", "mxfp8"), ("nf4", "nf4"), ("fp8 dynamic", "fp8-dynamic"),
        ("fp8 block", "fp8-block128"),
        ("fp8", "fp8"), ("fp4", "nvfp4"), ("int4", "int4"), ("4bit", "int4"), ("int8", "int8-wo"),
        ("8bit", "int8-wo"),
    )
)  # fmt: skip

# A name that Ollama pulls: with a tag, which no other hub has, with its library as the owner, or
# without a size and in its library. (A name of our catalogue is the model as it was published.)
_OLLAMA = r"(?P<owner>(?:[\w.-]+/)*)(?P<model>[\w.-]+?)(?::(?P<tag>[\w.-]+))?$"
_LIBRARY = ("ollama/", "library/", "registry.ollama.ai/library/")
_SPELLED = r"(?:llama|gemma|qwen|phi|olmo)\d[\d.]*(?:n|vl)?(?:-mini|-coder|-vision)?"
_BARE = frozenset(
    """
    athene-v2 codegemma codellama codestral cogito command-r deepscaler deepseek-coder
    deepseek-coder-v2 deepseek-llm deepseek-v2.5 deepseek-v3.1 devstral devstral-2 devstral-small-2
    falcon falcon3 gemma glm4 hermes3 internlm2 llama-guard3 llama2-uncensored llama3-chatqa llava
    magistral marco-o1 minicpm-v mistral mistral-large mistral-nemo mistral-small mistral-small3.1
    mistral-small3.2 mixtral nemotron nemotron-mini neural-chat phi qwen2-math qwen3-vl qwq smollm2
    solar stablelm2 starcoder2 tinyllama vicuna wizardlm2 yi yi-coder zephyr
    """.split()  # noqa: SIM905 - a list of words
)
# What it downloads where no format is said: "The default is now q4_k_m" (ollama issue 1543, late
# 2024; before, q4_0: issues 643 and 4626), beside the sizes in its README: 1.3 GB of Llama 3.2 1B,
# 5.5 GB of Gemma 2 9B, 3.8 GB of Code Llama 7B. gpt-oss is as OpenAI published it.
_DOWNLOAD = "q4_k_m"
_DOWNLOADS = (
    (r"(gpt-oss|.*embed|bge|all-minilm|snowflake).*", None),
    (r"llama3\.2:1b.*|gemma3:270m.*", "q8_0"),
    (r"smollm2?:(135m|360m).*", "fp16"),
    (r"(llama[23]|codellama|gemma2?|mixtral|qwen2?|phi3|llava|falcon)(:.*)?", "q4_0"),
    (
        r"(zephyr|neural-chat|wizardlm2|llama2-uncensored|llama3-chatqa|qwen2-math|yi-coder)(:.*)?",
        "q4_0",
    ),
    (r"deepseek-(coder(-v2)?|llm|v2)(:.*)?", "q4_0"),
)
_SAID = " is a name of Ollama's library"
_FILES = " is a name of GGUF files"
_DOWNLOADED = ", whose download is "
_WIDE = ("fp16", "bf16", "f16", "fp32")
_TRAINED_NARROW = "qat"  # Google's quantization-aware Gemma 3 is q4_0

_MEDIUM = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}
_NVIDIA = "nvidia/deepseek-(?:r1|r1-0528|v3-0324)-(?:nv)?fp4"
# Names with their owners, and the form that their config.json states.
_FORMS = (
    # "fine-grained fp8 quantization with block size of 128" (the cards of Qwen3-FP8, Next, 3.5)
    ("(?:qwen/)?qwen3[^/]*-fp8", "fp8-block128"),
    # of the attention the second version alone quantizes a matrix, "the wo module" (its card)
    (f"{_NVIDIA}-v2", "modelopt-nvfp4-o"),
    (_NVIDIA, "modelopt-nvfp4-mlp"),
)
# Of a model that is published in fp8 or less, the repositories in 16 bits: those that say so, and
# what Mistral publishes beside its Instruct (the table of precisions in the cards of Ministral 3).
_WIDE_NAMES = r".*[-_](?:b?f|fp)16|.*mi(?:ni)?stral-(?:large-)?3-\d+b-(?:base|reasoning)(?:-2512)?"


def said_format(name: str, config: Mapping[str, Any]) -> tuple[str | None, str]:
    """The format that a name says or means of a model with that configuration, and the sentence
    about it; None and "" for neither. ``fp16`` stands for 16 bits."""
    if _means_16_bits(name, config):
        return "fp16", "the name means 16 bits: the weights are counted so"
    said = _form_of(name) or named_format(name)
    if said is None:
        return ollama_format(name)
    mix = re.search(GGUF, name.lower())
    if mix is None or (mix[1] in (said, *_MEDIUM) and "ud" not in mix[0]):
        return said, f"the name means {said}: the weights are counted so"
    return said, (
        f"{mix[0][1:]} of the name is counted as {said}: such mixes differ from model to model, "
        "and the file itself is counted exactly"
    )


def named_format(name: str) -> str | None:
    """The format in a name, or None where it says none. InputError for one that is none."""
    low = name.lower()
    match = re.search(GGUF, low)
    if match is not None and (form := _gguf(match[1])):
        return form
    if match is not None:
        raise InputError(
            f"{match[1]} of {name!r:.60} is no format of GGUF files: expected one such as "
            + USUAL.get(match[1].lstrip("itq")[:1], "q4_k_m")
        )
    words = set(re.split(r"[-_ :/]+|(?<=quantized)\.", low))
    if "community" in words and "mlx" in words:
        words.add("mlx")
    return next((meant for needed, meant in _WORDS if needed <= words), None)


def ollama_format(name: str) -> tuple[str | None, str]:
    """The format that a name of Ollama's library means, and the sentence that says so; None with a
    sentence where the model is as its maker published it, and with "" where the name is none of
    Ollama's. It writes them small: without a tag, ``DeepSeek-V3.1`` is what its maker calls it.

    ``fp16`` stands for 16 bits, whatever the device computes in.
    """
    match = re.match(_OLLAMA, name.lower())
    if match is None:
        return None, ""
    owner, model, tag = match["owner"], match["model"], match["tag"] or ""
    # of a repository of GGUF files it takes q4_k_m as well (huggingface.co/docs/hub/ollama)
    files = model.endswith("-gguf")
    spelled = not owner and name == name.lower()
    spelled = spelled and (model in _BARE or re.fullmatch(_SPELLED, model) is not None)
    if not (tag or files or spelled or owner in _LIBRARY):
        return None, ""
    words = tag.split("-")
    whole = f"{model}:{tag}" if tag else model
    where = _FILES if files else _SAID
    if any(word in _WIDE for word in words):
        return "fp16", f"{whole}{where}, whose tag says 16 bits: the weights are counted so"
    if _TRAINED_NARROW in words:
        means: str | None = "q4_0"
    elif files:
        means = None if model.startswith("gpt-oss") else _DOWNLOAD
    else:
        means = next((form for names, form in _DOWNLOADS if re.fullmatch(names, whole)), _DOWNLOAD)
    if means is None:
        return None, f"{whole}{where}{_DOWNLOADED}as it was published"
    return means, (
        f"{whole}{where}{_DOWNLOADED}{means} where the tag says no format: "
        "the weights are counted so; --dtype says another"
    )


def means_download(sentence: str, tagged: bool = False) -> bool:
    """Whether a sentence of ``ollama_format`` is about a name that says nothing but a model, or a
    size besides (``tagged``): other engines than Ollama's run it as published."""
    name, said, _ = sentence.partition(_SAID + _DOWNLOADED)
    return bool(said) and (tagged or ":" not in name)


def means_file(sentence: str, ollama: bool = False) -> bool:
    """Whether a sentence of ``ollama_format`` is about a name that a file of llama.cpp's has, in
    whatever format, or one of Ollama's (``ollama``)."""
    return _SAID in sentence or (_FILES in sentence and not ollama)


def _gguf(word: str) -> str | None:
    """llama.cpp's name of a mix; of Unsloth's larger and smaller ones (q2_k_xl) the plain one."""
    from thermoflop.model.config.gguf_formats import FILE_TYPES

    known = {name: name for name in FILE_TYPES.values()} | _MEDIUM
    while word not in known and "_" in word:
        word = word.rpartition("_")[0]
    return known.get(word)


def _form_of(name: str) -> str | None:
    """The published form that a repository's name means, or None."""
    low = name.lower()
    return next((form for names, form in _FORMS if re.fullmatch(names, low)), None)


def _means_16_bits(name: str, config: Mapping[str, Any]) -> bool:
    """Whether a name means 16 bits where the model of that configuration is stored in fewer."""
    inner = config.get("text_config")
    stored = config.get("quantization_config") or (inner or {}).get("quantization_config")
    return bool(stored) and re.fullmatch(_WIDE_NAMES, name.lower()) is not None
