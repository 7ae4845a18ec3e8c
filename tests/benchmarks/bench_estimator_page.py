"""How long the estimator page takes for a move of a slider, beside the plain Python call.

``python tests/benchmarks/bench_estimator_page.py`` prints, for each case, what ``tf.estimate``
alone takes, what the page's whole answer takes (estimate, fit, a dozen batches, four forms of
attention, every operator, roofline), and their ratio. Then, where NiceGUI and Chromium are
installed, what passes in a browser between a key on a slider and the changed number on the screen:
the server's part, the way there and back, and the drawing.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
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

# One move: a key on the slider of the layers, then the wait for the first number to change.
MOVE = """async (moves) => {
  const slider = document.querySelector('[aria-label="Layers, slider"] [tabindex]');
  const number = document.querySelector('.headline .fig');
  const found = [];
  for (let move = 0; move < moves; move++) {
    const start = performance.now();
    const changed = new Promise((done) => {
      const seen = new MutationObserver(() => { seen.disconnect(); done(); });
      seen.observe(number, {childList: true, characterData: true, subtree: true});
    });
    slider.dispatchEvent(new KeyboardEvent('keydown',
      {key: 'ArrowRight', keyCode: 39, bubbles: true}));
    slider.dispatchEvent(new KeyboardEvent('keyup',
      {key: 'ArrowRight', keyCode: 39, bubbles: true}));
    await changed;
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
        for name, address in (("original", "/?mode=original"), ("estimate", "/")):
            page = browser.new_page(base_url=site.url)
            page.goto(address)
            page.locator(".headline .fig").first.wait_for()
            page.wait_for_timeout(2000)
            found = sorted(page.evaluate(MOVE, MOVES))
            print(
                f"{name} in a browser: median {statistics.median(found):.0f} ms, "
                f"90 % below {found[int(0.9 * len(found))]:.0f} ms, from key to number"
            )
            page.close()
        browser.close()


if __name__ == "__main__":
    in_python()
    in_browser()
