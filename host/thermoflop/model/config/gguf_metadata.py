"""What a GGUF file states behind its architecture's name, and the tensors that it has."""

from __future__ import annotations

import re

from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.config.keys import LARGEST_LAYER_COUNT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.gguf_header import Gguf
    from thermoflop.model.config.stored_files import StoredTensor

_BLOCK = re.compile(r"^(?:(?:enc|dec)\.)?blk\.(\d{1,6})\.(.+)$")
# What sees or hears, which Ollama writes into the file of the text model.
_SEES = re.compile(r"^(?:v|a|s|mm|resampler|vision_model|multi_modal_projector)\.")
# What a converter writes that no class counts: factors of rotations, what chooses experts besides
# their weights, scales of narrow formats; and what some classes call a parameter and some a buffer.
_BUFFERS = re.compile(
    r"(?:^|\.)(?:rope_freqs|rope_factors_\w+|attn_rot_embd|exp_probs_b|layer_output_scale"
    r"|ffn_gate_tid2eid|(?!ffn_gate_inp|ffn_down_exps)\w+\.(?:input_)?scale)(?:\.|$)"
)


class Metadata:
    """The keys of one architecture, read with their kind checked.

    Attributes:
        name: the architecture.
        layers: blocks of the model itself.
        ahead: further blocks, which predict tokens further ahead.
        parts: the layers that have a tensor, by its name in a layer.
        by_layer_read: keys that were read layer by layer.
    """

    def __init__(self, gguf: Gguf, path: str, name: str) -> None:
        self.gguf, self.path, self.name = gguf, path, name
        self.tensors = {tensor.name: tensor for tensor in gguf.tensors}
        self.layers = 0
        self.parts: dict[str, list[int]] = {}
        self.by_layer_read: set[str] = set()
        for tensor in gguf.tensors:
            found = _BLOCK.match(tensor.name)
            if found is not None:
                self.parts.setdefault(found[2], []).append(int(found[1]))
        blocks = self.count("block_count", 0)
        if blocks > LARGEST_LAYER_COUNT:
            raise InputError(f"{path}: {name}.block_count is {blocks:,}, more than any model has")
        self.ahead = min(self.count("nextn_predict_layers", 0), max(blocks - 1, 0))
        self.layers = blocks - self.ahead

    def get(self, key: str) -> Any:
        """The value of a key as the file has it, or None."""
        return self.gguf.metadata.get(f"{self.name}.{key}")

    def one(self, key: str) -> Any:
        """A number, or the one that an array of layers has throughout; None for an absent key, and
        for one that differs."""
        value = self.get(key)
        if isinstance(value, list):
            kinds = set(value[: self.layers] if len(value) > self.layers else value)
            return kinds.pop() if len(kinds) == 1 else None
        return value

    def count(self, key: str, otherwise: int | None = None) -> int:
        """A whole number. InputError where it is none, or absent with nothing to stand for it."""
        value = self.get(key)
        if value is None and otherwise is not None:
            return otherwise
        if isinstance(value, list):
            self.refuse_differing(key)
            value = self.one(key)
        if type(value) is not int or not 0 <= value < 10**12:
            raise InputError(
                f"{self.path}: {self.name}.{key} is {_shown(value)} where a whole number is "
                "expected"
            )
        return value

    def share(self, whole: str, parts: str) -> int:
        """What one of so many parts has of a whole."""
        size = self.count(whole)
        return size // (self.count(parts) or 1)

    def by_layer(self, key: str) -> list[int]:
        """A whole number for each layer. InputError for an array that is too short."""
        value = self.get(key)
        self.by_layer_read.add(key)
        if not isinstance(value, list):
            return [self.count(key)] * self.layers
        if len(value) < self.layers or any(type(each) not in (int, bool) for each in value):
            raise InputError(
                f"{self.path}: {self.name}.{key} has {len(value):,} values where {self.layers:,} "
                "layers are"
            )
        return [int(each) for each in value[: self.layers]]

    def refuse_differing(self, key: str) -> None:
        """UnknownModel for an array of layers that are not alike."""
        if isinstance(self.get(key), list) and self.one(key) is None:
            raise UnknownModel(
                f"{self.path}: {self.name}.{key} differs from layer to layer, which is not read of "
                f"the architecture {self.name}"
            )

    def has(self, part: str) -> bool:
        """Whether there is such a tensor, in a layer (``attn_q.bias``) or outside."""
        return part in self.parts or part in self.tensors

    def sides(self, name: str) -> tuple[int, ...]:
        """The sides of a tensor, columns first; none where there is no such tensor."""
        tensor = self.tensors.get(name)
        return () if tensor is None else tensor.shape

    def own(self) -> list[StoredTensor]:
        """The tensors of the model itself."""
        beside = (self.sees, self.is_ahead)
        return [each for each in self.gguf.tensors if not any(rule(each) for rule in beside)]

    def sees(self, tensor: StoredTensor) -> bool:
        """Whether a tensor sees or hears for the model."""
        return _SEES.match(tensor.name) is not None

    def is_ahead(self, tensor: StoredTensor) -> bool:
        """Whether a tensor lies in a block that predicts tokens further ahead."""
        found = _BLOCK.match(tensor.name)
        return found is not None and int(found[1]) >= self.layers > 0

    def is_buffer(self, tensor: StoredTensor) -> bool:
        """Whether a tensor is one that no class, or not every class, counts as parameters."""
        return _BUFFERS.search(tensor.name) is not None


def _shown(value: Any) -> str:
    return "missing" if value is None else f"{value!r:.40}"
