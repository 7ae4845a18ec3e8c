"""The MHA-against-MQA page on a shape whose kernels can be worked out by hand.

Batch 2, 4 heads of 8, one layer of width 32, contexts 10 to 12: two steps, at 10 and 11. One FLOP
takes 1e-6 ms at half the peak, one byte 1e-4 ms, and no kernel less than 0.5 ms.
"""

from __future__ import annotations

import pytest
from thermoflop.base.record import replace
from thermoflop.base.units import digits
from thermoflop.cost.mqa_page.kernels import MEANINGS, page_formulas
from thermoflop.cost.mqa_page.page import Page, page_numbers, page_text
from thermoflop.cost.mqa_page.sheet import page_sheet
from thermoflop.cost.mqa_page.why import page_why

BATCH, HEADS, WIDTH, LAYERS, START, END = 2, 4, 32, 3, 10, 12
MS_FLOP, MS_BYTE, FLOOR_MS = 1e-6, 1e-4, 0.5
PAGE = Page(BATCH, HEADS, WIDTH, LAYERS, START, END, 2e9, 1e7, 0.5, FLOOR_MS)


def kernels(form: str, tokens: int) -> dict[str, tuple[int, int]]:
    """FLOPs and bytes in the page's own way of counting, two bytes an element."""
    kept = WIDTH if form == "mha" else WIDTH // HEADS
    rows = 2 * BATCH * WIDTH
    matrix = 2 * WIDTH * WIDTH
    scores = 2 * BATCH * HEADS * tokens
    stored = 2 * BATCH * tokens * kept
    attend = 2 * BATCH * WIDTH * tokens
    if form == "mha":
        project = 2 * BATCH * WIDTH * 3 * WIDTH, 3 * matrix + 4 * rows
        values = stored + scores + rows
    else:
        project = 2 * BATCH * WIDTH * (WIDTH + 2 * kept), 4 * WIDTH * kept + rows + 4 * BATCH * kept
        values = 2 * stored + rows
    return {
        "qkv": project,
        "att1": (attend, stored + rows + scores),
        "softmax": (0, 2 * scores),
        "att2": (attend, values),
        "out": (2 * BATCH * WIDTH * WIDTH, matrix + 2 * rows),
        "ln": (0, 2 * rows),
        "mlp": (8 * BATCH * WIDTH * WIDTH, 4 * matrix + 5 * rows),
    }


OCCURS = {"qkv": 1, "att1": 1, "softmax": 1, "att2": 1, "out": 1, "ln": 5, "mlp": 2}


def busy_ms(flops: int, size: int) -> float:
    return max(flops * MS_FLOP, size * MS_BYTE)


def total_ms(form: str) -> float:
    return sum(
        LAYERS * OCCURS[key] * max(busy_ms(*counts), FLOOR_MS)
        for tokens in (10, 11)
        for key, counts in kernels(form, tokens).items()
    )


@pytest.mark.parametrize("form", ["mha", "mqa"])
def test_the_figures_of_the_page_are_its_arithmetic(form):
    figures = page_numbers(PAGE)[form]
    kept = WIDTH if form == "mha" else WIDTH // HEADS
    assert figures["total_ms"] == pytest.approx(total_ms(form), rel=1e-12)
    assert figures["parameters"] == LAYERS * (10 * WIDTH * WIDTH + 2 * WIDTH * kept)
    assert figures["weight_gb"] == 2 * figures["parameters"] / 1e9
    assert figures["kv_bytes"] == 4 * LAYERS * BATCH * END * kept


@pytest.mark.parametrize("form", ["mha", "mqa"])
def test_the_sheet_shows_each_kernel_at_the_last_context(form):
    _, (_, *grids) = page_sheet(PAGE)
    (grid,) = [grid for grid in grids if grid.key == f"{form}.kernels"]
    assert grid.title.endswith("kernels of one layer at 12 tokens")
    shown = {figure.key: figure for row in grid.rows for figure in row.cells}
    for key, (flops, size) in kernels(form, END).items():
        busy = busy_ms(flops, size)
        binds = "compute" if flops * MS_FLOP > size * MS_BYTE else "memory"
        expected = {
            "times": OCCURS[key], "flop": flops / 1e9, "bytes": size / 1e6,
            "time": max(busy, FLOOR_MS), "overhead": max(FLOOR_MS - busy, 0.0),
        }  # fmt: skip
        for cell, value in expected.items():
            assert shown[f"{form}.{key}.{cell}"].value == pytest.approx(value, abs=1e-12), cell
        assert shown[f"{form}.{key}.binds"].value == ("overhead" if busy < FLOOR_MS else binds)


