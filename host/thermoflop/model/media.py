"""Images and sound that a prompt brings: what people write as tokens and towers of that size."""

from __future__ import annotations

from math import prod

from thermoflop.base.record import record, replace
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import Description, Stack
from thermoflop.model.architecture.parts import UNLISTED_EARS

LARGEST_SIDE = 100_000
LARGEST_COUNT = 100_000
LONGEST_S = 10**6
SAMPLES_PER_S = 16_000


@record
class Media:
    """What each sequence of a prompt brings: images, clips of sound, and their tokens."""

    images: int = 0
    clips: int = 0
    tokens: int = 0

    def __bool__(self) -> bool:
        return bool(self.images or self.clips)


def parse_images(text: str) -> tuple[int, int, int]:
    """Count, width and height of ``2x1024x768``; UsageError for anything else."""
    words = text.lower().replace("*", "x").split("x")
    numbers = [int(word) for word in words if word.isdecimal() and len(word) < 9]
    if len(numbers) != 3 or len(words) != 3 or min(numbers) < 1:
        numbers = [0]
    if numbers[0] < 1 or numbers[0] > LARGEST_COUNT or max(numbers[1:]) > LARGEST_SIDE:
        raise UsageError(
            f"images={text!r:.40} makes no sense: expected count x width x height in pixels, "
            "such as 2x1024x768"
        )
    return numbers[0], numbers[1], numbers[2]


def parse_seconds(given: str | float) -> float:
    """Seconds of ``30s``, ``1.5m`` or a number; UsageError for anything else."""
    text = str(given).strip().lower()
    unit = 60 if text.endswith("m") else 1
    try:
        seconds = float(text.removesuffix("s").removesuffix("m")) * unit
    except ValueError:
        seconds = 0.0
    if isinstance(given, bool) or not 0 < seconds <= LONGEST_S:
        raise UsageError(
            f"audio={given!r:.40} makes no sense: expected the length of a clip, such as 30s"
        )
    return seconds


def tokens_of(stack: Stack) -> int:
    """Tokens of a prompt that one image or clip is."""
    return int(stack.tiles * stack.pooled if stack.tokens is None else stack.tokens)


def with_media(
    description: Description,
    name: str,
    images: object = None,
    audio: str | float | None = None,
) -> tuple[Description, Media]:
    """The model with its towers on images and clips of that size, and what they come to.

    ``images`` that are no text are a number of images, which has no size. UsageError for a size
    that makes no sense, or where the model ``name`` does not see or hear.
    """
    # here, because a question without images must not wait for the grids of towers
    from thermoflop.model.architecture.perceived import tower_hearing, tower_on

    count, clips, tokens = 0, 0, 0
    if isinstance(images, str):
        count, width, height = parse_images(images)
        stack = _tower(description, "image", f"{name} sees nothing: images={images!r:.40}")
        seeing = tower_on(stack, height, width)
        description = _with(description, stack, seeing)
        tokens += count * tokens_of(seeing)
    if audio is not None and description.stack("audio") is None and _hears(description):
        _check_source(description, name, audio)
    elif audio is not None:
        clips, seconds = 1, parse_seconds(audio)
        if any(getattr(each.part, "name", "") == UNLISTED_EARS for each in description.extras):
            raise UsageError(f"the work of {name}'s ears is not counted: audio={audio!r:.40}")
        stack = _tower(description, "audio", f"{name} hears nothing: audio={audio!r:.40}")
        hearing = tower_hearing(stack, seconds)
        description = _with(description, stack, hearing)
        tokens += tokens_of(hearing)
    return description, Media(count, clips, tokens)


def _hears(description: Description) -> bool:
    """Whether the source, or the prompt itself, is sound: convolutions come before the layers, and
    they make no patches of an image."""
    first = description.stacks[0]
    return not first.patches and any(
        placed.part.group in ("conv_frontend", "patch_embed") for placed in first.front
    )


def _check_source(description: Description, name: str, audio: str | float) -> None:
    """UsageError where a clip is not the source that is counted in any case: Whisper's, which is
    padded to 30 s."""
    from thermoflop.model.architecture.perceived import FRAMES_PER_POSITION, FRAMES_PER_S

    seconds, first = parse_seconds(audio), description.stacks[0]
    if first.positions is not None:
        heard_s = FRAMES_PER_POSITION * int(first.positions) / FRAMES_PER_S
        if seconds > heard_s:
            raise UsageError(
                f"{name} hears {heard_s:g} s at a time, shorter ones padded to that: "
                f"audio={audio!r:.40} takes several runs"
            )
    elif first.role == "encoder":
        raise UsageError(f"{name} hears its source: audio={audio!r:.40} is for a prompt")
    else:
        steps = prod(step for _, step in first.windows)
        # a position is 20 to 80 ms long: 320 samples and more, or 8 frames
        unit, rate = ("samples", SAMPLES_PER_S) if steps > 100 else ("mel frames", FRAMES_PER_S)
        raise UsageError(
            f"the prompt of {name} is the sound itself, in {unit} ({rate:,} a second): say "
            f"prompt={max(1, round(seconds * rate))} in place of audio={audio!r:.40}"
        )


def _tower(description: Description, role: str, refusal: str) -> Stack:
    """The tower of that role, or UsageError."""
    stack = description.stack(role)
    if stack is None:
        raise UsageError(f"{refusal} is for models that do")
    return stack


def _with(description: Description, old: Stack, new: Stack) -> Description:
    stacks = tuple(new if stack is old else stack for stack in description.stacks)
    return replace(description, stacks=stacks)
