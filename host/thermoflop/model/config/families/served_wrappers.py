"""Readers of documents and images whose code lies beside their weights: dots.ocr, Kimi-VL,
DeepSeek-OCR. Totals of published weights: tests/model/config/families/test_beside_weights.py.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.parts import Convolution, Norm
from thermoflop.model.config import projectors
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import dense, document_towers, towers  # noqa: F401 - parents
from thermoflop.model.config.families.document_towers import two_readers
from thermoflop.model.config.families.document_wrappers import side_by_side
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.towers import BARE, tower
from thermoflop.model.config.family import Section, family, mapping, sizes, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config


def _dots_tail(config: Config) -> tuple[Placed, ...]:
    """A norm of the patches where it says so, and four of them through two matrices."""
    width, out = config["embed_dim"], config["hidden_size"]
    seen = width * config["spatial_merge_size"] ** 2
    norms = [Norm("post_trunk_norm", width)] if config["post_norm"] else []
    norms.append(layer_norm("merger_norm", width))
    maps = projectors.linear("merger_1", seen, seen), projectors.linear("merger_2", seen, out)
    return (*(Placed(norm, "patch") for norm in norms), *projectors.pooled(*maps))


tower(
    "dots_vision",
    keys={
        "embed_dim": 1536,
        **sizes(hidden=1536, inner=4224, layers=42, heads=12, channels=3, patch=14),
        "spatial_merge_size": 2,
        "temporal_patch_size": 1,
        "use_bias": False,
        "post_norm": True,
        "hidden_act": "silu",
    },
    traits={
        **BARE,
        "hidden": use("embed_dim"),
        "rule": ("smart", 3136, 11289600),
        "merge": use("spatial_merge_size"),
        "q_bias": use("use_bias"),
        "o_bias": use("use_bias"),
        "up_bias": use("use_bias"),
        "pre_norm": True,
        "positions": 0,
        "tail": _dots_tail,
    },
)


def _without(*keys: str) -> Any:
    """The trait of a wrapper whose text lies beside it: its own keys are not the text's."""
    return lambda _config: dict.fromkeys(keys)


wrapper(
    "dots_ocr",
    text_of("qwen2", flat=True),
    eyes_of("dots_vision", fixed=True),
    tied="text",
    like="qwen2",
    traits={"shared": _without("attention_bias")},
    ignored=("attention_bias",),  # queries, keys and values of a Qwen 2 have one in any case
)
wrapper(
    "kimi_vl",
    text_of("deepseek_v3"),
    eyes_of("kimi_k25_vision", fixed=True),
    projectors.kimi,
    tied="text",
    keys={"projection_hidden_size": 1152},
)


def _clip_and_sam(config: Config, tower: Config, _stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """DeepSeek-OCR: as Unlimited-OCR, with CLIP's patches kept, in whose place SAM's are read."""
    first, second = side_by_side(config, tower, _stack, hidden)
    clip = tower.nested["encoder_config"]
    width, taps = clip["hidden_size"], clip["patch_size"] ** 2
    idle = Convolution("patch_embed", "patch_embed", "patch_embed", 3, width, taps)
    return first, replace(second, front=(Placed(idle, "none"), *second.front))


_SAM = {"downsample_channels": [512, 1024], "heads": 12, "layers": 12, "width": 768}


def _deepseek_eyes(config: Config) -> Stack:
    """The published file names both towers and not their sizes, but for what is checked here."""
    width = config["width"] or {}
    sam = width.get("sam_vit_b", _SAM)
    usual = isinstance(sam, dict) and all(sam.get(key) == value for key, value in _SAM.items())
    if config["model_name"] != "deeplip_b_l" or not usual:
        raise UnknownModel("deepseek_vl_v2 with a vision_config other than DeepSeek-OCR's")
    return two_readers(config)[0]


family(
    "deepseek_ocr_vision",
    "unlimited_ocr_vision",
    keys={"model_name": "deeplip_b_l", "width": mapping()},
    traits={"stack": _deepseek_eyes},
    ignored=("mlp_ratio", "image_size"),
)
_NOT_LATENT = ("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


# what reads pages of a type, of which DeepSeek's other models have other joints
_READERS = {"deepseek_vl_v2": "DeepseekOCR", "unlimited-ocr": "UnlimitedOCR"}


def _deepseek_text(config: Config) -> dict[str, None]:
    inner, name = config["language_config"] or {}, config.family.name
    reader = _READERS[name]
    if not str(config.raw.get("architectures")).startswith(f"['{reader}For"):
        raise UnknownModel(
            f"{name} needs architectures {reader}ForCausalLM here: what joins the tiles of "
            "DeepSeek-VL2 is not described"
        )
    if inner.get("use_mla") is not False or inner.get("kv_lora_rank"):
        raise UnknownModel(f"{name} needs use_mla false and no latents here")
    beside = ("use_mla", "lm_head", "rm_head", "num_key_value_heads", "sliding_window_size")
    return dict.fromkeys((*_NOT_LATENT, *beside))


for _name in _READERS:
    wrapper(
        _name,
        Section("language_config", "unlimited_ocr_text", fixed=_name == "unlimited-ocr"),
        eyes_of("deepseek_ocr_vision", fixed=True),
        _clip_and_sam,
        tied="text",
        keys={"projector_config": mapping()},
        traits={"shared": _deepseek_text},
        # sizes of the text, which the file says once more
        ignored=(
            *_NOT_LATENT,
            *(
                "use_mla",
                "lm_head",
                "rm_head",
                "tile_tag",
                "global_view_pos",
                "moe_intermediate_size",
            ),
            *(
                "first_k_dense_replace",
                "n_routed_experts",
                "n_shared_experts",
                "num_attention_heads",
            ),
            *(
                "num_experts_per_tok",
                "num_hidden_layers",
                "num_key_value_heads",
                "intermediate_size",
            ),
            *("candidate_resolutions", "sliding_window", "sliding_window_size", "rswa_window"),
        ),
    )
