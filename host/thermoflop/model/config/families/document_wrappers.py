"""Wrappers that read documents, through SAM's tower or several routes, and their towers.

Defaults are those of the classes of transformers 5.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.model.architecture.description import Placed, Stack
from thermoflop.model.architecture.parts import Linear, Norm, Vector
from thermoflop.model.config import connectors
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import latent, towers, vision  # noqa: F401 - parents
from thermoflop.model.config.families.document_towers import two_readers
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.family import Section, mapping, sizes
from thermoflop.model.config.keys import Config
from thermoflop.model.config.projectors import ending, linear
from thermoflop.model.config.sam import neck

GOT = {
    **sizes(vocab=151860, hidden=1024, inner=2816, layers=24, heads=16, kv_heads=16),
    "tie_word_embeddings": True,
}
for _name in ("got_ocr2", "pp_chart2table"):
    wrapper(
        _name,
        text_of("qwen2", GOT),
        eyes_of(f"{_name}_vision", fixed=True),
        connectors.upsampled,
        tie=True,
    )


def _high(_config: Config, tower: Config, stack: Stack, _hidden: int) -> Stack:
    """DeepSeek-VL's second tower: a neck on an early layer's states, and two convolutions."""
    out = tower["output_channels"]
    again = (Placed(part) for part in neck(stack.hidden, out))
    halves = connectors.halved(out, 2 * out, 4 * out)
    # both on that layer's states and on the last ones, brought to the size of the other tower
    halves = [replace(each, times=2) for each in halves]
    alpha = Placed(Vector("high_res_vision_alpha", "other", 1), "none")
    return replace(stack, tail=(*stack.tail, *again, *halves, alpha))


def _both(config: Config, _tower: Config, stack: Stack, hidden: int) -> Stack:
    """Both towers' states, each to half of the width, and one matrix."""
    out = config.nested["high_res_vision_config"]["output_channels"]
    maps = (
        linear("vision_proj", stack.hidden, hidden // 2),
        linear("high_res_vision_proj", 4 * out, hidden // 2),
        linear("proj", hidden, hidden),
    )
    return ending(stack, *maps)


_LOW = eyes_of("siglip_vision_model")
_HIGH = Section("high_res_vision_config", "sam_vision_model", fixed=False)
wrapper(
    "deepseek_vl_hybrid",
    text_of("llama"),
    _LOW,
    tie=True,
    keys={"high_res_vision_config": mapping()},
    traits={"towers": ((_LOW, _both), (_HIGH, _high)), "sections": (_HIGH,)},
)


def side_by_side(_config: Config, tower: Config, _stack: Stack, hidden: int) -> tuple[Stack, Stack]:
    """Both towers' states side by side through one matrix; rows and views end in learned ones."""
    first, second, width = two_readers(tower)
    project = Placed(linear("multi_modal_projector", second.hidden + width, hidden), "pooled")
    ends = Placed(Vector("image_newline, view_separator", "other", 2 * hidden), "none")
    return replace(first, tail=(*first.tail, project, ends)), second


_TWO = eyes_of("unlimited_ocr_vision", fixed=True)
wrapper(
    "unlimited_ocr",
    text_of("unlimited_ocr_text", fixed=True),
    _TWO,
    side_by_side,
    traits={"note": "its attention within a window beyond the prompt is counted in full"},
)


def _route(tower: Config, hidden: int, factor: int, name: str) -> list[Linear | Norm]:
    """A matrix on neighbouring patches side by side, and a merger for each deep layer."""
    out, seen = tower["out_hidden_size"], hidden * factor**2
    indexes = tower["deepstack_visual_indexes"]
    deep = 3 if indexes is None else len(indexes)
    merger = (
        layer_norm(f"{name} deepstack_norm", seen),
        linear(f"{name} deepstack 1", seen, out),
        linear(f"{name} deepstack 2", out, out),
    )
    return [linear(f"{name} projection", seen, out, False), *(merger * deep)]


def _routes(config: Config, tower: Config, stack: Stack, _hidden: int) -> Stack:
    """Granite-Docling's connector, by its coarse route; the fine one is kept."""
    hidden, out, factor = stack.hidden, tower["out_hidden_size"], tower["scale_factor"]
    coarse = _route(tower, hidden, factor, "coarse")
    last = (
        layer_norm("ln_mid", out),
        linear("mlp_fc2", out, out, False),
        layer_norm("ln_out", out),
    )
    idle = _route(tower, hidden, factor // 2, "fine") if tower["use_fine_route"] else []
    router = config["density_router_hidden_size"]
    if router:
        idle += [
            linear("router att", hidden, 1),
            layer_norm("router norm", hidden),
            linear("router fc1", hidden, router),
            linear("router fc2", router, 1),
        ]
    norm, kept = Placed(layer_norm("ln_in", hidden)), (Placed(part, "none") for part in idle)
    return ending(stack, norm, *coarse, *last, *kept, merge=factor)


wrapper(
    "granite_docling",
    text_of("granite_docling_text", fixed=True),
    eyes_of("granite_docling_vision", fixed=True),
    _routes,
    tie=True,
    keys={"density_router_hidden_size": None},
    ignored=("density_router_threshold",),
)
