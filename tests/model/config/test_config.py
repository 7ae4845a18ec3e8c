"""What a configuration may be, what absent keys mean, and how nonsense is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import thermoflop as tf
from model.fuzz_configs import answer, run
from thermoflop.base.files import LARGEST_FILE_BYTES
from thermoflop.errors import InputError, ThermoflopError, UnknownModel
from thermoflop.model.config.families import FAMILY_NAMES, MODULES, find_family
from thermoflop.model.config.family import FAMILIES, Family, Use, called, family, sizes, use
from thermoflop.model.config.keys import Config, Traits
from thermoflop.model.load import read_model

DATA = Path(__file__).resolve().parents[2] / "data"
WANTED = [
    "albert",
    "bart",
    "bert",
    "bloom",
    "clip",
    "cohere",
    "dbrx",
    "deepseek_v2",
    "deepseek_v3",
    "kimi_k2",
    "distilbert",
    "falcon",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "glm4_moe",
    "gpt2",
    "gpt_bigcode",
    "gpt_neox",
    "gpt_oss",
    "gptj",
    "granite",
    "granitemoe",
    "llama",
    "llama4_text",
    "mistral",
    "mixtral",
    "mpt",
    "nemotron",
    "olmo2",
    "olmoe",
    "opt",
    "phi",
    "phi3",
    "phimoe",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "qwen3_moe",
    "roberta",
    "smollm3",
    "stablelm",
    "starcoder2",
    "t5",
    "vit",
    "whisper",
    "mamba",
    "mamba2",
    "jamba",
    "nemotron_h",
    "qwen3_next",
]
LLAMA = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 100}


def test_every_family_that_was_asked_for_is_known() -> None:
    assert set(WANTED) <= set(FAMILY_NAMES)


def test_the_index_of_families_names_what_the_modules_define() -> None:
    listed = {name for names in MODULES.values() for name in names.split()}
    for name in listed:
        assert find_family(name) is not None
    assert listed == set(FAMILIES)


def test_every_trait_reads_a_key_that_its_family_has() -> None:
    for name in FAMILY_NAMES:
        family = find_family(name)
        assert family is not None
        missing = {
            trait: rule.key
            for trait, rule in family.traits.items()
            if isinstance(rule, Use) and rule.key not in family.keys
        }
        assert missing == {}, name


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Family]:
    """Makes families that no other test sees."""
    monkeypatch.setattr("thermoflop.model.config.family.FAMILIES", {})
    return family


@pytest.mark.parametrize("way", ["drop", "ignored"])
def test_a_key_that_goes_takes_the_traits_with_it_that_were_read_from_it(
    way: str, made: Callable[..., Family]
) -> None:
    traits = {"gated": use("bias"), "rotary": use("width")}
    made("parent", keys={"bias": True, "width": 3}, traits=traits)
    child = made("child", "parent", **{way: ("bias",)})
    assert set(child.keys) == {"width"}
    assert child.traits == {"rotary": use("width")}


def test_a_usual_key_is_read_from_the_name_that_a_family_has_for_it(
    made: Callable[..., Family],
) -> None:
    own = made("own", keys={"dim": 8}, aliases={"hidden_size": "dim"})
    config = Config(own, {"dim": 64}, frozenset())
    assert config["hidden_size"] == config["dim"] == 64
    assert "hidden_size" in config
    assert "head_dim" not in config
    assert Traits(config, {"hidden": use("hidden_size"), "bias": use("b", False)})["hidden"] == 64
    assert Traits(config, {"bias": use("b", False)})["bias"] is False


def test_sizes_stand_under_the_keys_that_most_classes_have() -> None:
    assert sizes(hidden=8, kv_heads=None) == {"hidden_size": 8, "num_key_value_heads": None}
    assert called(hidden="dim", layers="depth") == {
        "hidden_size": "dim",
        "num_hidden_layers": "depth",
    }


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_configuration_of_defaults_alone_is_counted_or_refused_by_name(name: str) -> None:
    """The class defaults make a model; where a class has none, the message says which."""
    try:
        model = read_model({"model_type": name})
    except InputError as error:
        words = str(error)
        assert any(word in words for word in ("missing", "needs", "does not divide"))
        return
    assert model.params > 0
    assert model.params == sum(model.params_by_group.values())


TIED = [
    "albert",
    "bert",
    "bloom",
    "cohere",
    "distilbert",
    "falcon",
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_bigcode",
    "mamba",
    "mpt",
    "opt",
    "roberta",
    "smollm3",
    "starcoder2",
    "t5",
    "bart",
    "whisper",
]
UNTIED = [
    "llama",
    "mistral",
    "mixtral",
    "qwen2",
    "qwen3",
    "qwen2_moe",
    "qwen3_moe",
    "phi",
    "phi3",
    "gptj",
    "gpt_neox",
    "gpt_oss",
    "granite",
    "olmo2",
    "stablelm",
    "deepseek_v2",
    "deepseek_v3",
    "dbrx",
    "glm4_moe",
    "nemotron",
    "jamba",
    "mamba2",
    "olmoe",
    "phimoe",
    "granitemoe",
    "llama4_text",
    "nemotron_h",
    "qwen3_next",
]


@pytest.mark.parametrize("name", TIED)
def test_absent_tie_word_embeddings_means_tied(name: str) -> None:
    family = find_family(name)
    assert family is not None
    assert family.keys["tie_word_embeddings"].default is True


@pytest.mark.parametrize("name", UNTIED)
def test_absent_tie_word_embeddings_means_untied(name: str) -> None:
    family = find_family(name)
    assert family is not None
    assert family.keys["tie_word_embeddings"].default is False


@pytest.mark.parametrize(
    ("name", "dim"),
    [
        ("qwen3", 128),
        ("gemma", 256),
        ("gemma2", 256),
        ("gemma3_text", 256),
        ("qwen3_next", 256),
        ("gpt_oss", 64),
        ("llama", 80),
        ("mistral", 80),
        ("qwen3_moe", 80),
        ("granite", 80),
    ],
)
def test_absent_head_dim_is_the_class_default(name: str, dim: int) -> None:
    config = {
        "model_type": name,
        "hidden_size": 320,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 4,
    }
    model = read_model(config)
    layers = sum(
        run.times for run in model.description.stacks[0].runs if "linear" not in run.layer.kind
    )
    assert model.kv_bytes(1) == 2 * 2 * 2 * dim * layers


def records() -> list[dict[str, Any]]:
    with gzip.open(DATA / "fuzz.json.gz", "rt") as file:
        found: list[dict[str, Any]] = json.load(file)
    return found


def test_a_key_that_states_its_default_may_be_left_out() -> None:
    """For every record and every key: absent and stated at the class default are the same."""
    dropped = 0
    for record in records()[::5]:
        config = record["config"]
        family = find_family(config["model_type"])
        assert family is not None
        before = answer(config)
        for key, value in config.items():
            if key in family.keys and family.keys[key].default == value:
                left = {name: other for name, other in config.items() if name != key}
                assert answer(left) == before, (config["model_type"], key)
                dropped += 1
    assert dropped > 100


def test_keys_that_name_the_same_thing_may_agree_and_not_differ() -> None:
    config = {"model_type": "bloom", "n_embed": 64, "n_head": 4, "n_layer": 2, "vocab_size": 99}
    same = {**config, "hidden_size": 64}
    assert read_model(same).params == read_model(config).params
    with pytest.raises(InputError, match="disagree"):
        read_model({**config, "hidden_size": 128})


NONSENSE = [
    ({"hidden_size": -64}, "hidden_size is -64"),
    ({"hidden_size": 0}, "whole number from 1"),
    ({"hidden_size": "64"}, "hidden_size is '64'"),
    ({"hidden_size": 64.0}, "64.0"),
    ({"hidden_size": True}, "True"),
    ({"hidden_size": None}, "null"),
    ({"hidden_size": float("nan")}, "nan"),
    ({"hidden_size": 10**13}, "whole number"),
    ({"hidden_size": 10**500}, "whole number"),
    ({"num_attention_heads": 5}, "does not divide"),
    ({"num_key_value_heads": 3}, "do not divide"),
    ({"tie_word_embeddings": "yes"}, "true or false"),
    ({"tie_word_embeddings": 1}, "true or false"),
    ({"num_hidden_layers": 10**6}, "whole number"),
    ({"architectures": ["LlamaForMusic"]}, "not understood"),
    ({"architectures": 7}, "class names"),
    ({"model_type": "smollm3", "no_rope_layers": [1], "tie_word_embeddings": True}, "names 1 of"),
    ({"model_type": "qwen2", "layer_types": ["full_attention"]}, "names 1 layers"),
    ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
    ({"architectures": ["GPT2DoubleHeadsModel"]}, "not understood"),
    (
        {"model_type": "qwen2", "num_hidden_layers": 1, "layer_types": ["moe"]},
        "a layer of kind moe",
    ),
    ({"architectures": [[]]}, "class names"),
    ({"model_type": "bart", "num_hidden_layers": 2, "encoder_layers": -(10**12)}, "whole number"),
    ({"model_type": "whisper", "num_hidden_layers": 2, "encoder_layers": "2"}, "whole number"),
]


@pytest.mark.parametrize(("change", "words"), NONSENSE)
def test_nonsense_is_refused_in_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_model({**LLAMA, **change})
    text = str(caught.value)
    assert words in text
    assert "\n" not in text
    assert len(text) < 300


def test_an_unknown_family_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownModel, match=r"'qwen4' is not known; the nearest family is qwen"):
        read_model({"model_type": "qwen4"})
    with pytest.raises(UnknownModel, match="CONTRIBUTING"):
        read_model({"model_type": "zebra"})


def test_a_factor_of_the_embeddings_changes_no_count() -> None:
    plain = read_model({"model_type": "recurrent_gemma"})
    scaled = read_model({"model_type": "recurrent_gemma", "embeddings_scale_by_sqrt_dim": True})
    assert scaled.description == plain.description
    with pytest.raises(UnknownModel, match="patcher"):
        read_model({"model_type": "blt"})
    with pytest.raises(UnknownModel, match="text_config"):
        read_model({"model_type": "llava_of_mine", "text_config": LLAMA})
    with pytest.raises(UnknownModel, match="model_type is missing"):
        read_model({"hidden_size": 8})


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_local_experts", 8), ("moe_every", 2), ("use_parallel_mlp", True), ("qk_norm_type", "x")],
)
def test_an_unknown_key_that_could_change_a_count_is_refused(key: str, value: object) -> None:
    with pytest.raises(UnknownModel, match=key):
        read_model({**LLAMA, key: value})
    plain = read_model(LLAMA).params
    assert read_model({**LLAMA, key: value}, ignored=frozenset({key})).params == plain
    assert tf.load_model({**LLAMA, key: value}, ignore=key).params == plain


def test_a_key_one_letter_off_is_pointed_out() -> None:
    with pytest.raises(UnknownModel, match="did you mean hidden_size"):
        read_model({**LLAMA, "hiden_size": 64})


@pytest.mark.parametrize(
    "extra",
    [
        {"num_local_experts": None},
        {"use_magic": False},
        {"made_by": "someone"},
        {"some_dropout": 0.1},
        {"rope_future": {"a": 1}},
        {"new_token_id": 5},
    ],
)
def test_an_unknown_key_that_asks_for_nothing_is_let_by(extra: dict[str, Any]) -> None:
    assert read_model({**LLAMA, **extra}).params == read_model(LLAMA).params


def test_an_empty_list_of_rotated_layers_is_the_default() -> None:
    config = {"model_type": "llama4_text", "num_hidden_layers": 4, "no_rope_layers": []}
    kinds = [run.layer.kind for run in read_model(config).description.stacks[0].runs]
    assert kinds == ["chunked attention + MoE", "attention + MoE"]


def write(folder: Path, text: str | bytes, name: str = "config.json") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_file_a_folder_a_dictionary_and_a_name_are_models(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(LLAMA))
    assert tf.load_model(path).params == tf.load_model(tmp_path).params
    assert tf.load_model(tmp_path).params == tf.load_model(LLAMA).params
    assert tf.load_model(tmp_path).name == tmp_path.name
    assert tf.load_model("meta-llama/Llama-3.1-8B").name == "llama-3.1-8b"
    assert tf.load_model("GPT-2").params == 124_439_808


def test_a_folder_without_a_configuration_gives_way_to_a_known_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    assert tf.load_model("gpt2").params == 124_439_808


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbf" + json.dumps(LLAMA).encode())
    assert tf.load_model(path).params == read_model(LLAMA).params


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[1]", "expected an object"),
        ('"x"', "expected an object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (b"\xff\xfe\x00", "UTF-8"),
        ('{"hidden_size": 1, "hidden_size": 2}', "twice"),
        ('{"hidden_size": ' + "9" * 5000 + "}", "not valid JSON"),
        ("{}", "model_type is missing"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        tf.load_model(write(tmp_path, text))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(5 * 10**9)
    with pytest.raises(InputError, match=f"{LARGEST_FILE_BYTES:,}"):
        tf.load_model(path)


@pytest.mark.parametrize(
    "wrong", [7, None, [], b"x", "", "\0", "no-such-model", "../../etc/passwd"]
)
def test_what_is_no_model_at_all(wrong: Any) -> None:
    with pytest.raises(ThermoflopError) as caught:
        tf.load_model(wrong)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        tf.load_model(tmp_path)


def test_infinity_in_an_inert_key_is_json_that_exists(tmp_path: Path) -> None:
    text = json.dumps({**LLAMA, "time_step_limit": [0.0, float("inf")]})
    assert tf.load_model(write(tmp_path, text)).params == read_model(LLAMA).params


def test_mutated_configurations_are_counted_or_refused() -> None:
    assert run(1000, seed=7) == []


def test_classes_without_a_language_head() -> None:
    full = read_model(LLAMA).params
    bare = read_model({**LLAMA, "architectures": ["LlamaModel"]})
    assert full - bare.params == 64 * 100
    labels = {"id2label": {"0": "a", "1": "b", "2": "c"}}
    scored = read_model({**LLAMA, "architectures": ["LlamaForSequenceClassification"], **labels})
    assert scored.params - bare.params == 3 * 64
    tagged = read_model({**LLAMA, "architectures": ["LlamaForTokenClassification"], **labels})
    assert tagged.params - bare.params == 3 * 64 + 3


def test_shared_experts_of_deepseek_v2_take_the_bias_of_the_mlp() -> None:
    config = {
        "model_type": "deepseek_v2",
        "hidden_size": 32,
        "num_attention_heads": 4,
        "num_hidden_layers": 1,
        "num_experts_per_tok": 2,
        "n_shared_experts": 3,
        "moe_intermediate_size": 5,
    }
    plain, biased = read_model(config), read_model({**config, "mlp_bias": True})
    assert biased.params - plain.params == 2 * 15 + 32


def test_bert_heads() -> None:
    base = {"model_type": "bert", "hidden_size": 32, "num_attention_heads": 2, "vocab_size": 50}
    bare = read_model({**base, "architectures": ["BertModel"]}).params_by_group
    assert bare["pooler"] == 32 * 32 + 32
    masked = read_model({**base, "architectures": ["BertForMaskedLM"]}).params_by_group
    assert masked["head_transform"] == 32 * 32 + 32 + 50
    scored = read_model({**base, "architectures": ["BertForSequenceClassification"]})
    assert scored.params_by_group["classifier"] == 2 * 32 + 2
    assert scored.operators(3, 9).by_group()["classifier"] == 2 * 3 * 32 * 2
