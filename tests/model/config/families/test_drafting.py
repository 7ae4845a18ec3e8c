"""Heads that draft for another model (EAGLE-3, DFlash, DSpark, assistants), counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.cost.inference.speculative import check_draft, speculate
from thermoflop.cost.serving.serving import serving
from thermoflop.errors import InputError, UnknownModel, UsageError
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.load import load_model

# as the file of the head for Llama 3.1 8B has it
HEAD: dict[str, Any] = {
    "architectures": ["LlamaForCausalLMEagle3"], "attention_bias": False, "head_dim": 128,
    "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 2048, "model_type": "llama", "num_attention_heads": 32,
    "num_hidden_layers": 1, "num_key_value_heads": 8, "tie_word_embeddings": False,
    "vocab_size": 128256, "draft_vocab_size": 32000, "torch_dtype": "float16",
}  # fmt: skip
WIDE, INNER, KEYS, CHOICES = 4096, 14336, 8 * 128, 32000
FC = 3 * WIDE * WIDE
LATER = WIDE * (WIDE + 2 * KEYS) + WIDE * WIDE + 3 * WIDE * INNER + 2 * WIDE
FIRST = LATER + WIDE * (WIDE + 2 * KEYS) + WIDE  # its queries, keys and values read both
TAIL = WIDE + WIDE * CHOICES


def test_a_head_is_counted_without_the_table_of_its_model() -> None:
    model = load_model(HEAD)
    assert (model.family, model.params) == ("eagle3", FC + FIRST + TAIL)
    assert model.params == 424_689_664  # 0.849 GB in 16 bits
    assert model.params == sum(model.params_by_group.values())


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"num_hidden_layers": 2}, LATER),
        ({"draft_vocab_size": None}, WIDE * (128256 - CHOICES)),
        ({"tie_word_embeddings": True}, -WIDE * CHOICES),
        # a model of other states: its table does not fit, and the head has its own
        ({"target_hidden_size": 5120}, 3 * WIDE * 1024 + 128256 * WIDE),
        ({"target_hidden_size": 4096}, 0),
        ({"architectures": ["Eagle3LlamaForCausalLM"]}, 0),
        ({"eagle_config": {"eagle_aux_hidden_state_layer_ids": [1, 15, 28]}}, 0),
        ({"norm_before_residual": True}, 0),
        # as nvidia/gpt-oss-120b-Eagle3-v2 has it: the model's last state is taken as it is
        ({"eagle_config": {"eagle_aux_hidden_state_layer_ids": [], "use_aux_hidden_state": False}},
         -FC),
    ],
)  # fmt: skip
def test_what_a_file_says_changes_the_head(changes: dict[str, Any], more: int) -> None:
    assert load_model({**HEAD, **changes}).params == FC + FIRST + TAIL + more


def test_a_token_multiplies_by_every_matrix() -> None:
    """And by keys and values of 5 tokens, with 32 heads of 128."""
    norms, met = 4 * WIDE, 2 * 5 * 32 * 128
    assert load_model(HEAD).decode(4).multiplications == FC + FIRST + TAIL - norms + met


def test_a_head_drafts_for_models_of_its_width() -> None:
    told = speculate("llama-3.1-8b", HEAD, "h100", drafted=3, acceptance=0.6, profile="sglang")
    assert told.vocabularies == ()
    assert told.draft_bytes[0] == 2 * 424_689_664
    assert told.speed_up > 1
    with pytest.raises(UsageError, match=r"4,096 wide, and those of llama-3.1-70b are 8,192"):
        speculate("llama-3.1-70b", HEAD, "h100", devices=4)
    with pytest.raises(UsageError, match=r"4,096 wide, and those of llama-3.1-70b are 8,192"):
        serving("llama-3.1-70b", "h100", devices=4, draft=load_model(HEAD))
    with pytest.raises(UsageError, match="those of vit-base-patch16-224 are none"):
        check_draft(load_model("vit-base"), load_model(HEAD))


def test_a_head_needs_its_class() -> None:
    with pytest.raises(InputError, match="needs its class in architectures"):
        load_model({**HEAD, "model_type": "eagle3", "architectures": ["LlamaForCausalLM"]})


def test_the_map_of_states_comes_first() -> None:
    front = load_model(HEAD).description.stacks[0].front
    maps = [placed.part for placed in front if isinstance(placed.part, Linear)]
    assert [(each.inputs, each.outputs) for each in maps] == [(3 * WIDE, WIDE)]


QWEN3 = {
    "model_type": "qwen3", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 8,
    "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936,
    "tie_word_embeddings": False,
}  # fmt: skip
# queries and output of 32 heads, keys and values of 4, three matrices of the feed-forward, norms
LAYER = 2048 * 128 * (2 * 32 + 2 * 4) + 3 * 2048 * 6144 + 2 * 2048 + 2 * 128
BLOCK = 5 * 2048 * 2048 + 2048 + 8 * LAYER + 2048  # five states, their norm, layers, the last norm
# as the file of the head for Qwen3-Coder-30B-A3B has it
DFLASH = {
    **QWEN3, "architectures": ["DFlashDraftModel"], "block_size": 16, "num_target_layers": 48,
    "dflash_config": {"mask_token_id": 151669, "target_layer_ids": [1, 12, 23, 34, 45]},
}  # fmt: skip
CONVOLUTIONS = 8 * 2 * (2 * 4 * 2048 + 2048 * 2 * 4 * 32)  # kernels and taps, twice in a layer
DFLASH2 = {"conv_kernel_size": 4, "conv_group_size": 64, "selector_rank": 128}
DSPARK = {"architectures": ["Qwen3DSparkModel"], "markov_rank": 256, "target_layer_ids": [1, 2, 3]}


@pytest.mark.parametrize(
    ("changes", "params"),
    [
        ({}, BLOCK),
        ({"dflash_config": None}, BLOCK + 3 * 2048**2),  # as many states as layers
        ({"draft_vocab_size": 32000}, BLOCK + 2048 * 32000),
        ({"target_hidden_size": 4096}, BLOCK + 5 * 2048**2),
        ({"architectures": ["DFlash2DraftModel"], "dflash_config": {**DFLASH2, "layer_ids": [1]}},
         BLOCK - 4 * 2048**2 + CONVOLUTIONS + 128 * (2048 + 2 * 151936)),
        ({**DSPARK, "dflash_config": None}, BLOCK - 2 * 2048**2 + 2 * 256 * 151936),
        ({**DSPARK, "dflash_config": None, "markov_rank": 0, "enable_confidence_head": True},
         BLOCK - 2 * 2048**2 + 2048 + 1),
    ],
)  # fmt: skip
def test_what_drafts_a_block_is_counted_without_the_table_and_head_of_its_model(
    changes: dict[str, Any], params: int
) -> None:
    assert load_model({**DFLASH, **changes}).params == params


@pytest.mark.parametrize(
    ("section", "said"),
    [({"use_swa": True, "swa_window_size": 1024}, "with dflash_config.use_swa is not described"),
     ({"attention_sink_bias": True}, "with dflash_config.attention_sink_bias is not described"),
     ({"use_aux_hidden_state": False}, "with use_aux_hidden_state false is not described"),
     ({"target_layer_ids": 5}, "layers whose states are read are 5: expected a list")],
)  # fmt: skip
def test_what_a_section_says_and_is_not_understood_is_refused(
    section: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        load_model({**DFLASH, "dflash_config": section})


def test_a_block_in_one_step_has_no_time_here() -> None:
    with pytest.raises(UsageError, match="drafts a block in one step"):
        speculate("qwen3-30b-a3b", DFLASH, "h100")


@pytest.mark.parametrize(
    ("kind", "layer", "params"),
    [
        ("eagle3", HEAD, FC + FIRST + TAIL),
        ("peagle", HEAD, FC + FIRST + TAIL),
        # a norm of each head's queries and keys
        ("eagle3", {**HEAD, "model_type": "qwen3"}, FC + FIRST + TAIL + 2 * 128),
    ],
)
def test_a_file_of_speculators_is_read_as_the_class_that_is_built_of_it(
    kind: str, layer: dict[str, Any], params: int
) -> None:
    raw = {
        "architectures": ["Eagle3Speculator"], "speculators_model_type": kind,
        "speculators_version": "0.5.0", "speculators_config": {"algorithm": kind},
        "draft_vocab_size": CHOICES, "transformer_layer_config": layer, "auto_map": {},
        "norm_before_residual": True, "target_hidden_size": None, "embed_requires_grad": False,
    }  # fmt: skip
    assert load_model(raw).params == params
    assert load_model({**raw, "norm_before_fc": True}).params == params + 3 * WIDE
    assert (
        load_model({**raw, "eagle_aux_hidden_state_layer_ids": [1, 2]}).params == params - WIDE**2
    )


def test_latent_attention_of_a_head_reads_both() -> None:
    """Kimi K2's sizes: what goes into both latents is as wide as state and embedding."""
    sizes = {
        "model_type": "kimi_k2", "architectures": ["Eagle3DeepseekV2ForCausalLM"],
        "hidden_size": 7168, "intermediate_size": 18432, "num_attention_heads": 64,
        "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "vocab_size": 163840, "draft_vocab_size": 32000,
    }  # fmt: skip
    latents = 2 * 7168 * (1536 + 512 + 64) + 1536 + 512
    heads = 64 * (1536 * 192 + 512 * 256 + 128 * 7168)
    rest = 3 * 7168 * 7168 + 3 * 7168 * 18432 + 4 * 7168 + 7168 * 32000
    assert load_model(sizes).params == latents + heads + rest


