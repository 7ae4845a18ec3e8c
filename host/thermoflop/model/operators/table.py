"""The operator table: all operators of a step, their totals, and the conventions behind them."""

from __future__ import annotations

from thermoflop.base.number import ARITHMETIC, Number, is_array, kind_of
from thermoflop.base.record import record, replace
from thermoflop.model.operators.kinds import MatMul, Pass
from thermoflop.model.operators.operator import Moved, Operator, Traffic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from thermoflop.model.architecture.formats import Formats
    from thermoflop.model.operators.step import Step


@record
class OperatorTable:
    """The operators of one step, made by ``Model.operators``. Iterate over it, print it, add it up.

    ``flops`` counts contractions, convolutions and scans, 2 for each multiply-add;
    ``elementwise_flops`` everything else. Totals are ints; in a sweep, arrays of ``shape``.

    Attributes:
        model_name: the model's name.
        operators: the operators in the order in which they run, equal layers once.
        step: the sizes of the step, and the conventions of counting.
        formats: the number formats of weights, activations and cache.
        arithmetic: in which numbers totals are computed, as a sentence; exact ints by default.
        shape: shape of each total of a sweep; ``()``, the default, where no size is an array.

    Example:
        >>> import thermoflop as tf
        >>> table = tf.load_model("gpt2").decode(1023)
        >>> len(table), table.operators[-1].name
        (18, 'lm_head')
        >>> table.by_group()["lm_head"] == 2 * 768 * 50257
        True
        >>> table.flops == 2 * table.multiplications == sum(table.by_part().values())
        True
        >>> table.read_bytes + table.write_bytes == table.traffic.total
        True
        >>> sorted(table.bytes_by_kind), table.conventions["logits"]
        (['activations', 'kv_read', 'kv_write', 'weights'], 'all')

        A sweep over a hundred lengths of the cache at once:

        >>> import numpy as np
        >>> tf.load_model("gpt2").decode(np.arange(100)).flops.shape
        (100,)
    """

    model_name: str
    operators: tuple[Operator, ...]
    step: Step
    formats: Formats
    arithmetic: str = ARITHMETIC["int"]
    shape: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[Operator]:
        """The operators in the order in which they run."""
        return iter(self.operators)

    def __len__(self) -> int:
        """How many operators there are, equal layers counted once."""
        return len(self.operators)

    @property
    def conventions(self) -> dict[str, str]:
        """The conventions in force, formats included."""
        formats = self.formats
        return {
            **self.step.conventions(),
            "weights": formats.weights.name,
            "activations": formats.activations.name,
            "cache": formats.cache.name,
            "numbers": self.arithmetic,
        }

    @property
    def multiplications(self) -> Number:
        """Multiplications of contractions, convolutions and scans."""
        total = _linear_sum(self.operators, lambda operator: operator.multiplications)
        return self._shaped(total)

    @property
    def flops(self) -> Number:
        """FLOPs of contractions, convolutions and scans: 2 for each multiply-add."""
        return 2 * self.multiplications

    @property
    def elementwise_flops(self) -> Number:
        """Operations on single elements: norms, softmax, activations, biases, residuals."""
        total = _linear_sum(self.operators, lambda operator: operator.elementwise_flops)
        return self._shaped(total)

    def traffic_of(self, operator: Operator) -> Traffic:
        """Bytes that one operator moves.

        Args:
            operator: one of ``operators``.

        Returns:
            Bytes in all its layers, by what is moved.

        Example:
            >>> import thermoflop as tf
            >>> table = tf.load_model("gpt2").decode(1023)
            >>> table.traffic_of(table.operators[-1]).weights == 2 * 768 * 50257
            True
        """
        once = operator.moved.traffic(self.formats)
        return Traffic(*(operator.times * size for size in once.__dict__.values()))

    @property
    def traffic(self) -> Traffic:
        """Bytes moved by the whole step."""
        if self.shape and self.formats.whole_bytes:
            return self._swept_traffic()
        parts = [self.traffic_of(operator) for operator in self.operators]
        names = Traffic.__annotations__
        return Traffic(
            **{name: self._shaped(sum(getattr(part, name) for part in parts)) for name in names}
        )

    def _shaped(self, total: Number) -> Number:
        """A total that no array had a part in, in the shape of the sweep."""
        if not self.shape or is_array(total):
            return total
        import numpy

        return numpy.broadcast_to(numpy.asarray(total), self.shape)

    def _swept_traffic(self) -> Traffic:
        """The same, elements added before they become bytes: no format rounds here.

        Weights become bytes one operator at a time: those of experts are an expected number.
        """
        operators, formats = self.operators, self.formats

        def moved(name: str) -> Number:
            return _linear_sum(operators, lambda each: each.times * getattr(each.moved, name))

        def weight_bytes(operator: Operator) -> Number:
            once = operator.moved
            return operator.times * Moved(once.weights, once.unquantized).traffic(formats).weights

        _, _, *others = Moved.__annotations__  # they do not grow with the rows
        swept = Moved(0, 0, *map(moved, others)).traffic(formats)
        sizes = {**swept.__dict__, "weights": sum(map(weight_bytes, operators))}
        return Traffic(**{name: self._shaped(size) for name, size in sizes.items()})

    @property
    def bytes_by_kind(self) -> dict[str, Number]:
        """Bytes of ``weights``, ``activations``, ``kv_read`` and ``kv_write``."""
        return self.traffic.by_kind()

    @property
    def read_bytes(self) -> Number:
        """Bytes read: weights, activations and cache."""
        traffic = self.traffic
        return traffic.weights + traffic.read + traffic.kv_read

    @property
    def write_bytes(self) -> Number:
        """Bytes written: activations and cache."""
        traffic = self.traffic
        return traffic.written + traffic.kv_written

    @property
    def intensity(self) -> float:
        """FLOPs, element-wise ones included, per byte moved; 0.0 where nothing moves."""
        moved = self.traffic.total
        work = self.flops + self.elementwise_flops
        return work / moved if kind_of(moved) != "int" or moved else 0.0

    def by_group(self) -> dict[str, Number]:
        """FLOPs by what they are for.

        Returns:
            Group (``attn_proj``, ``attn_score``, ``mlp``, ``lm_head``, ...) to FLOPs; groups
            without any are left out.

        Example:
            >>> import thermoflop as tf
            >>> tf.load_model("gpt2").decode(1023).by_group()["attn_score"] == 12 * 2 * 768 * 1024
            True
        """
        return self._grouped(lambda operator: operator.group)

    def by_part(self) -> dict[str, Number]:
        """FLOPs by where they are spent.

        Returns:
            Part of the model (each kind of layer, the front, the head) to FLOPs; parts without
            any are left out.

        Example:
            >>> import thermoflop as tf
            >>> list(tf.load_model("gpt2").decode(1023).by_part())
            ['decoder attention + MLP', 'head']
        """
        return self._grouped(lambda operator: operator.part)

    def _grouped(self, key: Callable[[Operator], str]) -> dict[str, Number]:
        sums: dict[str, Number] = {}
        for operator in self.operators:
            flops = operator.flops
            if kind_of(flops) == "int" and flops == 0:
                continue
            name = key(operator)
            sums[name] = sums.get(name, 0) + flops
        return sums

    def __repr__(self) -> str:
        step = self.step
        return (
            f"<OperatorTable {self.model_name}: {len(self)} operators, batch={step.batch}, "
            f"new={step.new}, cached={step.cached}, flops={self.flops}>"
        )

    def rows(self) -> list[dict[str, Any]]:
        """The table as plain values, for a data frame or a file.

        Returns:
            A dictionary for each operator: what it is, its shape, FLOPs, bytes, FLOPs per byte
            (None where nothing moves) and its share of all FLOPs (0 to 1).

        Example:
            >>> import thermoflop as tf
            >>> row = tf.load_model("gpt2").decode(1023).rows()[-1]
            >>> row["operator"], row["shape"], row["weight_bytes"] == 2 * 768 * 50257
            ('lm_head', '(1 x 768)(768 x 50257)', True)
        """
        all_flops = self.flops
        return [self._row(operator, all_flops) for operator in self]

    def _row(self, operator: Operator, all_flops: int) -> dict[str, Any]:
        traffic = self.traffic_of(operator)
        flops, small = operator.flops, operator.elementwise_flops
        moved = traffic.total
        return {
            "part": operator.part,
            "times": operator.times,
            "operator": operator.name,
            "class": operator.kind,
            "group": operator.group,
            "shape": operator.shape,
            "multiplications": operator.multiplications,
            "flops": flops,
            "elementwise_flops": small,
            "weight_bytes": traffic.weights,
            "activation_bytes": traffic.activations,
            "kv_read_bytes": traffic.kv_read,
            "kv_write_bytes": traffic.kv_written,
            "flops_per_byte": (flops + small) / moved if moved else None,
            "share_of_flops": flops / all_flops if all_flops else 0.0,
        }

    def totals(self) -> dict[str, Any]:
        """The totals of the columns of ``rows``.

        Returns:
            Multiplications, FLOPs, bytes and FLOPs per byte, under the names of the columns.

        Example:
            >>> import thermoflop as tf
            >>> table = tf.load_model("gpt2").decode(1023)
            >>> table.totals()["flops"] == sum(row["flops"] for row in table.rows())
            True
        """
        traffic = self.traffic
        return {
            "multiplications": self.multiplications,
            "flops": self.flops,
            "elementwise_flops": self.elementwise_flops,
            "weight_bytes": traffic.weights,
            "activation_bytes": traffic.activations,
            "kv_read_bytes": traffic.kv_read,
            "kv_write_bytes": traffic.kv_written,
            "flops_per_byte": self.intensity,
        }

    def record(self) -> dict[str, Any]:
        """The whole table as one object for JSON.

        Returns:
            Model, step, conventions, totals, FLOPs by group, and the rows.

        Example:
            >>> import thermoflop as tf
            >>> list(tf.load_model("gpt2").decode(1023).record())
            ['model', 'step', 'conventions', 'totals', 'flops_by_group', 'operators']
        """
        step = self.step
        return {
            "model": self.model_name,
            "step": {name: getattr(step, name) for name in ("batch", "new", "cached", "encoder")},
            "conventions": self.conventions,
            "totals": self.totals(),
            "flops_by_group": self.by_group(),
            "operators": self.rows(),
        }

    def __str__(self) -> str:
        """The table for a terminal of 100 columns; of a sweep or symbols, one line."""
        if not isinstance(self.flops, int):
            return repr(self)
        from thermoflop.model.operators.table_text import table_text

        return table_text(*self._written())

    def _repr_html_(self) -> str:
        if not isinstance(self.flops, int):
            from html import escape

            return f"<code>{escape(repr(self))}</code>"
        from thermoflop.model.operators.table_text import table_html

        return table_html(*self._written())

    def _written(self) -> tuple[str, list[dict[str, Any]], dict[str, Any], Step, dict[str, str]]:
        """What a table for a person is made of."""
        return self.model_name, self.rows(), self.totals(), self.step, self.conventions


def _linear_sum(operators: tuple[Operator, ...], measure: Callable[[Operator], Number]) -> Number:
    """The sum of a measure that grows in proportion to an operator's rows.

    Most operators of a sweep run on the same array of rows. What they measure on one row is added
    first and multiplied once, so a million configurations cost a dozen passes over the arrays,
    whatever the number of operators.
    """
    total: Number = 0
    on_one_row: dict[int, tuple[Number, Number]] = {}
    for operator in operators:
        if isinstance(operator, MatMul | Pass) and is_array(operator.m):
            rows, factor = on_one_row.get(id(operator.m), (operator.m, 0))
            one = measure(replace(operator, m=1))
            on_one_row[id(operator.m)] = (rows, factor + one)
        else:
            total = total + measure(operator)
    for rows, factor in on_one_row.values():
        total = total + factor * rows
    return total
