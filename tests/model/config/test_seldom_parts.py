"""Parts that few files ask for, each beside a sum by hand of what its class has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kit.gguf_layouts import laid_out, written
from thermoflop.errors import InputError, UsageError
from thermoflop.model.architecture.quantization import Stored
from thermoflop.model.config.published_forms import FORM_NAMES, published_form
from thermoflop.model.config.quantization import read_quantization
from thermoflop.model.config.quantization_formats import _of_word
from thermoflop.model.load import load_model, read_model

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "vocab_size": 100}  # fmt: skip


def params(model_type: str, **keys: Any) -> int:
    return int(read_model({"model_type": model_type, **keys}).params)


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def test_gemma_4_sees_and_hears_without_a_tower() -> None:
    """Patches of 4 x 4, two by two, of three colours become 32 elements by one matrix, with norms
    before and behind and a row and a column of 10 positions; 24 samples of sound are a token."""
    text = {"model_type": "gemma4_unified_text", **TEXT}
    eyes = {"mm_embed_dim": 32, "output_proj_dims": 32, "mm_posemb_size": 10, "patch_size": 4,
            "pooling_kernel_size": 2}  # fmt: skip
    blind = {"model_type": "gemma4_unified", "text_config": text}
    model = read_model({**blind, "vision_config": eyes, "audio_config": {"audio_embed_dim": 24}})
    seen = 3 * (4 * 2) ** 2
    looking = linear(seen, 32) + 2 * seen + 2 * 32 + 2 * 10 * 32 + 2 * 32 + 32 * 64
    assert model.params - read_model(blind).params == looking + 24 * 64
    image, sound = (model.description.stack(role) for role in ("image", "audio"))
    assert image is not None
    assert sound is not None
    # 280 tokens of four patches: sqrt(1120 x 16) = 133.9 pixels a side, 16 tokens of 8
    assert (image.patches, image.pooled) == (32 * 32, 16 * 16)
    assert image.grid is not None
    assert (image.grid.limits, image.grid.side) == ((280 * 4,), (1024, 1024))
    # whole tokens of 24 pixels, one at least
    for patch, side in ((12, 42 * 24), (600, 1200)):
        wide = read_model({**blind, "vision_config": {**eyes, "patch_size": patch}})
        tower = wide.description.stack("image")
        assert tower is not None
        assert tower.grid is not None
        assert tower.grid.side == (side, side)
    # 30 s of 16,000 samples, 640 a token in the class: 40 ms, four frames of 10 ms
    assert (sound.positions, sound.grid and sound.grid.patch) == (750, (4, 1))


def test_longt5_summarizes_blocks_with_biases_and_norms_of_their_own() -> None:
    """32 buckets of 8 heads once more in the encoder, and a norm of 512 in each of 6 layers."""
    whole = params("longt5", encoder_attention_type="transient-global")
    assert whole - params("longt5") == 32 * 8 + 6 * 512


def test_zamba_2_adapts_its_shared_attention_in_each_hybrid_layer() -> None:
    """Queries, keys and values of twice 2560 through 128 elements, in 9 layers."""
    whole = params("zamba2", use_shared_attention_adapter=True)
    assert whole - params("zamba2") == 9 * 3 * 2 * (2 * 2560 * 128)


def test_idefics_may_have_a_resampler() -> None:
    """Of 768 elements: 64 queries, 6 layers of 16 heads of 96, with MLPs four times as wide."""
    width, inner = 768, 16 * 96
    layer = 4 * width * inner + 2 * 4 * width * width + 3 * 2 * width
    whole = params("idefics", use_resampler=True)
    assert whole - params("idefics") == 64 * width + 6 * layer + 2 * width
    normed = {"perceiver_config": {"qk_layer_norms_perceiver": True}}
    assert params("idefics", use_resampler=True, **normed) - whole == 6 * 2 * 2 * 96
    one = read_model({"model_type": "idefics", "use_resampler": True}).prefill(600, images=1)
    none = read_model({"model_type": "idefics", "use_resampler": True}).prefill(600)
    assert one.elementwise_flops > none.elementwise_flops


def test_granite_docling_keeps_a_fine_route_and_what_routes() -> None:
    """The fine route puts 2 x 2 patches of 768 side by side, the coarse one 4 x 4; behind each a
    merger for three deep layers. What routes reads the patches, through 48 elements here."""
    hidden, out = 768, 1024
    seen = 2 * 2 * hidden
    fine = seen * out + 3 * (2 * seen + linear(seen, out) + linear(out, out))
    plain = params("granite_docling")
    assert plain - params("granite_docling", vision_config={"use_fine_route": False}) == fine
    router = linear(hidden, 1) + 2 * hidden + linear(hidden, 48) + linear(48, 1)
    assert params("granite_docling", density_router_hidden_size=48) - plain == router


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [("FSF", ["full", "shared", "full"]), ("FSFSS", ["full", "shared", "full"])],
)
def test_a_pattern_of_letters_says_which_layers_choose(pattern: str, kinds: list[str]) -> None:
    glm = {"model_type": "glm_moe_dsa", "num_hidden_layers": 3, "index_topk_pattern": pattern}
    assert params(**glm) == params("glm_moe_dsa", num_hidden_layers=3, indexer_types=kinds)
    for wrong in ("FS", "FSX"):
        with pytest.raises(InputError, match="no letter F or S"):
            params(**{**glm, "index_topk_pattern": wrong})


FORMS: list[tuple[str, Stored]] = [
    ("w8a8", Stored("int8", 8, None, None, "int8", 16)),
    ("w4a16-g128", Stored("int4", 4, 128, None, None, 16)),
    ("w4a16", Stored("int4", 4, None, None, None, 16)),
    ("gptq-int4-g128", Stored("int4", 4, 128, None, None, 20)),
    ("awq-int4-g64", Stored("int4", 4, 64, None, None, 20)),
    ("hqq-int4-g64", Stored("int4", 4, 64, None, None, 32)),
    ("mlx-int4-g64", Stored("int4", 4, 64, None, None, 32)),
    ("fp8-block128", Stored("fp8", 8, None, (128, 128), "fp8", 32)),
    ("fp8-block64x128", Stored("fp8", 8, None, (64, 128), "fp8", 32)),
    ("quanto-int4", Stored("int4", 4, 128, None, None, 32)),
    ("torchao-int4", Stored("int4", 4, 128, None, None, 32)),
    ("fp8-dynamic", Stored("fp8", 8, None, None, "fp8", 32)),
    ("modelopt-nvfp4", Stored("nvfp4", 4, 16, None, "nvfp4", 8, 64)),
    ("eetq-int8", Stored("int8", 8, None, None, None, 16)),
]


@pytest.mark.parametrize(("name", "stored"), FORMS)
def test_a_published_form_is_the_format_of_every_matrix(name: str, stored: Stored) -> None:
    assert published_form(name).format_of("mlp", "up_proj", 0) == stored


def test_every_form_is_one_and_what_is_none_is_refused() -> None:
    for name in FORM_NAMES:
        found = published_form(name)
        assert found.format_of("mlp", "up_proj", 0) is not None
        # MLX alone narrows heads and tables, too
        assert (found.format_of("lm_head", "lm_head") is None) == ("mlx" not in name)
    with pytest.raises(UsageError, match="is no published form"):
        published_form("w4")


@pytest.mark.parametrize(
    ("block", "method"),
    [
        ({"quant_algo": "FP8"}, "modelopt"),
        (
            {"config_groups": {"a": {"targets": ["Linear"], "weights": {"num_bits": 8}}}},
            "compressed-tensors",
        ),
        ({"quant_method": "gptq", "bits": 4, "load_in_8bit": True}, "bitsandbytes"),
        ({"quant_method": "gptq", "bits": 4, "load_in_4bit": True}, "bitsandbytes"),
    ],
)
def test_a_method_that_is_not_named_is_told_by_its_keys(block: dict[str, Any], method: str) -> None:
    found, note, _ = read_quantization({"quantization_config": block})
    assert (found and found.method, note) == (method, "")


def test_quark_says_the_format_of_single_modules() -> None:
    int8 = {"weight": {"dtype": "int8", "qscheme": "per_channel"}}
    block = {"quant_method": "quark", "layer_quant_config": {"*up_proj": int8, "*down_proj": {}},
             "global_quant_config": {"weight": {"dtype": "int4", "qscheme": "per_group",
                                                "group_size": 32}}}  # fmt: skip
    found, *_ = read_quantization({"quantization_config": block})
    assert found is not None
    said = [found.format_of("mlp", name, 0) for name in ("up_proj", "down_proj")]
    assert [str(each) for each in said] == ["int8", "int4 in groups of 32"]


def test_a_gguf_file_of_any_name_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    lines = {"let": "h=64 L=2 n=4 kv=2 f=128 V=96", "all": "$norms; $attn; $ffn",
             "outside": "token_embd V,h; output V,h; output_norm h"}  # fmt: skip
    keys, shapes = laid_out({}, lines)
    whole = load_model(written(tmp_path / "m.gguf", "LLAMA", keys, shapes))
    blob = (tmp_path / "m.gguf").rename(tmp_path / "sha256-0123")
    assert load_model(blob).params == whole.params
    plain = tmp_path / "x"
    plain.write_text('{"model_type": "gpt2"}')
    assert load_model(plain).family == "gpt2"


@pytest.mark.parametrize(
    ("name", "cls", "more"),
    [
        # a span's start and end; a dense layer and three labels: BartConfig has 1024 elements
        ("bart", "BartForQuestionAnswering", linear(1024, 2)),
        ("bart", "BartForSequenceClassification", linear(1024, 1024) + linear(1024, 3)),
        ("mbart", "MBartForQuestionAnswering", linear(1024, 2)),
        ("t5", "T5ForQuestionAnswering", linear(512, 2)),
    ],
)
def test_a_head_behind_a_decoder_is_all_that_its_class_adds(name: str, cls: str, more: int) -> None:
    bare = f"{cls.partition('For')[0]}Model"
    headed = read_model({"model_type": name, "architectures": [cls]})
    alone = read_model({"model_type": name, "architectures": [bare]})
    assert headed.params - alone.params == more
    tails = [len(each.description.stacks[-1].tail) for each in (headed, alone)]
    assert tails[0] - tails[1] == (2 if "Sequence" in cls else 1)


def test_gates_of_idefics_may_have_a_value_an_element() -> None:
    """Two of 64 elements, of attention and of the MLP, in a layer that looks; else two values."""
    text = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "vocab_size": 100, "cross_layer_interval": 2}  # fmt: skip
    of_vectors = params("idefics", **text, alpha_type="vector")
    assert of_vectors - params("idefics", **text, alpha_type="float") == 2 * 64 - 2


@pytest.mark.parametrize(("word", "group"), [("mxfp8", 32), ("mxfp6", 32), ("nvfp4", 16)])
def test_a_scaled_format_by_its_word_has_the_groups_of_its_definition(
    word: str, group: int
) -> None:
    """OCP Microscaling Formats 1.0, table 1: 32 elements a scale; NVIDIA's format has 16."""
    assert _of_word(word).group == group