@pytest.mark.parametrize(
    "name", ["EagleLlamaForCausalLM", "LlamaForCausalLMNextN", "Gemma4DSparkModel", "MiMoMTPModel"]
)
def test_a_class_that_drafts_is_never_counted_as_the_model_of_its_layers(name: str) -> None:
    with pytest.raises(UnknownModel, match=f"{name} drafts for another model"):
        load_model({**QWEN3, "architectures": [name]})


def test_other_speculators_are_refused_by_name() -> None:
    for kind in ("mlp", "dflash"):
        with pytest.raises(UnknownModel, match=f"speculators_model_type '{kind}'"):
            load_model({"speculators_model_type": kind, "transformer_layer_config": HEAD})
    with pytest.raises(InputError, match="transformer_layer_config is missing"):
        load_model({"speculators_model_type": "eagle3"})


TEXT = {
    "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 256, "global_head_dim": 512, "intermediate_size": 2048,
    "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
}  # fmt: skip
NONE = {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
E4B = {
    "model_type": "gemma4_assistant", "backbone_hidden_size": 2560, "use_ordered_embeddings": True,
    "text_config": {"model_type": "gemma4_text", **TEXT, **NONE},
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "params"),  # as their classes in transformers 5.24 build them
    [
        (E4B, 78_517_760),
        ({**E4B, "use_ordered_embeddings": False}, 78_517_760 - 256 * 2048),
        ({"model_type": "gemma4_unified_assistant", "backbone_hidden_size": 3840,
          "text_config": {"model_type": "gemma4_unified_text", **TEXT}}, 78_976_512),
        ({"model_type": "muse_glimmer_assistant"}, 2_555_985_152),
        ({"model_type": "muse_glimmer_assistant", "num_hidden_layers": 3, "head_dim": 64,
          "target_layer_ids": [1, 2, 3, 4]}, 1_475_662_208),
    ],
)  # fmt: skip
def test_assistants_are_counted_as_their_classes_build_them(
    config: dict[str, Any], params: int
) -> None:
    assert load_model(config).params == params


def test_an_assistant_reads_the_keys_of_its_model_and_keeps_none() -> None:
    table = load_model(E4B).decode(100)
    met = 3 * 2 * 256 + 2 * 512  # keys of the layers, and as many values
    read = table.bytes_by_kind
    assert (read["kv_write"], read["kv_read"]) == (0, 2 * 2 * 101 * met)
    # logits of 32 of 2,048 groups of the vocabulary
    (head,) = [row for row in table.operators if row.name == "lm_head"]
    assert (head.k, head.n) == (256, 32 * (262_144 // 2048))


def test_an_assistant_drafts_for_models_of_its_width() -> None:
    told = speculate("gemma-4-e4b", E4B, "h100", drafted=3, profile="vllm")
    assert told.draft_bytes == (2 * 78_517_760, 0)
    with pytest.raises(UsageError, match="2,560 wide"):
        speculate("gemma-4-31b", E4B, "h100")
