"""The estimator page as a person uses it: numbers, inputs, uploads, reasons, links, files, keys."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kit.website import Site
    from playwright.sync_api import Browser, Page

SERVED = "/?mode=estimate&model=llama-3-8b&dtype=bf16&users=8&prompt=1&output=511"
SHAPED = (
    "/?mode=estimate&model=shape&device=A100-PCIe-80GB&dtype=fp16&users=10&prompt=1&output=1023"
)
USERS, TP = "Users (at once)", "Tensor parallel (GPUs)"
LLAMA = {
    "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
    "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 128256, "tie_word_embeddings": True, "max_position_embeddings": 131072,
}  # fmt: skip


# a file let go anywhere over the page; the browser's own answer would be to leave for it
DROP = """([name, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name, {type: 'application/json'}));
  const drop = new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true});
  if (document.body.dispatchEvent(drop)) throw new Error('left for the file');
}"""


def heads(page: Page) -> list[str]:
    """The numbers of the answer."""
    page.locator(".headline .fig").first.wait_for()
    return [text for text in page.locator(".headline .fig").all_inner_texts() if text]


def wait_for_head(page: Page, text: str, place: int = 0) -> None:
    page.locator(".headline .fig").nth(place).filter(has_text=text).wait_for()


def field(page: Page, label: str) -> Any:
    return page.get_by_label(label, exact=True)


def error_of(page: Page, label: str) -> Any:
    return page.locator(".field", has=field(page, label)).get_by_role("alert")


def choose(page: Page, label: str, option: str) -> None:
    field(page, label).click()
    page.get_by_role("option", name=option, exact=True).click()


def upload(page: Page, name: str, content: bytes) -> None:
    heads(page)
    if not page.get_by_role("button", name="Upload a config.json").is_visible():
        page.get_by_text("More: engine").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload a config.json").click()
    chooser.value.set_files({"name": name, "mimeType": "application/json", "buffer": content})


def test_the_defaults_show_the_originals_numbers_on_both_gpus(page: Page) -> None:
    page.goto("/?mode=original")
    assert heads(page) == ["1505.41 ms", "1473.12 ms", "1.02 ×"]
    choose(page, "GPU of the page", "V100")
    wait_for_head(page, "1716.66 ms")
    assert heads(page) == ["1716.66 ms", "1489.24 ms", "1.15 ×"]
    assert page.get_by_text("The sum leaves out the last step.").is_visible()
    assert page.get_by_role("row", name="MHA: queries, keys, values").inner_text().split() == [
        "MHA:", "queries,", "keys,", "values", "6bd²", "8bd", "+", "6d²",
    ]  # fmt: skip


def test_typing_and_sliding_change_the_numbers_and_each_other(page: Page) -> None:
    page.goto("/?mode=original")
    field(page, "Batch (sequences)").fill("20")
    wait_for_head(page, "1672.50 ms")
    slider = page.get_by_role("slider", name="Batch (sequences), slider")
    before = slider.get_attribute("aria-valuetext")
    slider.locator("[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.headline .fig').innerText !== '1672.50 ms'")
    assert before == "20"
    assert float(field(page, "Batch (sequences)").input_value()) > 20
    assert "batch=" in page.url


def test_dragging_a_slider_ends_with_the_answer_of_its_last_place(page: Page) -> None:
    page.goto("/?mode=original")
    slider = page.get_by_role("slider", name="Layers, slider")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + box["height"] / 2)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(box["x"] + 40 + 4 * step, box["y"] + box["height"] / 2)
    page.mouse.up()
    # Answers of places that the finger passed may still arrive, so slider, field, title and time
    # must agree for half a second on end.
    page.wait_for_function(
        """([slider, ms]) => {
            const layers = document.querySelector('[aria-label="Layers"]').value;
            const settled = slider.getAttribute('aria-valuetext') === layers
                && document.querySelector('.est-title').innerText.startsWith(`${layers} layers`)
                && document.querySelector('.headline .fig').innerText
                    === `${(ms * layers).toFixed(2)} ms`;
            if (!settled || window.agreed?.layers !== layers)
                window.agreed = settled ? {layers, since: Date.now()} : null;
            return settled && layers > 24 && Date.now() - window.agreed.since > 500;
        }""",
        arg=[slider.element_handle(), 1505.407000806215 / 24],
    )


def test_what_makes_no_sense_is_said_beside_its_input_and_the_last_answer_stays(
    page: Page,
) -> None:
    page.goto(SERVED)
    good = heads(page)
    field(page, USERS).fill("many")
    error_of(page, USERS).get_by_text("users 'many' makes no sense").wait_for()
    struck = page.locator("section.stale", has=page.locator(".headline"))
    struck.locator(".est-state", has_text="Not answered: users 'many' makes no sense").wait_for()
    for part in (".est-title", ".detail", ".headline .fig"):  # nothing of it looks like an answer
        line = struck.locator(part).first.evaluate("e => getComputedStyle(e).textDecorationLine")
        assert line == "line-through"
    with page.expect_download():
        page.get_by_text("Export JSON").click()
    page.locator(".est-status", has_text="The file holds the last good answer").wait_for()
    field(page, "Prompt (tokens)").fill("1k")  # as people write it; the other still stands there
    page.locator(".est-title", has_text="1,024 tokens read").wait_for()
    assert field(page, USERS).input_value() == "many"
    assert error_of(page, USERS).is_visible()
    assert struck.count() == 1
    good = heads(page)
    field(page, "Prompt (tokens)").fill("8k")  # of its 8,192 positions the output takes 511
    struck.get_by_text("at most 7,681 of prompt with this output").first.wait_for()
    field(page, "Prompt (tokens)").fill("1k")
    field(page, USERS).fill("8")
    page.wait_for_function("!document.querySelector('.field [role=alert]')")
    page.locator(".est-state.good", has_text="Fits: ").wait_for()
    assert struck.count() == 0
    page.get_by_text("More: engine").click()
    field(page, TP).fill("3")
    error_of(page, TP).get_by_text("tp=3 does not divide").wait_for()
    assert "last good answer" in page.locator(".est-state").inner_text()
    assert heads(page) == good
    assert "tp=3" not in page.url
    field(page, TP).fill("2")
    page.locator(".est-title", has_text="2 × H100").wait_for()
    page.wait_for_function("!document.querySelector('.field [role=alert]')")


def test_the_page_opens_on_the_question_with_its_answer_above_the_fold(
    browser: Browser, site: Site
) -> None:
    """At 1280x720: model, GPU, sizes, format, and the answer with an interval for each figure."""
    opened = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 720})
    page = opened.new_page()
    page.goto("/")
    page.locator(".est-state.good", has_text="Fits: ").wait_for()
    asked = ["Model", "GPU", "Prompt (tokens)", "Output (tokens)", USERS, "Format"]
    tops = [field(page, label).bounding_box()["y"] for label in asked]
    assert max(tops) < 160
    answer = page.locator(".est-head").bounding_box()
    assert answer is not None
    assert answer["y"] + answer["height"] < 720
    labels = page.locator(".est-fig:visible > .soft:first-child")
    assert labels.all_inner_texts() == [
        "Each user gets", "All users together", "First token", "Whole answer",
    ]  # fmt: skip
    hover = "first token: time from a request to its first token (TTFT)"
    assert labels.nth(2).get_attribute("title") == hover
    assert page.locator(".band:visible").count() == 4
    assert not field(page, TP).is_visible()
    page.get_by_text("More: engine").click()
    field(page, "Price (a GPU hour)").fill("3.6")
    page.locator(".est-fig", has_text="A million tokens").get_by_role("button").wait_for()
    # 3.6 an hour is a thousandth a second: a million tokens cost what 1000 s / tokens a second do
    whole_s = float(heads(page)[3].removesuffix(" s"))
    assert float(heads(page)[4]) == pytest.approx(1e6 * 0.001 * whole_s / 128, rel=0.01)
    opened.close()


def test_a_name_that_is_typed_is_found_as_on_the_command_line_or_refused_in_a_sentence(
    page: Page,
) -> None:
    from playwright.sync_api import expect

    page.goto("/")
    heads(page)
    for typed, model, key in (
        ("llama-3-70b", "llama-3-70b", "Enter"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b", "Tab"),
        ("gpt2", "gpt2", "Enter"),  # which has fewer positions than were asked for
        ("bert-base-uncased", "bert-base-uncased", "Tab"),  # which generates nothing
    ):
        field(page, "Model").click()
        field(page, "Model").fill(typed)
        page.keyboard.press(key)
        page.locator(".est-title", has_text=f"{model} on 1 ×").wait_for()
        expect(field(page, "Model")).to_have_value(model)
        expect(page.get_by_role("option")).to_have_count(0)  # no list over the answer
        if model == "gpt2":
            page.get_by_text("896 and 128 tokens: this model has 1,024 positions").wait_for()
    field(page, "Model").click()
    field(page, "Model").fill("gpt2")
    assert page.get_by_role("option").first.inner_text() == "gpt2"
    field(page, "Model").fill("llama 8b")  # words, in a name that has more of them
    page.get_by_role("option", name="llama-3-8b", exact=True).wait_for()
    field(page, "Model").fill("lama-3-8b")
    page.keyboard.press("Enter")
    error_of(page, "Model").get_by_text("the nearest name is llama-3-8b").wait_for()
    field(page, "GPU").fill("2x4090")
    page.keyboard.press("Enter")
    page.locator(".est-title", has_text="2 × RTX 4090").wait_for()
    page.wait_for_timeout(400)  # the box that was left would have its last name back by then
    expect(field(page, "Model")).to_have_value("lama-3-8b")


def test_a_model_is_found_by_searching_and_what_does_not_fit_says_what_would(page: Page) -> None:
    page.goto("/")
    heads(page)
    field(page, "Model").fill("8b")
    page.get_by_role("option", name="granite-3.0-8b", exact=True).wait_for()
    offered = page.get_by_role("option").all_inner_texts()
    assert all("8b" in name.split("-") for name in offered[:8]), offered
    # the best is seen, though the list opened at the model that is chosen
    page.wait_for_function("document.querySelector('.q-menu').scrollTop === 0")
    field(page, "Model").fill("llama-3-70")
    page.get_by_role("option", name="llama-3-70b", exact=True).click()
    bad = page.locator(".est-state.bad", has_text="Does not fit")
    bad.wait_for()
    assert "It would fit with weights in fp8" in bad.inner_text()
    assert "or 2 devices (tp=2)" in bad.inner_text()
    page.get_by_role("button", name="2 GPUs (tp=2)").click()
    page.locator(".est-state.good", has_text="Fits").wait_for()
    page.locator(".est-title", has_text="on 2 × H100").wait_for()
    assert page.locator(".est-remedies button").count() == 0
    assert page.get_by_role("button", name="parameters: 70,553,706,496").is_visible()


def test_a_model_that_sees_is_asked_for_images_and_one_that_does_not_is_not(page: Page) -> None:
    page.goto("/?model=llama-3-8b&prompt=512")
    page.locator(".est-title", has_text="512 tokens read").wait_for()
    assert not field(page, "Images (a prompt)").is_visible()
    page.goto("/?model=qwen2.5-vl-7b&prompt=512")
    page.locator(".est-title", has_text="512 tokens read").wait_for()
    field(page, "Images (a prompt)").fill("2")
    # 1024 x 768 pixels are 37 x 27 tokens (of 28 x 28 pixels each)
    page.locator(".est-title", has_text="2,510 tokens read").wait_for()
    assert field(page, "Image width (pixels)").is_visible()
    assert not field(page, "Sound (seconds a prompt)").is_visible()


def test_a_number_opens_its_why_and_gives_the_focus_back(page: Page) -> None:
    page.goto(SERVED)
    number = page.locator("[data-why='token.expected']").first
    number.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Bound by: memory").wait_for()
    dialog.get_by_text("Expected: what the fitted rates say that it takes").wait_for()
    assert "step = operators + host and scheduler" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.dataset.why") == "token.expected"


def test_an_operator_opens_its_formula_with_the_numbers_filled_in(page: Page) -> None:
    page.goto(SERVED)
    page.locator("summary", has_text="Operators of one more token").click()
    page.get_by_role("button", name="attention, time").last.click()
    text = page.get_by_role("dialog").inner_text()
    assert "FLOP = 4btdn + 4bdn" in text
    assert "t = 256: cached tokens" in text
    assert "time = times x (launch + max(compute, memory))" in text


def test_the_first_answer_is_read_before_the_page_is_built_and_then_gives_way(page: Page) -> None:
    held: list[Any] = []
    page.route("**/vue.esm*", lambda route: held.append(route))
    with page.expect_request("**/vue.esm*"):
        page.goto("/", wait_until="commit")
    first = page.locator("#first")
    first.wait_for()
    assert "Fits: " in first.inner_text()
    assert page.locator("#app *").count() == 0
    for route in held:
        route.continue_()
    assert len(heads(page)) == 4
    assert first.count() == 0


def test_the_frontier_of_plan_is_drawn_when_it_is_opened(page: Page) -> None:
    page.goto("/?mode=estimate&model=gpt2&prompt=512&output=128")
    page.locator("summary", has_text="What more GPUs and more users give").click()
    chart = page.locator(".chart-frontier svg")
    chart.locator("text", has_text="tokens/s a GPU").wait_for()
    assert chart.locator("text", has_text="80 % interval").count() == 1
    assert page.get_by_text("every layout of up to 8 GPUs").is_visible()


def test_the_address_brings_the_same_page_back(page: Page) -> None:
    page.goto("/")
    heads(page)
    page.get_by_text("More: engine").click()
    choose(page, "Attention", "MQA")
    page.locator(".est-title", has_text="as MQA").wait_for()
    page.wait_for_url("**/?mode=estimate&attention=mqa")
    before = heads(page)
    page.reload()
    page.locator(".est-title", has_text="as MQA").wait_for()
    assert heads(page) == before
    assert field(page, "Attention").input_value() == "MQA"


def test_an_address_with_nonsense_opens_and_says_so(page: Page) -> None:
    page.goto("/estimator?batch=<b>x</b>&model=/etc/passwd&colour=red&device=x.toml")
    page.locator(".est-title", has_text="llama-3-8b on 1 × H100").wait_for()
    warnings = page.locator(".warn").all_inner_texts()
    assert len(warnings) == 4
    assert any("users '<b>x</b>' makes no sense" in warning for warning in warnings)
    assert page.locator(".warn b").count() == 0


def test_an_address_that_cannot_be_answered_says_why_and_is_mended_in_its_field(
    page: Page,
) -> None:
    page.goto(f"{SHAPED}&tp=3")
    error_of(page, TP).get_by_text("tp=3 does not divide").wait_for()
    assert page.locator(".est-state").inner_text().startswith("Not answered: tp=3")
    assert not page.locator(".headline").is_visible()
    field(page, TP).fill("4")
    page.locator(".est-title", has_text="on 4 × A100-PCIe-80GB").wait_for()
    assert page.locator(".headline").is_visible()


def test_an_uploaded_config_is_answered_and_travels_in_the_address(page: Page) -> None:
    page.goto(SHAPED)
    heads(page)
    page.evaluate(DROP, ["<i>mine</i>.json", json.dumps(LLAMA)])
    page.locator(".est-title", has_text="i> on 1 × A100").wait_for()
    page.get_by_role("button", name="parameters: 1,235,814,400").wait_for()
    assert "uploaded" in field(page, "Model").input_value()
    assert page.locator(".est-title i").count() == 0
    page.wait_for_url("**config=**")
    page.reload()
    page.get_by_role("button", name="parameters: 1,235,814,400").wait_for()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"model_type": "gpt9"}', "model_type 'gpt9' is not known; the nearest family is gpt2"),
        (b'{"model_type": "gpt2", "n_lair": 3}', "n_lair = 3 is not understood"),
        (b"\x89PNG", "bad.json is not text in UTF-8"),
        (b"{" + b" " * 1_000_001 + b"}", "expected a .json file of at most 1,000,000 bytes"),
    ],
)
def test_a_bad_upload_is_refused_by_name_and_the_answer_stays(
    page: Page, content: bytes, message: str
) -> None:
    page.goto(SHAPED)
    good = heads(page)
    upload(page, "bad.json", content)
    error_of(page, "Model").get_by_text(message).wait_for()
    assert heads(page) == good
    struck = page.locator("section.stale .est-state.bad", has_text=message)
    struck.wait_for()  # so nobody takes them for the file's
    field(page, USERS).fill("2")  # another question
    page.locator(".est-state.good").wait_for()
    assert struck.count() == error_of(page, "Model").count() == 0


def test_the_exports_hold_the_inputs_and_every_number(page: Page) -> None:
    page.goto("/?mode=original")
    heads(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export JSON").click()
    exported = json.loads(Path(waiting.value.path()).read_text())
    assert exported["inputs"]["batch"] == 10
    numbers = {each["key"]: each for each in exported["figures"]}
    assert numbers["mha.total"]["value"] == 1505.407000806215
    assert numbers["mha.total"]["unit"] == "ms"
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export CSV").click()
    rows = list(csv.reader(Path(waiting.value.path()).read_text().splitlines()))
    assert ["mqa.total", "MQA, all steps", "1473.1200000000356", "ms"] in rows


def test_what_was_measured_is_judged_as_it_is_typed(page: Page) -> None:
    """8 users of Llama 3 8B: 15 GB of weights take 4.5 ms at 3.35 TB/s, so at most 1,787/s."""
    page.goto(SERVED)
    heads(page)
    field(page, "Measured").fill("2,500 tok/s")
    wait_for_head(page, "2,500 tokens/s", 4)
    said = page.locator(".est-note[role=status]")
    said.filter(has_text="2,500 tokens/s measured. Not possible").wait_for()
    field(page, "Measured").fill("72,4")
    error_of(page, "Measured").get_by_text("measured '72,4' makes no sense").wait_for()
    field(page, "Measured").fill("")
    page.wait_for_function("!document.querySelector('.est-note').innerText")
    page.wait_for_function("!location.search.includes('measured')")


def test_the_link_is_copied(page: Page, site: Site) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/?batch=12")
    heads(page)
    shown = "[...document.querySelectorAll('.actions button, .est-bar, .est-head')]"
    places = f"{shown}.map((each) => each.getBoundingClientRect().top)"
    before = page.evaluate(places)
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("The link is on the clipboard.").wait_for()
    assert page.evaluate(places) == before  # nothing moves for it
    assert page.evaluate("navigator.clipboard.readText()") == f"{site.url}?mode=estimate&users=12"


def test_the_pictures_show_the_roof_its_operators_and_the_capacity(page: Page) -> None:
    page.goto(SERVED)
    page.locator(".chart-roof svg text", has_text="FLOP/byte").wait_for()
    assert page.locator(".chart-memory svg text", has_text="the GPU has, 85.5 GB").count() == 1
    assert page.locator(".chart-batches svg text", has_text="tokens/s").count() >= 1
    assert page.locator(".chart-roof svg path").count() > 10


def test_the_keyboard_alone_goes_from_the_tabs_through_the_question(page: Page) -> None:
    page.goto("/?mode=original")
    heads(page)
    page.get_by_role("button", name="Any model on any GPU").focus()
    page.keyboard.press("Enter")
    page.locator(".est-title", has_text="llama-3-8b on 1 ×").wait_for()
    seen = []
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(
            "document.activeElement.innerText ||"
            " document.activeElement.closest('[aria-label]').getAttribute('aria-label')"
        ))  # fmt: skip
        assert page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle !== 'none' ||"
            " document.activeElement.closest('.q-field--focused') !== null"
        ), f"{seen[-1]} does not show that it has the focus"
    order = ["Copy link", "Model", "GPU", "Prompt (tokens)", "Prompt (tokens), slider",
             "Output (tokens)", USERS, "Measured"]  # fmt: skip
    assert [label for label in seen if label in order] == order


@pytest.mark.parametrize("address", ["/?mode=original", SERVED])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all_without_sideways_scrolling_and_with_targets_for_a_thumb(
    browser: Browser, site: Site, address: str, scheme: Any
) -> None:
    opened = browser.new_context(
        base_url=site.url, viewport={"width": 390, "height": 844}, has_touch=True,
        color_scheme=scheme,
    )  # fmt: skip
    page = opened.new_page()
    page.goto(address)
    page.locator(".headline .fig").first.wait_for()
    answer = page.locator(".headline").bounding_box()
    assert answer is not None
    assert answer["y"] + answer["height"] <= 844 or "original" in address  # on the first screen
    for summary in page.locator("summary:visible").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    small = page.evaluate(
        """() => [...document.querySelectorAll(
             'main button, main a, main summary, main .q-slider, main .q-radio, main .q-field')]
           .filter((each) => each.offsetParent && !each.disabled)
           .map((each) => [each.getBoundingClientRect(), each])
           .filter(([box]) => box.height < 43.5 || box.width < 43.5)
           .map(([box, each]) => `${each.className} ${box.width}x${box.height}`)"""
    )
    assert small == []
    poor = page.evaluate(CONTRAST)
    opened.close()
    assert poor == []


# Text whose contrast with the ground behind it is below 4.5 to 1 (WCAG 2.1, AA).
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (node) => { while (node) {
    const c = rgb(getComputedStyle(node).backgroundColor);
    if (c.length < 4 || c[3] > 0.9) return c; node = node.parentElement; }
    return [255, 255, 255]; };
  const poor = [];
  for (const node of document.querySelectorAll('main *')) {
    if (!node.offsetParent || ![...node.childNodes].some((c) => c.nodeType === 3 &&
        c.textContent.trim())) continue;
    if (node.disabled) continue;
    const a = light(rgb(getComputedStyle(node).color)), b = light(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${node.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
