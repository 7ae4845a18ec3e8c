"""What people call a model: names of the catalogue, other spellings, and ids in a local cache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import thermoflop as tf
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model import load
from thermoflop.model.config.catalogue import canonical, names, sized_as

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face's."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "hf" / "hub").mkdir(parents=True)
    return tmp_path / "hf" / "hub"


def lay(cache: Path, name: str, text: str) -> Path:
    """A model in a cache as ``huggingface_hub`` lays it: the file is a link to a blob."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (folder / "blobs").mkdir()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    (folder / "blobs" / "4e7f").write_text(text)
    (snapshot / "config.json").symlink_to("../../blobs/4e7f")
    return folder


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("llama3.1:8b", "llama-3.1-8b"),
        ("llama 3.1 8b", "llama-3.1-8b"),
        ("llama3.1:8b-instruct-q4_K_M", "llama-3.1-8b"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama-3-8b"),
        ("unsloth/Llama-3.1-8B-Instruct-bnb-4bit", "llama-3.1-8b"),
        ("bartowski/Qwen2.5-7B-Instruct-GGUF", "qwen2.5-7b"),
        ("qwen3:30b-a3b", "qwen3-30b-a3b"),
        ("gpt-oss:20b", "gpt-oss-20b"),
        ("gemma4", "gemma-4-e4b"),
        ("hermes4", "qwen3-14b"),
        ("Qwen/Qwen2.5-Math-7B-Instruct", "qwen2.5-7b"),
        ("CohereLabs/c4ai-command-r-08-2024", "aya-expanse-32b"),
        ("unsloth/gemma-4-E2B-it-GGUF", "gemma-4-e2b"),
        ("qwen3.5:4b", "qwen3.5-4b"),
        ("mistralai/Mistral-Large-3-675B-Instruct-2512-NVFP4", "mistral-large-3-675b"),
        ("granite-embedding", "granite-embedding-30m"),
        ("openai-community/gpt2", "gpt2"),
        ("mixtral", "mixtral-8x7b"),
        ("Llama 3.1 8B Instruct Q4_K_M", "llama-3.1-8b"),
        ("deepseek v3", "deepseek-v3"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b-v0.3"),
        ("nvidia/Qwen3-235B-A22B-NVFP4", "qwen3-235b-a22b-nvfp4"),  # its formats are known
        ("RedHatAI/Qwen3-235B-A22B-Instruct-2507-FP8-dynamic", "qwen3-235b-a22b-2507"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nemotron-3-nano-30b-a3b"),
        ("unsloth/gpt-oss-20b-GGUF", "gpt-oss-20b"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "llama-3.3-70b"),
        ("deepseek-r1:14b", "qwen2.5-14b"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3-30b-a3b-2507"),
        ("Qwen/Qwen3-VL-30B-A3B-Thinking", "qwen3-vl-30b-a3b"),
        ("google/gemma-4-26B-A4B-it", "gemma-4-26b-a4b"),
        ("mistralai/Mistral-Small-24B-Instruct-2501", "mistral-small-24b"),
        ("zai-org/GLM-4.6-FP8", "glm-4.6"),
        ("cyankiwi/Kimi-Linear-48B-A3B-Instruct-AWQ-4bit", "kimi-linear-48b-a3b"),
        ("gemma3:27b", "gemma-3-27b"),
        ("gemma3:27b-it-qat", "gemma-3-27b"),
        ("mistralai/Ministral-3-14B-Instruct-2512", "ministral-3-14b"),
        ("ministral-3:8b", "ministral-3-8b"),
        ("Qwen/Qwen3-Coder-Next", "qwen3-next-80b-a3b"),
        ("openai/gpt-oss-safeguard-20b", "gpt-oss-20b"),
        ("CohereLabs/c4ai-command-a-03-2025", "command-a"),
        ("zai-org/GLM-4.6V", "glm-4.6v"),
        ("llama3.2-vision", "llama-3.2-11b-vision"),
    ],
)
def test_what_people_write_leads_to_the_shape(said: str, name: str) -> None:
    assert canonical(said) == name
    assert tf.load_model(said).name == name


@pytest.mark.parametrize("said", ["pegasus-base", "mistral-7b-v0.9", "llama-9-8b", "a/b/c", ""])
def test_a_name_that_only_looks_like_one_stays_unknown(said: str) -> None:
    assert canonical(said) not in names()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("qwen3.6-27b", "qwen3.5-27b"),
        ("unsloth/Qwen3.6-27B-GGUF", "qwen3.5-27b"),
        ("qwen3.8:27b", "qwen3.5-27b"),
        ("deepseek-r1:7b", "qwen2.5-7b"),
        ("qwen2-1.5b", "qwen2.5-1.5b"),
        ("llama3.1:8b", ""),
        ("meta-llama/Meta-Llama-3-8B-Instruct", ""),
        ("phi-1_5", ""),
        ("granite4:micro", ""),
        ("mistral", ""),
        ("gpt2", ""),
        ("no-such-model", ""),
    ],
)
def test_a_name_of_another_model_than_its_sizes_are_of_is_told(said: str, meant: str) -> None:
    assert sized_as(said) == meant


