"""How long the estimator page takes for a move of a slider, beside the plain Python call.

``python tests/benchmarks/bench_estimator_page.py`` prints, for each case, what ``tf.estimate``
alone takes, what the page's whole answer takes (estimate, fit, a dozen batches, four forms of
attention, every operator, roofline), and their ratio. Then, where NiceGUI and Chromium are
installed, what passes in a browser between a key on a slider and the changed number on the screen:
the server's part, the way there and back, and the drawing.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.mqa_page.page import Page
from thermoflop.web.estimator.answers import answer
from thermoflop.web.estimator.inputs import DEFAULTS

ROOT = Path(__file__).parents[2]
MOVES = 40
ORIGINAL = replace(DEFAULTS, mode="original")
SIZES = {"prompt": 1024, "generate": 256, "dtype": "bf16"}

SLIDERS = (
    ("estimate", "/", "Users (at once)"),
    ("deepseek-v3", "/?mode=estimate&model=deepseek-v3", "Users (at once)"),
    ("original", "/?mode=original", "Layers"),
)

# One move: a key on a slider, there and back, then the wait until the numbers have changed and the
# browser has drawn them: the frame after the one that they are put into.
MOVE = """async ([moves, label]) => {
  const slider = document.querySelector(`[aria-label="${label}, slider"] [tabindex]`);
  const numbers = document.querySelector('.headline');
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const found = [];
  for (let move = 0; move < moves; move++) {
    const way = move % 20 < 10 ? {key: 'ArrowRight', keyCode: 39} : {key: 'ArrowLeft', keyCode: 37};
    const start = performance.now();
    const changed = new Promise((done) => {
      const seen = new MutationObserver(() => { seen.disconnect(); done(); });
      seen.observe(numbers, {childList: true, characterData: true, subtree: true});
    });
    slider.dispatchEvent(new KeyboardEvent('keydown', {...way, bubbles: true}));
    slider.dispatchEvent(new KeyboardEvent('keyup', {...way, bubbles: true}));
    await changed;
    await frame(); await frame();
    found.push(performance.now() - start);
    await new Promise((done) => setTimeout(done, 80));
  }
  return found;
}"""


def median_ms(run: object) -> float:
    """The median of the moves, in ms; each move asks something new."""
    found = []
    for move in range(MOVES):
        start = time.perf_counter()
        run(move)  # type: ignore[operator]
        found.append(1e3 * (time.perf_counter() - start))
    return statistics.median(found)


def in_python() -> None:
    """The answer beside the plain call."""
    alone = median_ms(lambda move: Page(batch=1 + move).total_ms("mha"))
    whole = median_ms(lambda move: answer(replace(ORIGINAL, batch=1 + move)))
    print(f"original: one total {alone:.2f} ms; answer {whole:.2f} ms; ratio {whole / alone:.1f}")
    for name in ("llama-3-70b", "deepseek-v3", "gemma-3-27b"):
        model = tf.load_model(name)
        asked = replace(DEFAULTS, model=name, prompt=1024, output=256)

        def plain(move: int, model: tf.Model = model) -> None:
            tf.estimate(model, "h100", batch=1 + move, **SIZES)

        def page(move: int, asked: object = asked) -> None:
            answer(replace(asked, users=1 + move))  # type: ignore[type-var]

        alone, whole = median_ms(plain), median_ms(page)
        print(
            f"{name}: tf.estimate {alone:.2f} ms; answer {whole:.2f} ms; ratio {whole / alone:.1f}"
        )


def used_s(pid: int) -> float:
    """Processor time of a process and of those that it started, as Linux counts it."""
    whole = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            for child in (task / "children").read_text().split():
                whole += used_s(int(child))
    with suppress(FileNotFoundError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        whole += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return whole


def in_browser() -> None:
    """From the key to the number, in Chromium."""
    sys.path.insert(0, str(ROOT / "tests"))
    from kit import website

    if why := website.missing():
        print(f"in a browser: not measured, {why}")
        return
    from playwright.sync_api import sync_playwright

    with (
        tempfile.TemporaryDirectory() as folder,
        website.Site(Path(folder) / "runs") as site,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=website.chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for name, address, slider in SLIDERS:
            page = browser.new_page(base_url=site.url)
            start = time.perf_counter()
            page.goto(address, wait_until="commit")
            page.locator(".est-fig").first.wait_for()
            first_s = time.perf_counter() - start
            page.locator(".est .headline .fig").first.wait_for()
            ready_s = time.perf_counter() - start
            page.wait_for_timeout(2000)
            before = used_s(site.process.pid), used_s(os.getpid())
            found = sorted(page.evaluate(MOVE, [MOVES, slider]))
            server, browsing = used_s(site.process.pid) - before[0], used_s(os.getpid()) - before[1]
            print(
                f"{name} in a browser: first answer {first_s:.2f} s, inputs ready {ready_s:.2f} s; "
                f"a move, from key to frame: median {statistics.median(found):.0f} ms, "
                f"90 % below {found[int(0.9 * len(found))]:.0f} ms; processor time of a move: "
                f"server {1e3 * server / MOVES:.0f} ms, browser {1e3 * browsing / MOVES:.0f} ms"
            )
            page.close()
        browser.close()


if __name__ == "__main__":
    in_python()
    in_browser()
