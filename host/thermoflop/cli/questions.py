"""Questions that people ask about memory, with the command that answers and its answer."""

from __future__ import annotations

# question, command, lines of what it prints (tests/cli/test_questions.py compares them)
QUESTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "70B on 2 x 24 GB?",
        "fit llama-3.3-70b --gpu rtx-3090 --devices 2 --dtype q4_k_m --profile llama.cpp",
        ("longest context at this batch:    19,712",),
    ),
    (
        "Qwen3-235B on a Mac of 128 GB?",
        "fit qwen3-235b-a22b --gpu m4-max --dtype q3_k_m --profile llama.cpp",
        (
            "together         136 GB of 137 GB a device (GB is 1e9 bytes)",
            "longest context at this batch:    10,496",
        ),
    ),
    (
        "LoRA of 8B on 16 GB?",
        "train llama-3.1-8b --gpu rtx-4080 --devices 1 --lora 16 --base nf4 --recompute full",
        ("memory a device: 9.65 GB of 17.2 GB, fits",),
    ),
    (
        "How many users at 8k on 4 x H100?",
        "fit llama-3.3-70b --gpu h100 --devices 4 --prompt 7168 --generate 1024 --profile vllm",
        ("vllm: KV cache 443,680 tokens; 54 sequences of 8,192 at once",),
    ),
    (
        "gpt-oss-120b on one H100?",
        "fit gpt-oss-120b --gpu h100 --profile vllm",
        (
            "together        77.0 GB of 85.5 GB a device (GB is 1e9 bytes)",
            "vllm: KV cache 206,987 tokens; 100 sequences of 1,152 at once",
        ),
    ),
    (
        "How many H200 for DeepSeek-V3?",
        "fit deepseek-v3 --gpu h200 --profile vllm",
        ("fewest devices for this:          6 (tp=2 pp=3)",),
    ),
    (
        "Which format of a 32B for 24 GB?",
        "fit qwen3-32b --gpu rtx-4090 --profile llama.cpp",
        ("weights in q5_k_m: 22.7 GB a device",),
    ),
    (
        "How long a context of an 8B on 24 GB?",
        "fit llama-3.1-8b --gpu rtx-3090 --kv-dtype fp8 --profile vllm",
        ("longest context at this batch:    81,456",),
    ),
    (
        "A 3060 and a 3090 together?",
        'fit llama-3.3-70b --gpu "rtx-3060 + rtx-3090" --dtype q3_k_m --profile llama.cpp',
        (
            "RTX 3060 12GB: 27 layers, 12.3 GB of 12.9 GB",
            "RTX 3090: 53 layers and the output, 24.1 GB of 25.8 GB",
        ),
    ),
    (
        "gpt-oss-120b on 32 GB, experts in the host's memory?",
        "fit gpt-oss-120b --gpu rtx-5090 --profile llama.cpp --host-bandwidth 80",
        (
            (
                "experts of 18 of 36 layers in the computer's memory "
                "(-ncmoe 18: 31.1 GB at 80 GB/s): 42.5"
            ),
            "tokens/s (30.4 to 59.5), prompts at 289 (150 to 546)",
        ),
    ),
)


def questions_text() -> str:
    """The questions with command and answer, as the help shows them."""
    lines = ["questions that people ask:"]
    for question, command, answers in QUESTIONS:
        lines += [f"  {question}", f"    thermoflop {command}"]
        lines += [f"      {answer}" for answer in answers]
    return "\n".join(lines)