def test_every_other_name_leads_to_a_model_and_is_none_itself() -> None:
    data = Path(load.__file__).parent / "data"
    other = json.loads((data / "names.json").read_text())
    assert set(other.values()) <= set(names())
    assert not set(other) & set(names())
    assert all(canonical(said) == name for said, name in other.items())


def test_no_two_names_differ_by_what_stands_between_their_words_alone() -> None:
    squashed = [name.replace("-", "") for name in names()]
    assert len(set(squashed)) == len(squashed)


def test_an_id_with_its_owner_is_read_from_the_local_cache_first(cache: Path) -> None:
    lay(cache, "meta-llama/Llama-3.1-8B", json.dumps(LLAMA))
    model = tf.load_model("meta-llama/Llama-3.1-8B")
    assert model.description.stacks[0].hidden == 64
    assert model.name == "Llama-3.1-8B"
    assert model.source.endswith("config.json, in the local cache")
    assert tf.load_model("llama-3.1-8b").params == 8_030_261_248  # of the catalogue, as named


def test_a_name_without_an_owner_is_the_catalogues_and_else_the_caches(cache: Path) -> None:
    lay(cache, "gpt2", json.dumps(LLAMA))
    lay(cache, "nobody-knows-it", json.dumps(LLAMA))
    assert tf.load_model("gpt2").params == 124_439_808
    assert tf.load_model("nobody-knows-it").family == "llama"


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"])
def test_every_variable_that_moves_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, variable: str
) -> None:
    hub = "huggingface/hub" if variable == "XDG_CACHE_HOME" else ""
    lay(tmp_path / "elsewhere" / hub, "an-owner/a-name", json.dumps(LLAMA))
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    monkeypatch.delenv("HF_HOME")
    assert tf.load_model("an-owner/a-name").family == "llama"


def test_a_cache_without_the_file_leaves_the_catalogue(cache: Path) -> None:
    folder = lay(cache, "openai-community/gpt2", "{}")
    (folder / "snapshots" / REVISION / "config.json").unlink()
    assert tf.load_model("openai-community/gpt2").params == 124_439_808


@pytest.mark.parametrize("revision", ["../../../outside", "", "a/b", "\x00", "é", ".."])
def test_a_revision_that_leads_out_is_refused(cache: Path, revision: str) -> None:
    folder = lay(cache, "an-owner/a-name", json.dumps(LLAMA))
    (folder / "refs" / "main").write_text(revision)
    with pytest.raises(InputError, match="expected a revision"):
        tf.load_model("an-owner/a-name")


@pytest.mark.parametrize("part", ["snapshots/" + REVISION + "/config.json", "refs/main"])
def test_a_link_out_of_the_cache_is_not_followed(cache: Path, tmp_path: Path, part: str) -> None:
    outside = tmp_path / "secret.json"
    outside.write_text(json.dumps(LLAMA) if part.endswith("json") else REVISION)
    folder = lay(cache, "an-owner/a-name", json.dumps(LLAMA))
    (folder / part).unlink()
    (folder / part).symlink_to(outside)
    with pytest.raises(InputError, match="leads out of the cache"):
        tf.load_model("an-owner/a-name")


def test_a_broken_file_in_the_cache_is_one_sentence(cache: Path) -> None:
    lay(cache, "an-owner/a-name", "{")
    with pytest.raises(InputError, match="not valid JSON") as caught:
        tf.load_model("an-owner/a-name")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../outside", "a/../b", "a/b/c", "models--a/..", "a/b\\c"])
def test_a_name_that_is_no_id_finds_nothing(cache: Path, name: str) -> None:
    (cache.parent.parent / "outside").mkdir()
    with pytest.raises(UnknownModel):
        tf.load_model(name)


@pytest.mark.parametrize(
    ("pasted", "name"),
    [
        ("https://huggingface.co/Qwen/Qwen3-8B", "qwen3-8b"),
        ("https://huggingface.co/Qwen/Qwen3-8B/tree/main", "qwen3-8b"),
        ("https://huggingface.co/qwen/QWEN3-8b/blob/main/config.json?raw=1", "qwen3-8b"),
        ("huggingface.co/gpt2/", "gpt2"),
        ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "llama-3.2-3b"),
        ("Qwen/Qwen3-8B/", "qwen3-8b"),
        ("https://ollama.com/library/mistral", "mistral-7b-v0.3"),
        ("ollama run llama3.1:8b --verbose", "llama-3.1-8b"),
        ("ollama pull hf.co/Qwen/Qwen3-8B-GGUF", "qwen3-8b"),
        ("devstral", "devstral-small-24b"),
        ("wizardlm2:8x22b", "mixtral-8x22b"),
    ],
)
def test_an_address_or_a_command_that_is_pasted_means_its_model(pasted: str, name: str) -> None:
    assert tf.load_model(pasted).name == name


