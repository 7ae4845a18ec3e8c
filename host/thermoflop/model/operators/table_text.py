"""Tables that a person reads: plain text within 100 columns or the page, and HTML for notebooks."""

from __future__ import annotations

from thermoflop.base.paper import kept
from thermoflop.model.operators.step import CONVENTIONS, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Rows = list[dict[str, Any]]

_CLASSES = {
    "contraction": "contract",
    "convolution": "convolve",
    "normalization": "norm",
    "element-wise": "element",
}
_COLUMNS = (
    ("operator", 16),
    ("class", 8),
    ("shape", 20),
    ("mults", 6),
    ("FLOPs", 6),
    ("weight", 6),
    ("activ.", 6),
    ("KV in", 6),
    ("KV out", 6),
    ("F/B", 5),
    ("share", 5),
)
# what a narrow page goes without, in order
_LEAST = ("F/B", "class", "KV out", "activ.", "KV in", "weight")
_SUFFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def short(value: Any) -> str:
    """A number in at most six characters: 604.0M, 1.208T; a dash for nothing."""
    if value is None or (isinstance(value, int | float) and value == 0):
        return "-"
    if not isinstance(value, int | float):
        return str(value)
    size, power = float(value), 0
    while size >= 999.95 and power < len(_SUFFIXES) - 1:
        size, power = size / 1000, power + 1
    if power == 0 and size == int(size):
        return str(int(size))
    digits = 3 if size < 9.9995 else 2 if size < 99.995 else 1
    return f"{size:.{digits}f}{_SUFFIXES[power]}"


def compact_shape(row: dict[str, Any]) -> str:
    """``batch*m x k x n`` for a product, ``rows x elements`` for the rest, without spaces."""
    text = str(row["shape"])
    if ")(" not in text:
        return text.replace(" x ", "x")
    head, _, rest = text.partition("(")
    left, _, right = rest.partition(")(")
    columns = right.rstrip(")").rpartition(" x ")[2]
    return f"{head.replace(' x ', '*')}{left.replace(' x ', 'x')}x{columns}"


def _per_byte(value: float | None) -> str:
    if not value:
        return "-"
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}"


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        f" {row['operator']}",
        _CLASSES.get(row["class"], row["class"]),
        compact_shape(row),
        short(row["multiplications"]),
        short(row["flops"] or row["elementwise_flops"]),
        short(row["weight_bytes"]),
        short(row["activation_bytes"]),
        short(row["kv_read_bytes"]),
        short(row["kv_write_bytes"]),
        _per_byte(row["flops_per_byte"]),
        f"{row['share_of_flops']:.1%}" if row["flops"] else "",
    ]


def _line(cells: list[str]) -> str:
    parts = []
    heads, widths = zip(*_COLUMNS, strict=True)
    for index in kept(heads, widths, 1, _LEAST):
        cell, width = cells[index], widths[index]
        text = cell if len(cell) <= width else f"{cell[: width - 1]}…"
        parts.append(f"{text:<{width}}" if index < 3 else f"{text:>{width}}")
    return " ".join(parts).rstrip()


def step_description(rows: Rows, step: Step) -> str:
    """What the step does: how many new tokens, after how many cached ones, in what batch."""
    seen = step.batch if step.images is None else step.images
    if all(row["part"].startswith("vision") for row in rows):
        return f"{seen} image{'' if seen == 1 else 's'}"
    if isinstance(step.new, int) and step.new == 0:
        return f"encoding of {step.encoder} positions, batch {step.batch}"
    tokens = "token" if step.new == 1 else "tokens"
    doing = f"{step.new} new {tokens} after {step.cached} cached, batch {step.batch}"
    if isinstance(step.encoder, int) and step.encoder:
        return f"{doing}, source of {step.encoder} positions"
    return doing


