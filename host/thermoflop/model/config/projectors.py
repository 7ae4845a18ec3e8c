"""What lies between a tower and the text model: each takes a stack and gives it its last parts.

A projector is a function of the wrapper's configuration, the tower's, the tower's stack and the
width of the text model. Group names are those of the published records.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.parts import Linear, Norm, Part, Table, Vector
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.tower import sides

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.model.config.keys import Config


def linear(
    name: str, inputs: int, outputs: int, bias: bool = True, group: str = "projector"
) -> Linear:
    """A matrix of a projector."""
    return Linear(name, group, group, inputs, outputs, bias)


def pooled(*parts: Part) -> tuple[Placed, ...]:
    """Parts that run on what is left of the patches for the text model."""
    return tuple(Placed(part, "pooled") for part in parts)


def ending(stack: Stack, *tail: Part | Placed, merge: int = 1, left: Number | None = None) -> Stack:
    """The stack with more parts at its end, on what is left of the patches unless they say where;
    ``merge`` patches of a side become one token, or ``left`` are left in all."""
    placed = (part if isinstance(part, Placed) else Placed(part, "pooled") for part in tail)
    left = stack.pooled // merge**2 if left is None else left
    return replace(stack, tail=(*stack.tail, *placed), pooled=left)


def two_layers(inputs: int, hidden: int, bias: bool = True) -> tuple[Linear, Linear]:
    """To the width of the text model, and once more."""
    return linear("linear_1", inputs, hidden, bias), linear("linear_2", hidden, hidden, bias)


def chosen_layers(config: Config) -> int:
    """Layers of the tower whose states are read together: ``vision_feature_layer`` names them."""
    layers = config.get("vision_feature_layer", -1)
    if type(layers) is int:
        return 1
    if not isinstance(layers, list | tuple) or not layers:
        raise InputError(
            f"vision_feature_layer is {quote_value(layers)} where a layer or several are expected"
        )
    return len(layers)


def mlp(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """LLaVA: two matrices on the states of the chosen layers."""
    seen = stack.hidden * chosen_layers(config)
    bias = config.get("multimodal_projector_bias", True)
    return ending(stack, *two_layers(seen, hidden, bias))


def single(config: Config, _tower: Config, stack: Stack, _hidden: int) -> Stack:
    """PaliGemma: one matrix to ``projection_dim``."""
    width = config["projection_dim"]
    return ending(stack, linear("linear", stack.hidden, width))


def gemma3(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Gemma 3: pooled to a fixed number of tokens, a norm, and a matrix without a module."""
    project = Linear("mm_projection", "other", "mm_projection", stack.hidden, hidden)
    norm = Norm("mm_norm", stack.hidden)
    return ending(stack, norm, project, left=config["mm_tokens_per_image"])