@pytest.mark.parametrize(
    ("pasted", "form"),
    [
        ("https://ollama.com/library/mistral", "q4_k_m"),
        ("ollama run zephyr", "q4_0"),
        ("https://huggingface.co/a/b/blob/main/Qwen3-8B-Q5_K_M.gguf", "q5_k_m"),
        ("https://huggingface.co/Qwen/Qwen3-8B", None),
    ],
)
def test_a_pasted_name_means_the_format_of_its_download(pasted: str, form: str | None) -> None:
    assert tf.load_model(pasted).named_format == form


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt-4o", "its configuration is not published"),
        ("anthropic/claude-3", "its configuration is not published"),
        ("nowhere/config.json", "does not exist: expected a name, a file or a folder"),
        ("./nowhere", "does not exist: expected a name, a file or a folder"),
        ("meta-llama/Lama-3-8B", "the nearest name is llama-3-8b"),
        ("gemma4:27b", "the nearest names are gemma-4-26b-a4b, gemma-4-31b, "),
        ("qwen3.7", r"the nearest names are qwen3\.\d"),
        ("llama3.4:8b", r"the nearest names are llama-3.1-8b, "),
        ("deepseek-v5", r"the nearest names are deepseek-v\d"),
    ],
)
def test_what_means_no_model_is_refused_with_the_reason(name: str, said: str) -> None:
    with pytest.raises(UnknownModel, match=said):
        tf.load_model(name)


@pytest.mark.parametrize("name", ["kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code"])
def test_kimi_k2s_routed_experts_alone_are_int4_in_groups_of_32(name: str) -> None:
    """595 GB, as published: 4 bits and a 16-bit scale for 32 of an expert, 2 bytes of all else."""
    model = tf.load_model(name)
    experts = model.params_by_group["experts"]
    published = experts * (4 + 16 / 32) / 8 + (model.params - experts) * 2
    assert published == pytest.approx(595e9, rel=1e-3)
    assert tf.fit(name, "h200").memory.weight_bytes == pytest.approx(published, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "positions"),
    [  # max_position_embeddings of their config.json, recalled
        ("Qwen/Qwen3-4B-Instruct-2507", 262144), ("Qwen/Qwen3-4B", 40960),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507-FP8", 262144), ("qwen3-coder:30b", 262144),
        ("zai-org/GLM-4.6", 202752), ("zai-org/GLM-4.5", 131072),
        # as the Hub states them (llmfit 1.1.17 on PyPI)
        ("moonshotai/Kimi-K2-Instruct-0905", 262144), ("moonshotai/Kimi-K2-Instruct", 131072),
        ("nvidia/Kimi-K2-Thinking-NVFP4", 262144), ("zai-org/GLM-4.6V", 131072),
        ("zai-org/GLM-4.6V-Flash", 131072), ("ibm-granite/granite-3.1-8b-instruct", 131072),
        ("ibm-granite/granite-3.1-3b-a800m-instruct", 131072), ("granite3.1-moe:1b", 131072),
        ("mistralai/Devstral-Small-2505", 131072), ("microsoft/Phi-4-reasoning-plus", 32768),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", 131072), ("01-ai/Yi-Coder-9B-Chat", 131072),
        ("Qwen/Qwen2.5-7B-Instruct-1M", 1010000), ("Qwen/Qwen2.5-14B-Instruct-1M", 1010000),
        ("stepfun-ai/Step-3.7-Flash", 262144), ("01-ai/Yi-9B", 4096),
    ],
)  # fmt: skip
def test_a_later_release_of_a_shape_holds_its_own_context(name: str, positions: int) -> None:
    assert tf.load_model(name).max_positions == positions


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("deepseek-ai/DeepSeek-Coder-V2-Instruct", "deepseek-v2"),  # 236B; Ollama's is Lite
        ("deepseek-ai/DeepSeek-Coder-V2-Base", "deepseek-v2"),
        ("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", "deepseek-v2-lite"),
        ("deepseek-coder-v2", "deepseek-v2-lite"),
    ],
)
def test_a_coder_of_two_sizes_is_the_one_that_its_maker_calls_so(name: str, shape: str) -> None:
    assert tf.load_model(name).name == shape
