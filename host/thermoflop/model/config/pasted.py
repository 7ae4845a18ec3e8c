"""Names as they are pasted: addresses of Hugging Face and of Ollama's library, and commands."""

from __future__ import annotations

import re

_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?(huggingface\.co|hf\.co|ollama\.com|ollama\.ai)/([^?#\s]+).*", re.I
)
_COMMAND = re.compile(r"ollama +(?:run|pull|show) +(\S+).*", re.I)
# Services whose models nobody can count: their configurations are not published.
_CLOSED = re.compile(r"(chatgpt|gpt-?[45]|o[134](-|$)|claude|gemini|grok-?[3-9]).*", re.I)


def plain(name: str) -> str:
    """The name that an address or a command means, or the text itself without ends of slashes.

    Example:
        >>> plain("https://huggingface.co/Qwen/Qwen3-8B/tree/main")
        'Qwen/Qwen3-8B'
        >>> plain("ollama run llama3.1:8b"), plain("https://ollama.com/library/gemma3")
        ('ollama/llama3.1:8b', 'ollama/gemma3')
    """
    text = name.strip()
    command = _COMMAND.fullmatch(text)
    if command is not None:
        text = command[1] if "/" in command[1] else f"ollama/{command[1]}"
    address = _ADDRESS.fullmatch(text)
    if address is None:
        return text.rstrip("/")
    parts = address[2].strip("/").split("/")
    if address[1].lower().startswith("ollama"):
        return "/".join(["ollama" if part == "library" else part for part in parts[:2]])
    if parts[-1].lower().endswith(".gguf"):  # the file's name says the format
        return parts[-1][:-5]
    return "/".join(parts[:2])


def is_closed(name: str) -> bool:
    """Whether a name is that of a service whose models are not published."""
    return _CLOSED.fullmatch(name.rsplit("/", 1)[-1]) is not None
