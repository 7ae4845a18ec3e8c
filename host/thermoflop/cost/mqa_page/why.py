"""Explanations of the MHA-against-MQA page's numbers, by its own formulas."""

from __future__ import annotations

from thermoflop.base.explanation import Explanation
from thermoflop.base.units import digits, scaled
from thermoflop.cost.mqa_page.kernels import MEANINGS, NAMES, formula_lines, page_kernels
from thermoflop.cost.mqa_page.page import FORMS, Page
from thermoflop.errors import MissingExtra, UsageError


def page_why(page: Page, key: str) -> Explanation:
    """Explain a figure by its key: ``mha.total``, ``mqa.kv``, ``mha.att1``, ``speed_up``, ...

    UsageError for a key that names no number of the page.
    """
    if key == "speed_up":
        mha, mqa = page.total_ms("mha"), page.total_ms("mqa")
        value = f"{mha / mqa:.4f}"
        lines = ("speed-up = MHA / MQA", f"  = {mha:.4f} ms / {mqa:.4f} ms = {value}")
        return Explanation("MHA against MQA", value, lines)
    form, _, what = key.partition(".")
    sizes = {"total": _total, "params": _params, "weights": _weights, "kv": _kv}
    if form not in FORMS or what not in {**NAMES, **sizes}:
        raise UsageError(f"{key!r:.60} names no number of the page")
    return _kernel(page, form, what) if what in NAMES else sizes[what](page, form)


def _kernel(page: Page, form: str, what: str) -> Explanation:
    tokens = page.end
    kernel = next(each for each in page_kernels(page, form, tokens) if each.key == what)
    notes = [f"{kernel.times} of them in a layer; at n = {tokens:,} tokens"]
    try:
        counts = formula_lines(page, form, what, tokens)
        notes.append("; ".join(f"{letter}: {meaning}" for letter, meaning in MEANINGS.items()))
    except MissingExtra as error:
        counts = (f"FLOP = {kernel.flops:,}", f"bytes = {kernel.bytes:,}")
        notes.append(str(error))
    peak, bandwidth = scaled(page.peak_flops_s, "FLOP/s"), scaled(page.bandwidth_bytes_s, "B/s")
    lines = (
        *counts,
        f"compute = FLOP / (peak x efficiency) = {kernel.flops:,} / ({peak} x {page.efficiency:g})",
        f"  = {kernel.compute_ms:.6f} ms",
        f"memory = bytes / bandwidth = {kernel.bytes:,} / {bandwidth}",
        f"  = {kernel.memory_ms:.6f} ms",
        f"time = max(compute, memory, {page.floor_ms:g} ms) = {kernel.time_ms:.6f} ms",
        f"overhead = time - max(compute, memory) = {kernel.overhead_ms:.6f} ms",
    )
    title = f"{FORMS[form]}: {kernel.name}"
    return Explanation(
        title, f"{kernel.time_ms:.6f} ms", lines, binds=kernel.binds, notes=tuple(notes)
    )


def _total(page: Page, form: str) -> Explanation:
    value = f"{page.total_ms(form):.4f} ms"
    last = page.end - 1
    kernels = page_kernels(page, form, last)
    rows = tuple(
        (each.name, str(each.times), f"{each.time_ms:.5f} ms",
         f"{each.times * each.time_ms:.5f} ms", each.binds)
        for each in kernels
    )  # fmt: skip
    layer = float(page.layer_ms(form, last))
    busiest = max(kernels, key=lambda each: each.times * each.time_ms)
    lines = (
        "total = sum of layers x time of a layer over n = start .. end - 1",
        f"  = {page.layers:,} x sum of the layer's times, n = {page.start:,} .. {last:,}",
        f"  = {value}",
        f"at n = {last:,}: {page.layers:,} x {layer:.5f} ms = {page.layers * layer:.4f} ms",
    )
    columns = ("kernel", "in a layer", "each", "together", "binds")
    notes = (f"the table is one layer at n = {last:,}, the last step of the sum",)
    return Explanation(
        f"{FORMS[form]}: all steps", value, lines, columns, rows, busiest.binds, notes
    )


def _params(page: Page, form: str) -> Explanation:
    kept, wide = f"{page.kept_width(form):,}", f"{page.width:,}"
    value = f"{page.parameters(form):,}"
    lines = (
        "parameters = layers x (queries and output + keys and values + MLP)",
        f"  = {page.layers:,} x (2 x {wide}² + 2 x {wide} x {kept} + 8 x {wide}²) = {value}",
    )
    notes = ("no norms, no embeddings, no biases, as on the page",)
    return Explanation(f"{FORMS[form]}: parameters", value, lines, notes=notes)


def _weights(page: Page, form: str) -> Explanation:
    count = page.parameters(form)
    value = f"{2 * count / 1e9:.3f} GB"
    lines = ("weights = parameters x 2 B", f"  = {count:,} x 2 B = {2 * count:,} B = {value}")
    return Explanation(f"{FORMS[form]}: weights", value, lines, notes=("GB is 1e9 bytes",))


def _kv(page: Page, form: str) -> Explanation:
    size = page.kv_bytes(form)
    value = f"{digits(size / 1e6)} MB"
    lines = (
        "cache = 2 (keys, values) x 2 B x layers x batch x end x width kept",
        f"  = 2 x 2 x {page.layers:,} x {page.batch:,} x {page.end:,} x {page.kept_width(form):,}",
        f"  = {size:,} B = {value}",
    )
    return Explanation(f"{FORMS[form]}: cache at the end", value, lines, notes=("MB is 1e6 bytes",))
