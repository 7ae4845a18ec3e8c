"""Step 3: one head of keys for all queries, which come from a latent, and its eyes.

Keys and defaults are those of the code beside its weights, as vLLM has it.
"""

from __future__ import annotations

from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Convolution
from thermoflop.model.config.families import by_layer, towers  # noqa: F401 - parents are there
from thermoflop.model.config.families.by_layer import listed_layers
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.families.towers import tower
from thermoflop.model.config.family import anything, family, required, sizes, use
from thermoflop.model.config.projectors import ending, linear

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.config.keys import Config


def _sparse(config: Config) -> Sequence[bool]:
    """The layers in ``moe_layers_enum``, or those of 4 to 59 that there are."""
    listed, layers = listed_layers(config), range(config["num_hidden_layers"])
    chosen = range(4, 60) if listed is None else listed
    return [index in chosen for index in layers]


family(
    "step3_text",
    "llama",
    keys={
        **sizes(vocab=128815, hidden=7168, inner=18432, layers=61, heads=64, head_dim=256),
        "num_key_value_heads": 1,
        "share_q_dim": 2048,
        "share_expert_dim": 5120,
        "moe_intermediate_size": 5120,
        "n_routed_experts": 48,
        "num_experts_per_tok": 3,
        "moe_layers_enum": anything(),
        "max_position_embedding": 65536,
    },
    traits={
        "q_rank": use("share_q_dim"),
        "shared_inner": use("share_expert_dim"),
        "sparse": _sparse,
    },
    aliases={
        "num_attention_groups": "num_key_value_heads",
        "moe_num_experts": "n_routed_experts",
        "moe_top_k": "num_experts_per_tok",
    },
    ignored=("norm_expert_weight",),
)


def _halved(config: Config, eyes: Config, stack: Stack, hidden: int) -> Stack:
    """Two convolutions, each of which halves both sides, and one matrix."""
    if config["understand_projector_stride"] != 2:
        raise UnknownModel("understand_projector_stride of step3_vl is described for 2 alone")
    if config["hidden_size"] not in (None, hidden):
        raise InputError(
            f"hidden_size of step3_vl is {config['hidden_size']}, and that of its text {hidden}"
        )
    width, role = eyes["output_hidden_size"], "downsample"
    first = Convolution("vit_downsampler", role, role, stack.hidden, width, 4, bias=True)
    second = Convolution("vit_downsampler2", role, role, width, 2 * width, 9, bias=True)
    project = linear("vit_large_projector", 2 * width, hidden, config["projector_bias"])
    return ending(stack, Placed(first, "pooled x 4"), second, project, merge=4)


tower(
    "step3_vision_encoder",
    keys={
        **sizes(hidden=1792, inner=3072, layers=63, heads=16, channels=3, image=728, patch=14),
        "hidden_act": "quick_gelu",
        "output_hidden_size": 4096,
    },
    traits={"class_tokens": 1},
)
wrapper(
    "step3_vl",
    text_of("step3_text", fixed=True),
    eyes_of("step3_vision_encoder", fixed=True),
    _halved,
    keys={"understand_projector_stride": required(), "projector_bias": True, "hidden_size": None},
    # Step3VisionProcessor of vLLM
    traits={
        "note": "windows of 504 pixels, as which images of 728 and more are seen again, are not"
        " counted"
    },
)
