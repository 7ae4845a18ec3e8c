"""What a word of the page or of a report means, for who rests the mouse on it.

The meanings are those of the glossary in CONTRIBUTING.md, letter by letter, as
`tests/test_glossary.py` holds.
"""

from __future__ import annotations

import re
from html import escape

MEANINGS = {
    "all tokens/s": "tokens/s of all that a run counted, prompts too, over all of its time",
    "bound": "the least time that the data sheet allows with everything overlapped; no run beats "
    "it",
    "cache": "keys and values, or the state, that a decode step reads; its unit of allocation is "
    "a page or block",
    "decode": "steps that make one new token of each sequence",
    "decode/s": "tokens/s of a run's phases named decode, or as its benchmark said it",
    "dp": "data parallel: replicas",
    "engine": "the program that serves or trains: vLLM, llama.cpp, Megatron-LM",
    "ep": "expert parallel: devices that share the experts",
    "expected": "what the fitted rates say that it takes",
    "first token": "time from a request to its first token (TTFT)",
    "format": "how a number is stored: bf16, fp8, q4_k_m",
    "interval": "where eight in ten of the runs lie that the fit has not seen",
    "phase": "a named stretch of a run: load, prefill, decode",
    "pp": "pipeline parallel: stages of layers",
    "prefill": "the step that reads a prompt",
    "prompt": "tokens that are read before the first is made",
    "roofline": "the least time at each ratio of FLOPs to bytes",
    "throttled": "a clock lowered by heat or power, as the driver says",
    "throughput": "tokens a second of all sequences together, unless of one",
    "tokens/s": "tokens a second",
    "tp": "tensor parallel: devices that share each matrix",
    "users": "sequences that a server decodes at once",
}
_SAID = {
    "80 % high": "interval", "80 % interval": "interval", "80 % low": "interval",
    "all users together": "throughput", "each user gets": "users", "expert parallel": "ep",
    "pipeline stages": "pp", "replicas": "dp", "tensor parallel": "tp",
    "throughput of all sequences": "throughput", "tokens a second": "tokens/s",
}  # fmt: skip


def meaning(label: str) -> str:
    """What the word behind a label means: ``"first token: time from ..."``; empty where the
    glossary has no such word.

    Example:
        >>> meaning("Tensor parallel")
        'tp: tensor parallel: devices that share each matrix'
    """
    word = label.lower()
    word = _SAID.get(word, word)
    return f"{word}: {MEANINGS[word]}" if word in MEANINGS else ""


def explained(text: str) -> list[str]:
    """The meanings of the glossary's words in a text, for where nothing can rest on them.

    Example:
        >>> explained("the first token: expected")[0]
        'expected: what the fitted rates say that it takes'
    """
    return [
        f"{word}: {said}"
        for word, said in MEANINGS.items()
        if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
    ]


def titled(label: str) -> str:
    """The attribute of an HTML element that shows the meaning of its label, or nothing."""
    text = meaning(label)
    return f' title="{escape(text)}"' if text else ""
