"""A type that nobody knows, with exactly the keys of a family: counted so when the user says it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import thermoflop as tf
from thermoflop.cli import main
from thermoflop.errors import InputError, UnknownModel, UsageError
from thermoflop.model.config.as_family import misfit
from thermoflop.model.config.families import find_family

if TYPE_CHECKING:
    from pathlib import Path

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
OTHER = {**LLAMA, "model_type": "zebra", "auto_map": {"AutoModel": "zebra.Zebra"}}


def test_it_is_never_counted_by_itself_and_the_refusal_says_how() -> None:
    said = (
        r"exactly those of llama or .*; if its code is that of llama, --as llama .* counts it so$"
    )
    with pytest.raises(UnknownModel, match=said):
        tf.load_model(OTHER)


def test_it_is_counted_when_asked_and_every_output_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tf.load_model(OTHER, family="llama")
    assert model.params == tf.load_model(LLAMA).params
    assert model.name.endswith(" as llama")  # what every table and every JSON calls it
    assert model.notes == ("model_type 'zebra' is not known and is counted as llama, as asked",)
    path = tmp_path / "zebra.json"
    path.write_text(json.dumps(OTHER))
    for words in (["ops"], ["explain"], ["estimate", "--gpu", "h100"], ["fit", "--gpu", "h100"]):
        assert main([words[0], str(path), "--as", "llama", *words[1:]]) == 0
        assert "zebra as llama" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"q_lora_rank": 7}, "q_lora_rank is no key of it"),
        ({"num_experts": 8}, "num_experts is no key of it"),
        ({"hidden_size": None}, "hidden_size is null"),
    ],
)
def test_keys_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tf.load_model({**OTHER, **change}, family="llama")


@pytest.mark.parametrize("key", ["hidden_size", "vocab_size", "intermediate_size"])
def test_a_size_is_never_taken_from_the_familys_defaults(key: str) -> None:
    raw = {name: value for name, value in OTHER.items() if name != key}
    with pytest.raises(UnknownModel, match=f"{key} is missing"):
        tf.load_model(raw, family="llama")
    with pytest.raises(UnknownModel, match="is not known; no family is near"):
        tf.load_model(raw)


def test_a_known_type_is_what_it_is() -> None:
    with pytest.raises(UsageError, match="'llama' is known"):
        tf.load_model(LLAMA, family="qwen2")
    assert tf.load_model(LLAMA, family="llama") == tf.load_model(LLAMA)


def test_what_is_no_family_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownModel, match="the nearest is llama"):
        tf.load_model(OTHER, family="lama")


def test_a_configuration_without_a_type_may_be_counted_as_asked() -> None:
    raw = {key: value for key, value in LLAMA.items() if key != "model_type"}
    assert tf.load_model(raw, family="llama").params == tf.load_model(LLAMA).params


def test_a_name_that_wins_over_a_key_states_its_size() -> None:
    """LFM2's ``block_ff_dim`` is its inner width."""
    family = find_family("lfm2")
    assert family is not None
    sizes = {key: rule.default for key, rule in family.keys.items() if rule.kind == "count"}
    inner = sizes.pop("intermediate_size")
    assert misfit(family, sizes, frozenset()) == "intermediate_size is missing"
    assert misfit(family, {**sizes, "block_ff_dim": inner}, frozenset()) == ""


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("molmo3", "molmo2"),
        ("jet_nemotron2", "jet_nemotron"),
        ("gpt9", "gpt2"),
        ("qwen4", "qwen3"),
        ("deepseek_v5", "deepseek_v4"),
        ("vision_thing", None),
        ("encoder_x", None),
        ("video_thing", None),
        ("LLaMA", "llama"),
        ("mistrl", "mistral"),
        ("csm2", None),
        ("ultravox2", None),
        ("grok-3", "grok-2"),
        ("vibevoice", None),
        ("newcorp", None),
        ("my_model", None),
        ("x", None),
    ],
)
def test_the_nearest_family_is_kin_or_typed_almost_so(name: str, near: str | None) -> None:
    """Letters alone make csm no kin of esm, and encoder_x none of encoder-decoder."""
    said = f"the nearest family is {near}." if near else "no family is near."
    with pytest.raises(UnknownModel, match=f"{name!r} is not known; {said}"):
        tf.load_model({"model_type": name, "use_magic": True})


def test_grok_2_calls_itself_git_and_is_read_as_what_it_is() -> None:
    model = tf.load_model({"model_type": "git", "architectures": ["Grok1ForCausalLM"]})
    assert model.params_by_group["experts"] == 64 * 8 * 3 * 8192 * 32768