def mistral3(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Mistral 3: a norm, neighbouring patches merged by a matrix, and two more."""
    seen, merge, bias = (
        stack.hidden,
        config["spatial_merge_size"],
        config.get("multimodal_projector_bias", False),
    )
    merging = linear("merging_layer", seen * merge**2, seen, bias=False)
    both = two_layers(seen * chosen_layers(config), hidden, bias)
    return ending(stack, Placed(Norm("norm", seen), "patch"), merging, *both, merge=merge)


def shuffled(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """InternVL: neighbouring patches side by side, a norm, two matrices."""
    merge = inverse(config["downsample_ratio"], "downsample_ratio")
    seen = stack.hidden * merge**2
    both = two_layers(seen, hidden)
    return ending(stack, layer_norm("layer_norm", seen), *both, merge=merge)


def inverse(ratio: Any, key: str) -> int:
    """1 / ``ratio``, cut to a whole number as the class cuts it."""
    if type(ratio) not in (int, float) or not 0 < ratio <= 1:
        raise InputError(f"{key} is {quote_value(ratio)} where a ratio up to 1 is expected")
    return int(1 / ratio)


def llama4(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Llama 4: neighbouring patches side by side through the adapter's MLP, and one matrix."""
    merge = inverse(tower["pixel_shuffle_ratio"], "pixel_shuffle_ratio")
    inner, out = tower["projector_input_dim"], tower["projector_output_dim"]
    adapter = (
        linear("adapter fc1", tower["intermediate_size"], inner, False, "mlp"),
        linear("adapter fc2", out, out, False, "mlp"),
    )
    last = linear("linear_1", tower["vision_output_dim"], hidden, False)
    return ending(stack, *adapter, last, merge=merge)


def connector(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Idefics 3 and SmolVLM: neighbouring patches side by side through one matrix."""
    merge = config["scale_factor"]
    return ending(stack, linear("proj", stack.hidden * merge**2, hidden, False), merge=merge)


def lfm2(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """LFM2-VL: neighbouring patches side by side, a norm, two matrices of their own width."""
    merge, width, bias = (
        config["downsample_factor"], config["projector_hidden_size"], config["projector_bias"]
    )  # fmt: skip
    seen = stack.hidden * merge**2
    norm = (layer_norm("layer_norm", seen),) if config["projector_use_layernorm"] else ()
    both = linear("linear_1", seen, width, bias), linear("linear_2", width, hidden, bias)
    return ending(stack, *norm, *both, merge=merge)


def kimi(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Kimi K2.5: a norm on each patch, neighbouring ones side by side through two matrices."""
    height, width = sides(tower["merge_kernel_size"] or 2, "merge_kernel_size")
    seen = stack.hidden * height * width
    norm = Placed(layer_norm("pre_norm", config["projection_hidden_size"]), "patch")
    both = linear("in_proj", seen, seen), linear("out_proj", seen, hidden)
    return ending(stack, norm, *both, left=stack.patches // (height * width))


def kimi_k3(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Kimi K3: neighbouring patches side by side through two matrices, and a norm."""
    height, width = tower["merge_kernel_size"] or (2, 2)
    seen = stack.hidden * height * width
    parts = (linear("in_proj", seen, seen, False), linear("out_proj", seen, hidden, False))
    norm = Norm("post_norm", hidden)
    return ending(stack, *parts, norm, left=stack.patches // (height * width))


def step(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Step: one matrix on what two convolutions leave, four times as wide."""
    project = linear("multi_modal_projector", 4 * stack.hidden, hidden, config["projector_bias"])
    return ending(stack, project)


def minimax(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """MiniMax M3: two matrices on each patch, and two on neighbouring ones side by side."""
    width, merge = config["projector_hidden_size"], tower["spatial_merge_size"]
    alone = (linear("linear_1", stack.hidden, width), linear("linear_2", width, hidden))
    merged = (
        linear("merge_linear_1", hidden * merge**2, width),
        linear("merge_linear_2", width, hidden),
    )
    first = (Placed(part, "patch") for part in alone)
    return ending(stack, *first, *merged, merge=merge)


def embedder(_config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Gemma 4: a norm without weights and one matrix, which the records count with the patches."""
    norm = Norm("embedding_pre_projection_norm", stack.hidden, weight=False)
    project = linear("embedding_projection", stack.hidden, hidden, False, "patch_embed")
    return ending(stack, norm, project)


def gemma3n(config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Gemma 3n: a norm, one matrix, a norm without weights; and a table of what stands for it.

    A clip of sound always takes as many tokens, filled up with one of that table.
    """
    seen, rows = tower["hidden_size"], tower["vocab_size"]
    table = Table("embedding", "other", rows, seen)
    hard = Placed(Norm("hard_embedding_norm", seen), "none")
    post = Norm("embedding_post_projection_norm", hidden, weight=False)
    project = linear("embedding_projection", seen, hidden, False)
    soft = Norm("soft_embedding_norm", seen)
    ended = ending(stack, Placed(table, "none"), hard, soft, project, post)
    if stack.role == "image":
        return ended
    return replace(ended, tokens=config["audio_soft_tokens_per_image"])


def aside(_config: Config, _tower: Config, stack: Stack, _hidden: int) -> Stack:
    """Video-LLaVA: a second tower for moving images, which share the projector."""
    return replace(stack, role="video")


def heard(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Voxtral: positions side by side, as wide as the tower's MLP, through two matrices."""
    inner = tower["encoder_ffn_dim"]
    left = stack.pooled * stack.hidden // inner
    return ending(stack, *two_layers(inner, hidden, False), left=left)


def heard_in_pairs(_config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Qwen2-Audio: the mean of two positions, a norm (in the tower), and one matrix."""
    return ending(stack, linear("linear", stack.hidden, hidden), left=stack.pooled // 2)


def phi_eyes(_config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Phi-4: the mean of 2 x 2 patches, learned ends of rows and images, two matrices."""
    ends = Placed(Vector("image ends", "other", 2 * stack.hidden), "none")
    return ending(stack, ends, *_up_down(stack.hidden, hidden), merge=2)


def _up_down(inputs: int, hidden: int) -> tuple[Linear, Linear]:
    return (
        linear("up", inputs, hidden, group="other"),
        linear("down", hidden, hidden, group="other"),
    )


def phi_ears(_config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Phi-4: two matrices for sound alone, and two others where there are images as well."""
    both = _up_down(stack.hidden, hidden)
    beside = (Placed(replace(part, name=f"{part.name} beside images"), "none") for part in both)
    return ending(stack, *both, *beside)


def mllama(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Llama 3.2: one matrix from the states of several layers; the text looks on, as a source."""
    return ending(stack, linear("projector", tower["vision_output_dim"], hidden))


def gated(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Aya and Command A Vision: neighbouring patches side by side through a gated MLP."""
    merge = config["downsample_factor"]
    seen, aya = stack.hidden * merge**2, config.family.name == "aya_vision"
    inner = config["alignment_intermediate_size"] or hidden
    norm = (layer_norm("layernorm", seen),) if aya else ()
    both = linear("linear_1", seen, inner), linear("linear_2", inner // 2, hidden)
    return ending(stack, *norm, *both, merge=merge)


def normed(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """ViP-LLaVA: the states of several layers side by side, a norm, two matrices."""
    seen = stack.hidden * chosen_layers(config)
    return ending(stack, layer_norm("norm", seen), *two_layers(seen, hidden))


def aligner(_config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """DeepSeek-VL and VideoLLaMA 3: two matrices on each patch."""
    return ending(stack, *two_layers(stack.hidden, hidden))


def one_more(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """HyperCLOVA X: one matrix behind the tower's own merger."""
    return ending(stack, linear("projector", tower["out_hidden_size"], hidden))


def merged(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """PaddleOCR-VL: a norm on each patch, neighbouring ones side by side through two matrices."""
    merge = tower["spatial_merge_size"]
    seen = stack.hidden * merge**2
    norm = Placed(layer_norm("pre_norm", stack.hidden), "patch")
    both = linear("linear_1", seen, seen), linear("linear_2", seen, hidden)
    return ending(stack, norm, *both, merge=merge)


def embedded_sound(_config: Config, tower: Config, stack: Stack, hidden: int) -> Stack:
    """Gemma 4: a norm without weights and one matrix, behind the tower's own."""
    seen = tower["output_proj_dims"]
    norm = Norm("embedding_pre_projection_norm", seen, weight=False)
    return ending(stack, norm, linear("embedding_projection", seen, hidden, False))