def table_text(
    title: str, rows: Rows, totals: dict[str, Any], step: Step, conventions: dict[str, str]
) -> str:
    """The table for a terminal: 100 columns, fewer on a narrower page."""
    lines = [f"{title}: {step_description(rows, step)}", ""]
    lines += [_line([heading for heading, _ in _COLUMNS])]
    for part, times in dict.fromkeys((row["part"], row["times"]) for row in rows):
        of_part = [row for row in rows if (row["part"], row["times"]) == (part, times)]
        lines.append(f"{f'{times} x ' if times != 1 else ''}{part}")
        lines += [_line(_cells(row)) for row in of_part]
    lines += ["", *_total_lines(totals), "", *convention_lines(rows, conventions)]
    return "\n".join(lines)


def _total_lines(totals: dict[str, Any]) -> Iterator[str]:
    """The totals, to the last digit."""
    names = {
        "multiplications": "multiplications",
        "FLOPs (2 x)": "flops",
        "element-wise FLOPs": "elementwise_flops",
        "bytes of weights": "weight_bytes",
        "bytes of activations": "activation_bytes",
        "bytes of KV read": "kv_read_bytes",
        "bytes of KV written": "kv_write_bytes",
    }
    for title, name in names.items():
        yield f"{title:<21} {totals[name]:>30,}"
    yield f"{'FLOPs per byte':<21} {totals['flops_per_byte']:>30,.2f}"


def relevant(rows: Rows, conventions: dict[str, str]) -> list[str]:
    """The conventions that change something in this table."""
    groups = {row["group"] for row in rows}
    matters = {
        "mla": any(row["operator"] in ("kv_b_proj", "absorb keys") for row in rows),
        "experts": "experts" in groups,
        "expert_reads": "experts" in groups,
        "convolution": bool(groups & {"ssm_conv", "linear_attn_conv"}),
        "attention": "attn_score" in groups,
        "logits": "lm_head" in groups or conventions["logits"] == "none",
    }
    return [name for name in CONVENTIONS if matters.get(name, True)]


def convention_lines(rows: Rows, conventions: dict[str, str]) -> Iterator[str]:
    """The conventions in force, each with what it means."""
    yield "Counted with these conventions (each is an option):"
    for name in relevant(rows, conventions):
        choice = conventions[name]
        yield f"  {name} = {choice}: {CONVENTIONS[name][choice]}"
    formats = (f"{name} {conventions[name]}" for name in ("weights", "activations", "cache"))
    yield f"  formats: {', '.join(formats)}; 1 k = 1000; {conventions['numbers']}"
    heads, widths = zip(*_COLUMNS, strict=True)
    shown = {heads[index] for index in kept(heads, widths, 1, _LEAST)}
    meant = {"shape": "shapes: batch*rows x summed x columns", "F/B": "F/B: FLOPs per byte",
             "share": "share: of the FLOPs"}  # fmt: skip
    yield f"  {'; '.join(text for head, text in meant.items() if head in shown)}"
    if any(row["times"] != 1 for row in rows):
        yield "  a row under n x has the figures of all n layers; its shape is one layer's"


def csv_text(rows: Rows, conventions: dict[str, str]) -> str:
    """One line for each operator; the last column repeats the conventions."""
    import csv
    import io

    stated = " ".join(f"{name}={value}" for name, value in conventions.items())
    lines = [{**row, "conventions": stated} for row in rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]) if lines else ["operator"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().rstrip("\n")


def table_html(
    title: str, rows: Rows, totals: dict[str, Any], step: Step, conventions: dict[str, str]
) -> str:
    """The table for a notebook."""
    from html import escape

    head = "".join(f"<th>{escape(heading)}</th>" for heading, _ in _COLUMNS)
    body = []
    part = None
    for row in rows:
        if row["part"] != part:
            part = row["part"]
            heading = escape(f"{row['times']} x {part}" if row["times"] != 1 else str(part))
            body.append(f"<tr><th colspan={len(_COLUMNS)}>{heading}</th></tr>")
        cells = "".join(f"<td>{escape(cell.strip())}</td>" for cell in _cells(row))
        body.append(f"<tr>{cells}</tr>")
    heading = escape(f"{title}: {step_description(rows, step)}")
    stated = escape(", ".join(f"{name}={value}" for name, value in conventions.items()))
    return (
        f"<p><b>{heading}</b>: {totals['flops']:,} FLOPs</p><table><tr>{head}</tr>{''.join(body)}"
        f"</table><p><small>{stated}</small></p>"
    )
