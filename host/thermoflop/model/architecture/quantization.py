"""How the weights of a published model are stored: which matrices in which format, which wide."""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.model.architecture.parts import HASH_TABLES, Linear, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.description import Description, Run, Stack

# Groups that a method leaves wide unless it names them.
_WIDE_GROUPS = frozenset(
    [
        "router",
        "shared_expert_gate",
        "streams",
        "depth_attn",
        "norm_gate",
        "classifier",
        "lm_head",
        "embed_tokens",
        HASH_TABLES,
        "embed_pos",
        "embed_type",
        "embed_proj",
    ]
)


@record
class Stored:
    """How the elements of a matrix are stored.

    Attributes:
        name: the format: fp8, int8, int4, nvfp4, mxfp4, mxfp8, nf4, ...
        bits: bits of an element, its scales left out.
        group: elements of a row that share a scale; None: a scale a row, tensor or block.
        block: rows and columns that share a scale; None where it is no rectangle.
        activations: the format that inputs are rounded to; None where they stay wide.
        scale_bits: bits of the scale (and zero point) that a block, a group, or without either
            a row shares; 0 where they do not count.
        matrix_bits: bits that a whole matrix has once: a scale of the tensor, a codebook.

    Example:
        >>> import thermoflop as tf
        >>> block = {"quant_method": "fp8", "weight_block_size": [128, 128]}
        >>> model = tf.load_model({"model_type": "llama", "quantization_config": block})
        >>> str(model.quantization.default)
        'fp8 in blocks of 128 x 128'
    """

    name: str
    bits: float
    group: int | None = None
    block: tuple[int, int] | None = None
    activations: str | None = None
    scale_bits: float = 0.0
    matrix_bits: float = 0.0

    def bytes_of(self, inputs: int, outputs: int) -> float:
        """Bytes of a matrix with its scales.

        Args:
            inputs: columns: what a row of it sums over.
            outputs: rows.

        Returns:
            Bytes, with a part of one where bits do not fill the last.

        Example:
            >>> import thermoflop as tf
            >>> block = {"quant_method": "fp8", "weight_block_size": [128, 128]}
            >>> model = tf.load_model({"model_type": "llama", "quantization_config": block})
            >>> model.quantization.default.bytes_of(256, 200) == 256 * 200 + 2 * 2 * 4
            True
        """
        if self.block is not None:
            shared = -(-outputs // self.block[0]) * -(-inputs // self.block[1])
        else:
            shared = outputs * (1 if self.group is None else -(-inputs // self.group))
        return (inputs * outputs * self.bits + shared * self.scale_bits + self.matrix_bits) / 8

    def __str__(self) -> str:
        if self.block is not None:
            return f"{self.name} in blocks of {self.block[0]} x {self.block[1]}"
        return f"{self.name} in groups of {self.group}" if self.group else self.name


@record
class Quantization:
    """What a published configuration says of its number formats.

    Attributes:
        method: what made it, as published: fp8, awq, gptq, bitsandbytes, modelopt, ...
        default: format of the matrices in layers that nothing else is said of; None: wide.
        targets: formats with the modules that they are for, as published; the first that
            matches holds.
        wide: modules that stay wide, as published; they win over ``targets``.
        kv_cache: format of keys and values; None where nothing is said.
        outside: groups that most methods leave wide and ``default`` is for, too: lm_head,
            embed_tokens, hash_tables.
        merged: maps that the model's class makes as one (Phi-3's gate_up_proj), so that a pattern
            in their name means them.

    Example:
        >>> import thermoflop as tf
        >>> block = {"quant_method": "mxfp4", "modules_to_not_convert": ["*.self_attn"]}
        >>> model = tf.load_model({"model_type": "gpt_oss", "quantization_config": block})
        >>> model.quantization.format_of("experts", "expert up", layer=0).name
        'mxfp4'
        >>> model.quantization.format_of("attn", "q_proj", layer=0) is None
        True
    """

    method: str
    default: Stored | None
    targets: tuple[tuple[Stored, tuple[str, ...]], ...] = ()
    wide: tuple[str, ...] = ()
    kv_cache: str | None = None
    outside: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()

    def format_of(
        self, group: str, matrix: str, layer: int | None = None, role: str = "decoder"
    ) -> Stored | None:
        """The format of one matrix.

        Args:
            group: its group of parameters, as in ``params_by_group``: attn, mlp, experts, ...
            matrix: its name in the description, such as q_proj.
            layer: the layer it lies in, from 0; None (default): outside the layers.
            role: the role of its stack, ``decoder`` by default.

        Returns:
            The format, or None where it stays wide.

        Example:
            >>> import thermoflop as tf
            >>> block = {"quant_method": "awq", "bits": 4, "group_size": 64}
            >>> model = tf.load_model({"model_type": "llama", "quantization_config": block})
            >>> str(model.quantization.format_of("attn", "q_proj", layer=3))
            'int4 in groups of 64'
        """
        # of the quantized models alone: most have none, and start without it
        from thermoflop.model.architecture.module_names import matches, names_of

        names = names_of(role, group, matrix, layer is not None)
        if matches(self.wide, names, layer, self.merged):
            return None
        for stored, modules in self.targets:
            if matches(modules, names, layer, self.merged):
                return stored
        left = group in _WIDE_GROUPS and group not in self.outside
        return None if left else self.default

    def by_group(self, description: Description) -> dict[str, dict[str, int]]:
        """Parameters of the matrices by group and by format, ``wide`` for those left as they are.

        Args:
            description: the stacks of the model, of whole numbers.

        Returns:
            ``{group: {format or "wide": parameters}}``.

        Example:
            >>> import thermoflop as tf
            >>> block = {"quant_method": "fbgemm_fp8"}
            >>> model = tf.load_model({"model_type": "llama", "quantization_config": block})
            >>> model.quantization.by_group(model.description)["attn"]
            {'fp8': 2147483648}
        """
        sums: dict[str, dict[str, int]] = {}
        for part, sets, stored in matrices(description, self):
            mine = sums.setdefault(part.group, {})
            name = "wide" if stored is None else str(stored)
            mine[name] = mine.get(name, 0) + int(sets) * _elements(part)
        return sums

    def line(self, description: Description) -> str:
        """One line for a person: the groups in each format, and the cache.

        Args:
            description: the stacks of the model, of whole numbers.

        Returns:
            A sentence without its full stop.

        Example:
            >>> import thermoflop as tf
            >>> block = {"quant_method": "eetq"}
            >>> model = tf.load_model({"model_type": "gpt2", "quantization_config": block})
            >>> model.quantization.line(model.description)
            'quantized by eetq: attn, mlp in int8; embed_tokens, embed_pos wide'
        """
        groups: dict[str, list[str]] = {}
        for group, formats in self.by_group(description).items():
            whole = sum(formats.values())
            for name, count in formats.items():
                share = "" if count == whole else f" ({count / whole:.0%})"
                groups.setdefault(name, []).append(f"{group}{share}")
        wide = groups.pop("wide", [])
        parts = [f"{', '.join(listed)} in {name}" for name, listed in groups.items()]
        parts += [f"{', '.join(wide)} wide"] if wide else []
        parts += [f"keys and values in {self.kv_cache}"] if self.kv_cache else []
        return f"quantized by {self.method}: {'; '.join(parts)}"


def matrices(
    description: Description, quantization: Quantization
) -> Iterator[tuple[Linear | Table, int, Stored | None]]:
    """Every matrix with the number of its sets of weights in one format (None: wide)."""
    for stack in description.stacks:
        for placed in (*stack.front, *stack.tail):
            if isinstance(placed.part, Linear | Table):
                part = placed.part
                yield part, 1, quantization.format_of(part.group, part.name, None, stack.role)
        yield from _of_layers(stack, quantization)
    for last in (*(placed.part for placed in description.extras), description.head):
        if isinstance(last, Linear) and not last.tied:
            yield last, 1, quantization.format_of(last.group, last.name)


def _of_layers(
    stack: Stack, quantization: Quantization
) -> Iterator[tuple[Linear | Table, int, Stored | None]]:
    before = 0
    for run in stack.runs:
        layers = _layers_of(run, before)
        before += int(run.times)
        for part in run.layer.parts():
            if isinstance(part, Table) and part.group != HASH_TABLES:
                continue
            if not isinstance(part, Linear | Table):
                continue
            counts: dict[Stored | None, int] = {}
            for layer in layers:
                stored = quantization.format_of(part.group, part.name, layer, stack.role)
                counts[stored] = counts.get(stored, 0) + 1
            for stored, count in counts.items():
                yield part, count, stored


def _layers_of(run: Run, before: int) -> tuple[int, ...]:
    """The layers of a run that have weights of their own."""
    layers = run.at or tuple(range(before, before + int(run.times)))
    return layers[: int(run.sets)]


def _elements(part: Linear | Table) -> int:
    return int(part.parameters if isinstance(part, Table) else part.matrix_parameters)
