"""The form of a wrapper's entry: its sections, what is between them, who decides about the tie."""

from __future__ import annotations

from thermoflop.model.config.family import FAMILIES, Section, family, mapping, spaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Keys of wrappers that change no count: names and processing of images, and sizes of the text
# part that published files repeat outside its section.
_SPARE = spaced(
    "vocab_size hidden_size ignore_index image_seq_length video_seq_length image_grid_pinpoints"
    " img_token_compression_config process_image_mode use_image_newline_parameter"
    " vision_aspect_ratio use_unified_vision_chunk do_image_splitting max_image_tokens"
    " min_image_tokens max_tiles encoder_patch_size max_pixels_tolerance min_tiles tile_size"
    " use_image_special_tokens use_thumbnail vision_soft_tokens_per_image"
)


def wrapper(
    name: str,
    text: Section,
    eyes: Section | None,
    project: Any = None,
    *,
    tied: str = "outer",
    tie: bool = False,
    ears: tuple[Section, Any] | None = None,
    keys: dict[str, Any] | None = None,
    traits: dict[str, Any] | None = None,
    like: str | None = None,
    ignored: tuple[str, ...] = (),
    drop: tuple[str, ...] = (),
) -> None:
    """Register a wrapper; ``tie`` is what the class takes where tie_word_embeddings is absent."""
    towers = [(eyes, project)] if eyes is not None else []
    if ears is not None:
        towers.append(ears)
    own = FAMILIES[like].keys if like else {}
    sections = {section.key: mapping() for section in (text, *(tower for tower, _ in towers))}
    family(
        name,
        like,
        reader="wrapper",
        keys={**sections, "tie_word_embeddings": tie, **(keys or {})},
        traits={"text": text, "towers": tuple(towers), "tied": tied, **(traits or {})},
        ignored=(*(key for key in _SPARE if key not in own), *ignored),
        drop=drop,
    )


def text_of(name: str, init: dict[str, Any] | None = None, **how: Any) -> Section:
    return Section("text_config", name, init, **{"fixed": False, **how})


def eyes_of(name: str, init: dict[str, Any] | None = None, **how: Any) -> Section:
    return Section("vision_config", name, init, **{"fixed": False, **how})


def ears_of(name: str, init: dict[str, Any] | None = None, **how: Any) -> Section:
    return Section("audio_config", name, init, **{"fixed": False, **how})
