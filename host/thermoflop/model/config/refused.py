"""Model types that are known and refused, with the reason: better than a number that is wrong."""

from __future__ import annotations

REFUSED = {
    "gemma3n": "its towers are not described here; pass its text_config (gemma3n_text) alone",
    "mobilebert": "bottlenecks and stacked feed-forwards are not described here",
    "longformer": "sliding attention with global tokens is not described here",
    "reformer": "hashed attention is not described here",
    "baichuan": "its code lives outside transformers; a config in the llama format can be counted",
    "chatglm": "its code lives outside transformers; its successors glm and glm4 can be counted",
    "qwen": "its code lives outside transformers; qwen2 and qwen3 can be counted",
    "internlm2": "its code lives outside transformers; a config in the llama format can be counted",
    "blt": "a patcher and three transformers on bytes and patches are not described here",
    "cpmant": "its prompt tokens, which lengthen every input, are not described here",
    "jetmoe": "attention whose projections are a mixture of experts is not described here",
    "longcat_flash": "experts that compute nothing make the work of a token depend on the token",
}
