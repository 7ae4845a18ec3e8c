"""The inputs of the estimator page."""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.cost.inference.arguments import GENERATE, PROMPT
from thermoflop.web.estimator.fields import FIELDS, SHAPE
from thermoflop.web.estimator.senses import senses_of

# inputs that models have that see, hear or generate
PERCEIVED = ("images", "image_width", "image_height", "audio_s", "output")


@record
class Inputs:
    """All inputs of both tabs; ``config`` is an uploaded config.json, packed.

    Below ``rank`` stand those of the original page, at its defaults. ``groups`` 0 means the model's
    own number of key heads, or about an eighth of its heads; ``price`` 0 that there is none.
    """

    mode: str = "estimate"
    model: str = "llama-3-8b"
    device: str = "H100-SXM-80GB"
    prompt: int = PROMPT
    output: int = GENERATE
    users: int = 1
    dtype: str = "published"
    measured: str = ""
    price: float = 0.0
    kv_dtype: str = "same"
    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    profile: str = "default"
    attention: str = "own"
    groups: int = 0
    rank: int = 512
    images: int = 0
    image_width: int = 1024
    image_height: int = 768
    audio_s: float = 0
    gpu: str = "A100"
    batch: int = 10
    heads: int = 16
    width: int = 768
    layers: int = 24
    start: int = 1
    end: int = 1024
    overhead_ms: float = 0.005
    efficiency: float = 0.5
    config: str = ""

    @property
    def original(self) -> bool:
        """Whether the tab of the original page is open."""
        return self.mode == "original"

    def is_used(self, name: str) -> bool:
        """Whether an input affects the answer."""
        if self.mode not in FIELDS[name].modes:
            return False
        if self.original:
            return True
        if name in ("heads", "width", "layers"):
            return self.model == SHAPE
        if name in PERCEIVED:
            return self._perceives(name)
        if name == "measured":
            return self.output > 1 and self._perceives("output")
        return self.profile == "own" if name in ("overhead_ms", "efficiency") else True

    def _perceives(self, name: str) -> bool:
        """Whether the chosen model sees or hears what an input says."""
        sees, hears, generates = senses_of(self.model, self.config)
        if name == "output":
            return generates
        if name in ("image_width", "image_height"):
            return sees and self.images > 0
        return sees if name == "images" else hears


DEFAULTS = Inputs()
