"""What neither a class's defaults nor its parameters show: experts a token, tokens of an image."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.model.architecture import parameters


def test_a_token_of_nllb_works_in_two_experts() -> None:
    """NllbMoeTop2Router; every second layer is a mixture here, of two matrices an expert."""
    model = tf.load_model({
        "model_type": "nllb-moe", "d_model": 64, "encoder_layers": 4, "decoder_layers": 4,
        "encoder_ffn_dim": 96, "decoder_ffn_dim": 96, "num_experts": 8, "vocab_size": 100,
        "encoder_sparse_step": 2, "decoder_sparse_step": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
    })  # fmt: skip
    flops = model.decode(9, encoder=5).by_group()
    assert flops["experts"] == 2 * 2 * 2 * (2 * 64 * 96)


def test_a_layer_of_kimi_weighs_the_blocks_before_it_twice() -> None:
    """Attention Residuals: a norm and a query, before attention and before the feed-forward."""

    def params(layers: int, block: int | None) -> int:
        config = {"model_type": "kimi_linear", "num_hidden_layers": layers, "hidden_size": 64,
                  "attn_res_block_size": block}  # fmt: skip
        return tf.load_model(config).params

    two, three = (params(layers, 2) - params(layers, None) for layers in (2, 3))
    assert three - two == 2 * (64 + 64)


def test_unlimited_ocr_reads_an_image_as_256_tokens() -> None:
    """1024 x 1024 pixels are 64 x 64 patches of SAM's, whose sides two convolutions halve."""
    first = tf.load_model({"model_type": "unlimited_ocr"}).description.stacks[0]
    assert (first.patches, first.pooled) == (64 * 64, 16 * 16)


def test_a_neuron_of_step_3_is_where_its_class_has_it() -> None:
    """Step3p7VisionConfig: ``mlp_ratio: float = 8960 / 1536`` of 1536."""
    config = {"model_type": "step3p7", "vision_config": {"num_hidden_layers": 1}}
    eyes = tf.load_model(config).description.stack("image")
    assert eyes is not None
    assert {run.layer.feed.inner for run in eyes.runs} == {8960}


def test_idefics_has_words_of_its_own_in_its_head() -> None:
    """IdeficsDecoupledLinear: ten more rows, here and in the embedding, where nothing is tied.
    IdeficsForVisionText2Text of transformers 5.24.0 has so many on the meta device."""
    config: dict[str, Any] = {
        "model_type": "idefics", "num_hidden_layers": 1, "vision_config": {"num_hidden_layers": 1},
        "tie_word_embeddings": False,
    }  # fmt: skip
    counts = [tf.load_model({**config, "additional_vocab_size": many}).params for many in (0, 10)]
    assert counts == [650_540_290, 650_622_210]


def test_biases_are_those_of_maps_and_norms() -> None:
    """GPT-2: one for each output of a map, and for each element of a norm."""
    model = tf.load_model({"model_type": "gpt2", "n_embd": 8, "n_layer": 3, "n_head": 2})
    layer = (8 + 8) + (3 * 8 + 8) + (4 * 8 + 8)
    assert parameters.biases(model.description) == 3 * layer + 8


@pytest.mark.parametrize(("layers", "full"), [(5, (2, 4)), (14, (2, 4, 6, 8, 10, 12))])
def test_two_layers_of_lfms_eyes_convolve_and_then_every_second(
    layers: int, full: tuple[int, ...]
) -> None:
    """``layer_types`` of Lfm3VlVisionConfig, transformers 5.24.0."""
    config = {"model_type": "lfm3_vl", "vision_config": {"num_hidden_layers": layers}}
    eyes = tf.load_model(config).description.stack("image")
    assert eyes is not None
    assert [run.at for run in eyes.runs if "attention" in run.layer.kind] == [full]


@pytest.mark.parametrize(
    ("name", "layers", "full"),
    [("muse_glimmer", 7, 2), ("muse_glimmer", 50, 13), ("muse_spark", 8, 2)],
)
def test_every_fourth_layer_of_muses_eyes_and_the_last_see_all(
    name: str, layers: int, full: int
) -> None:
    """``layer_types`` of MuseGlimmerVisionConfig, transformers 5.24.0: of seven the fourth and the
    last, of fifty 4, 8, ..., 48 and the last, of eight the fourth and the eighth."""
    config = {"model_type": name, "vision_config": {"num_hidden_layers": layers}}
    eyes = tf.load_model(config).description.stack("image")
    assert eyes is not None
    assert sum(run.times for run in eyes.runs if not run.layer.mixer.near) == full


def test_phi_3_5s_router_takes_two_experts() -> None:
    """``sparsemixer`` knows no other number."""
    config = {"model_type": "phimoe", "num_hidden_layers": 1, "hidden_size": 64,
              "num_attention_heads": 4, "num_key_value_heads": 2,
              "intermediate_size": 96}  # fmt: skip
    flops = tf.load_model(config).decode(9).by_group()
    assert flops["experts"] == 2 * 3 * (2 * 64 * 96)


def test_a_window_to_both_sides_reaches_half_of_it_back() -> None:
    """Gemma3TextConfig's ``__post_init__``: ``sliding_window // 2 + 1``."""
    config = {"model_type": "gemma3_text", "sliding_window": 512, "num_hidden_layers": 7,
              "use_bidirectional_attention": True}  # fmt: skip
    runs = tf.load_model(config).description.stacks[0].runs
    assert {run.layer.mixer.window for run in runs} == {None, 257}