def test_a_cell_has_its_decimals_below_a_million_and_three_digits_beyond():
    """8 x 2 x 32^2 FLOPs at 20 and at 10 a second: 819,200 and 1,638,400 ms."""
    shown = []
    for peak in (40.0, 20.0):
        _, (_, *grids) = page_sheet(replace(PAGE, peak_flops_s=peak))
        shown += [each.text for each in grids[0].rows[-1].cells if each.key == "mha.mlp.time"]
    assert shown == ["819,200.00000", digits(1_638_400.0)]
    assert "." not in shown[1]


def test_the_sheet_shows_the_totals_and_the_memory():
    headline, (memory, *_) = page_sheet(PAGE)
    figures = {each.key: each for each in headline}
    figures |= {figure.key: figure for row in memory.rows for figure in row.cells}
    for form, kept in (("mha", WIDTH), ("mqa", WIDTH // HEADS)):
        params = LAYERS * (10 * WIDTH * WIDTH + 2 * WIDTH * kept)
        assert figures[f"{form}.total"].text == f"{total_ms(form):.2f} ms"
        assert figures[f"{form}.params"].value == params / 1e6
        assert figures[f"{form}.weights"].value == 2 * params / 1e9
        assert figures[f"{form}.kv"].value == 4 * LAYERS * BATCH * END * kept / 1e6
    assert figures["speed_up"].value == pytest.approx(total_ms("mha") / total_ms("mqa"))
    assert figures["mha.total"].detail == "2 steps"


@pytest.mark.parametrize("form", ["mha", "mqa"])
def test_an_explanation_fills_in_what_its_figure_is(form):
    kept = WIDTH if form == "mha" else WIDTH // HEADS
    params = LAYERS * (10 * WIDTH * WIDTH + 2 * WIDTH * kept)
    cache = 4 * LAYERS * BATCH * END * kept
    assert page_why(PAGE, f"{form}.params").value == f"{params:,}"
    assert page_why(PAGE, f"{form}.weights").value == f"{2 * params / 1e9:.3f} GB"
    explained = page_why(PAGE, f"{form}.kv")
    assert float(explained.value.removesuffix(" MB")) == pytest.approx(cache / 1e6, rel=0.01)
    assert f"{cache:,} B" in explained.formula[-1]
    assert page_why(PAGE, f"{form}.total").value == f"{total_ms(form):.4f} ms"
    last = {each[0]: each for each in page_why(PAGE, f"{form}.total").rows}
    layer = {key: OCCURS[key] * max(busy_ms(*counts), FLOOR_MS)
             for key, counts in kernels(form, 11).items()}  # fmt: skip
    busiest = max(layer, key=lambda key: layer[key])
    flops, size = kernels(form, 11)[busiest]
    binds = "compute" if flops * MS_FLOP > size * MS_BYTE else "memory"
    binds = "overhead" if busy_ms(flops, size) < FLOOR_MS else binds
    assert page_why(PAGE, f"{form}.total").binds == binds
    for key, name in (("mlp", "MLP matrix"), ("ln", "norm, residual, GELU")):
        time_ms = max(busy_ms(*kernels(form, 11)[key]), FLOOR_MS)
        assert last[name][1:4] == (
            str(OCCURS[key]), f"{time_ms:.5f} ms", f"{OCCURS[key] * time_ms:.5f} ms",
        )  # fmt: skip
    flops, size = kernels(form, END)["att1"]
    lines = page_why(PAGE, f"{form}.att1").formula
    assert any(line.startswith("compute = ") and f"{flops:,}" in line for line in lines)
    assert f"  = {flops * MS_FLOP:.6f} ms" in lines
    assert any(line.startswith("memory = ") and f"{size:,}" in line for line in lines)
    assert f"  = {size * MS_BYTE:.6f} ms" in lines
    time_ms = max(busy_ms(flops, size), FLOOR_MS)
    assert f"time = max(compute, memory, 0.5 ms) = {time_ms:.6f} ms" in lines
    assert (
        f"overhead = time - max(compute, memory) = {time_ms - busy_ms(flops, size):.6f} ms" in lines
    )
    ratio = page_why(PAGE, "speed_up")
    assert ratio.value == f"{total_ms('mha') / total_ms('mqa'):.4f}"


@pytest.mark.parametrize("form", ["mha", "mqa"])
def test_every_number_of_an_explanation_stands_where_it_belongs(form):
    kept = WIDTH if form == "mha" else WIDTH // HEADS
    params = LAYERS * (10 * WIDTH * WIDTH + 2 * WIDTH * kept)
    layer = sum(
        OCCURS[key] * max(busy_ms(*counts), FLOOR_MS) for key, counts in kernels(form, 11).items()
    )
    assert page_why(PAGE, f"{form}.total").formula[1:] == (
        "  = 3 x sum of the layer's times, n = 10 .. 11",
        f"  = {total_ms(form):.4f} ms",
        f"at n = 11: 3 x {layer:.5f} ms = {3 * layer:.4f} ms",
    )
    assert page_why(PAGE, f"{form}.params").formula[1] == (
        f"  = 3 x (2 x 32² + 2 x 32 x {kept} + 8 x 32²) = {params:,}"
    )
    assert page_why(PAGE, f"{form}.weights").formula[1] == (
        f"  = {params:,} x 2 B = {2 * params:,} B = {2 * params / 1e9:.3f} GB"
    )
    assert page_why(PAGE, f"{form}.kv").formula[1] == f"  = 2 x 2 x 3 x 2 x 12 x {kept}"
    flops, size = kernels(form, END)["att1"]
    lines = page_why(PAGE, f"{form}.att1").formula
    assert f"compute = FLOP / (peak x efficiency) = {flops:,} / (2.00 GFLOP/s x 0.5)" in lines
    assert f"memory = bytes / bandwidth = {size:,} / 10.0 MB/s" in lines


@pytest.mark.parametrize("form", ["mha", "mqa"])
def test_every_kernel_is_written_in_the_letters_that_have_a_meaning(form):
    """In numbers they come to the kernel's counts; a head's dimension has its own letter."""
    sizes = {"b": BATCH, "d": WIDTH, "h": HEADS, "k": WIDTH // HEADS, "n": END}
    assert set(sizes) == set(MEANINGS)
    found, seen = page_formulas(form), set()
    for key, counts in kernels(form, END).items():
        for formula, count in zip(found[key], counts, strict=True):
            letters = {letter: sizes[str(letter)] for letter in formula.free_symbols}
            assert formula.is_number or formula.is_polynomial(*letters), (key, formula)
            assert formula.subs(letters) == count, (key, formula)
            seen |= set(map(str, letters))
    assert seen == set(sizes) - ({"k"} if form == "mha" else set())


def test_the_page_as_it_is_has_170_million_parameters_in_0_34_gb():
    """24 layers of 12 x 768^2; one head of 16 keeps 48 of the 768 dimensions."""
    params = 24 * 12 * 768**2
    assert Page() == Page(10, 16, 768, 24, 1, 1024, 312e12, 1935e9, 0.5, 0.005)
    assert page_why(Page(), "mha.weights").value == f"{2 * params / 1e9:.3f} GB" == "0.340 GB"
    assert page_why(Page(), "mha.params").value == f"{params:,}"
    fewer = 24 * (10 * 768**2 + 2 * 768 * 48)
    assert page_why(Page(), "mqa.params").value == f"{fewer:,}"
    cache = 2 * 2 * 24 * 10 * 1024 * 768
    assert page_why(Page(), "mha.kv").formula[-1].startswith(f"  = {cache:,} B = 755 MB")
    text = " ".join(page_text(Page()).split())
    for form in ("mha", "mqa"):
        figures = page_numbers(Page())[form]
        assert f"{form}: total_ms {figures['total_ms']!r}, parameters" in text
        assert f"kv_bytes {figures['kv_bytes']!r}" in text
    config = Page(end=2000).config()
    assert (config["n_embd"], config["n_layer"], config["n_head"]) == (768, 24, 16)
    assert (config["n_positions"], Page().config()["n_positions"]) == (2000, 1024)