@pytest.mark.parametrize(
    ("multiple", "width"),
    [(0.3, 256), (2.8, 256), (3.5, 512), (3.7, 512), (6.0, 768), (7.0, 768), (7.5, 768)],
)
def test_openelms_widths_are_whole_256s_and_at_most_a_tenth_too_narrow(
    multiple: float, width: int
) -> None:
    """``make_divisible``: of 350 the nearest is 256, 94 less, so 512; of 700 it is 768."""
    model = tf.load_model({
        "model_type": "openelm", "model_dim": 100, "num_transformer_layers": 1, "head_dim": 25,
        "num_query_heads": [4], "num_kv_heads": [2], "ffn_multipliers": [multiple],
    })  # fmt: skip
    assert model.description.stacks[0].runs[0].layer.feed.inner == width


def test_what_dbrx_leaves_out_is_what_its_two_parts_state() -> None:
    """DbrxAttentionConfig and DbrxFFNConfig of transformers 5.24.0."""
    (run,) = tf.load_model({"model_type": "dbrx"}).description.stacks[0].runs
    mixture = run.layer.feed
    assert run.layer.mixer.kv_heads == 1
    assert (mixture.expert.inner, mixture.experts, mixture.top_k) == (3584, 4, 1)


def test_steps_mixtures_are_the_layers_that_are_listed() -> None:
    config = {"model_type": "step3p5", "num_hidden_layers": 5, "moe_layers_enum": "1,3,4"}
    runs = tf.load_model(config).description.stacks[0].runs
    assert {run.at for run in runs if "MoE" in run.layer.kind} == {(1, 3, 4)}


def test_steps_sliding_layers_may_have_one_head() -> None:
    config = {"model_type": "step3p5", "num_hidden_layers": 1, "num_sliding_attention_heads": 1,
              "layer_types": ["sliding_attention"], "num_key_value_heads": 1}  # fmt: skip
    (run,) = tf.load_model(config).description.stacks[0].runs
    assert run.layer.mixer.heads == 1


@pytest.mark.parametrize(
    ("version", "biased", "normed"),
    [(2.5, False, False), (2.6, True, False), (4.0, False, False), (4.5, False, True)],
)
def test_a_minicpm_v_reads_on_with_the_model_of_its_version(
    version: float, biased: bool, normed: bool
) -> None:
    """Llama 3, Qwen 2 (queries have biases), MiniCPM 4 as a Llama, Qwen 3 (queries have norms)."""
    model = tf.load_model({
        "model_type": "minicpmv", "architectures": ["MiniCPMV"], "hidden_size": 128,
        "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": 96, "vocab_size": 100, "version": version,
    })  # fmt: skip
    mixer = model.description.stacks[-1].runs[0].layer.mixer
    assert (mixer.q_bias, mixer.q_norm is not None) == (biased, normed)


@pytest.mark.parametrize(("stated", "rank"), [("auto", 7), (None, 7), (5, 5)])
def test_a_mambas_step_has_the_rank_that_is_stated_or_a_sixteenth(
    stated: str | int | None, rank: int
) -> None:
    """``ceil(hidden_size / 16)`` of MambaConfig: 100 / 16 is 6.25."""
    config = {"model_type": "mamba", "hidden_size": 100, "num_hidden_layers": 1,
              "time_step_rank": stated}  # fmt: skip
    (run,) = tf.load_model(config).description.stacks[0].runs
    assert run.layer.mixer.dt_rank == rank


def test_nomics_mixtures_are_the_second_of_every_so_many_layers() -> None:
    """NomicBertBlock: ``layer_idx % moe_every_n_layers == 1``; of six layers the second and the
    fifth have eight experts of two matrices."""
    config = {"model_type": "nomic_bert", "num_hidden_layers": 6, "hidden_size": 64,
              "num_attention_heads": 4, "intermediate_size": 96, "num_experts": 8, "moe_top_k": 2,
              "moe_every_n_layers": 3, "hidden_act": "gelu"}  # fmt: skip
    groups = tf.load_model(config).params_by_group
    assert groups["router"] == 2 * 8 * 64


@pytest.mark.parametrize(("kind", "heads"), [("full_attention", 4), ("sliding_attention", 6)])
def test_a_step_that_predicts_further_has_the_heads_of_its_kind(kind: str, heads: int) -> None:
    """The entry of ``layer_types`` beyond the last layer; four heads see all, six a window."""
    config = {"model_type": "step3p5", "num_hidden_layers": 1, "hidden_size": 64,
              "num_attention_heads": 4, "num_sliding_attention_heads": 6,
              "num_key_value_heads": 2, "head_dim": 16, "num_nextn_predict_layers": 1,
              "layer_types": ["full_attention", kind]}  # fmt: skip
    ahead = tf.load_model(config, mtp=True).description.stacks[-1]
    assert ahead.role == "mtp"
    assert [run.layer.mixer.heads for run in ahead.runs] == [heads]


@pytest.mark.parametrize("name", ["gemma3", "glm4v"])
def test_norms_of_eyes_are_counted_from_one(name: str) -> None:
    eyes = tf.load_model({"model_type": name}).description.stack("image")
    assert eyes is not None
    names = {tuple(norm.name for norm in run.layer.norms) for run in eyes.runs}
    assert names == {("norm 1", "norm 2")}


@pytest.mark.parametrize("lists", [{"kda_layers": [1, 2, 4]}, {"full_attn_layers": [3]}])
def test_one_list_of_kimis_layers_says_what_the_others_are(lists: dict[str, list[int]]) -> None:
    """Numbers from one: the third of four sees all."""
    config = {"model_type": "kimi_linear", "num_hidden_layers": 4, "linear_attn_config": lists}
    runs = tf.load_model(config).description.stacks[0].runs
    assert [run.at for run in runs if "linear" not in run.layer.kind] == [(2,)]
