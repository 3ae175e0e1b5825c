"""The page of an explanation, in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.explanations import (
    CARD,
    CARD_SCORES,
    OTHER_SCORES,
    attention,
    explanation_of,
    full_explanation,
    spans_of,
    written_explanation,
)

from heedful.explanation.report import html_report
from heedful.explanation.report.html import Shown

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright  # noqa: E402 - after the skip

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

expect.set_options(timeout=20_000)

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        # A container's root has no sandbox to start; the page is our own.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the page of explanations. What it asks for, what its console says and what it throws must be nothing."""
    contexts, heard = [], []

    def opened(*explanations: Shown, names: tuple[str, ...] = (), width: int = 1200, scheme: str = "light") -> Page:
        path = tmp_path / "report.html"
        path.write_text(html_report(*explanations, names=names), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert heard == []


def words_of(page: Page, text: str = "The text") -> Locator:
    return page.get_by_role("listbox", name=re.compile(f"^{text}")).get_by_role("option")


def lit(words: Locator) -> dict[str, str]:
    """The words that are coloured, with the side that they are on."""
    sides = words.evaluate_all("spans => spans.map((span) => span.className.match(/for|against/)?.[0] ?? null)")
    return {text: side for text, side in zip(words.all_text_contents(), sides, strict=True) if side}


def test_words_are_coloured_by_what_they_speak_for(show: Open) -> None:
    page = show(explanation_of())
    assert lit(words_of(page)) == {
        "my": "for",
        "card": "for",
        "not": "against",
        "swallowed": "for",
        "stolen": "against",
    }
    strengths = words_of(page).evaluate_all("spans => spans.map((span) => +span.style.getPropertyValue('--w'))")
    np.testing.assert_allclose(strengths, np.abs(CARD_SCORES) / 3, atol=5e-4)
    colours = words_of(page).evaluate_all("spans => spans.map((span) => getComputedStyle(span).backgroundColor)")
    assert len({colours[3], colours[4], colours[5]}) == 3
    assert page.locator(".words").inner_text() == CARD


def test_what_is_pointed_at_is_told(show: Open) -> None:
    page = show(explanation_of())
    words_of(page).nth(3).hover()
    expect(page.locator(".readout")).to_have_text("not −1.250 · number 3 of 9 by strength")
    expect(words_of(page).nth(3)).to_have_attribute("aria-selected", "true")
    expect(words_of(page).nth(3)).to_have_accessible_name("not, −1.25")


def test_words_are_walked_by_keys_and_are_one_stop_of_the_tab_key(show: Open) -> None:
    page = show(full_explanation())
    stops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.getAttribute('role') ?? document.activeElement.tagName"))
    assert stops.count("option") == 1
    assert {"A", "BUTTON", "SELECT", "SUMMARY"} <= set(stops)
    words_of(page).first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".readout")).to_contain_text("card +1.500")
    page.keyboard.press("End")
    expect(words_of(page).last).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(words_of(page).first).to_be_focused()


def test_keys_go_from_line_to_line(show: Open) -> None:
    page = show(explanation_of(" ".join(["word"] * 200), [1.0] * 200))
    words_of(page).nth(2).focus()
    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    above = words_of(page).nth(2).bounding_box()
    assert above is not None
    assert below["top"] > above["y"] + above["height"] / 2
    assert abs(below["left"] - above["x"]) < above["width"]
    page.keyboard.press("ArrowUp")
    expect(words_of(page).nth(2)).to_be_focused()


def test_any_label_is_explained_and_against_any_other(show: Open) -> None:
    page = show(full_explanation())
    why, rather = page.get_by_label("Why"), page.get_by_label("rather than")
    total = page.locator(".sum")
    expect(total).to_have_text("tokens +3.07, bias −0.50 = logit 2.575 ✓")
    rather.select_option("card_stolen")
    difference = [one - other for one, other in zip(CARD_SCORES, OTHER_SCORES, strict=True)]
    tokens, bias = sum(difference) + 0.125 + 0.5, -0.5 - 0.25
    written = f"tokens {tokens:+.2f}, bias {bias:+.2f} = logit {tokens + bias:.3f} ✓".replace("-", "−")
    expect(total).to_have_text(written)
    expect(words_of(page).nth(8)).to_have_accessible_name("stolen, −3.25")
    why.select_option("card_stolen")
    expect(rather).to_have_value("")
    expect(page.locator(".verdict")).to_contain_text("6.3%")
    expect(words_of(page).nth(8)).to_have_accessible_name("stolen, +2.50")


def test_where_other_labels_were_not_asked_for_there_is_no_choice(show: Open) -> None:
    page = show(explanation_of(against="card_stolen"))
    expect(page.get_by_role("combobox")).to_have_count(0)
    expect(page.locator(".verdict")).to_contain_text("rather than card_stolen")


def test_a_method_without_a_sum_shows_the_logit_alone(show: Open) -> None:
    page = show(replace(explanation_of(), bias=None))
    expect(page.locator(".sum")).to_have_text("logit 2.575")


def test_each_picture_has_a_table_that_keys_open(show: Open) -> None:
    page = show(full_explanation())
    page.get_by_text("All words as a table").focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name="All words, in the order of the text")
    expect(table.get_by_role("row")).to_have_count(1 + 9)
    expect(table.get_by_role("row").nth(5)).to_have_text(re.compile(r"swallowed\s*\+3.00"))
    page.get_by_label("Why").select_option("card_stolen")
    expect(table.get_by_role("row").nth(5)).to_have_text(re.compile("swallowed\\s*−0.50"))
    page.get_by_text("As a table", exact=True).click()
    removals = page.get_by_role("table", name="Probability of card_swallowed")
    expect(removals.get_by_role("row").nth(3)).to_have_text(re.compile(r"2\s*25.0%\s*81.3%\s*swallowed, card"))
    expect(page.locator(".chart circle")).to_have_count(8)


def test_what_was_measured_and_noted_is_shown(show: Open) -> None:
    page = show(full_explanation())
    about = page.locator("section", has=page.get_by_role("heading", name="About this explanation"))
    expect(about.last).to_contain_text("comprehensiveness0.412")
    expect(about.last).to_contain_text("the text was read in 2 windows")
    assert "was not measured" in show(explanation_of()).inner_text("main")


def test_a_script_in_a_text_is_shown_as_text_and_does_not_run(show: Open) -> None:
    hostile = "<script>window.ran=1</script><img/src=x/onerror=window.ran=1></script><!--"
    explanation = replace(explanation_of(hostile, [1.0], label=hostile), notes=(hostile,))
    page = show(explanation, names=(hostile,))
    assert page.evaluate("window.ran") is None
    expect(page.locator("img")).to_have_count(0)
    expect(words_of(page).first).to_have_text(hostile)
    for place in ("h1", "h2", ".label", ".notes"):
        expect(page.locator(place)).to_contain_text(hostile)


INJECTED = """() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    document.body.insertAdjacentHTML("beforeend", "<b id='b' onclick='window.ran = true' style='color: red'></b>");
    document.getElementById("b").click();
    return [window.ran === true, document.getElementById("b").style.color];
}"""


def test_the_policy_stops_what_is_injected(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    guarded = html_report(explanation_of())
    open_to_all = re.sub("<meta http-equiv.*>", "", guarded)
    for html, ran in ((open_to_all, True), (guarded, False)):
        path.write_text(html, encoding="utf-8")
        page.goto(path.as_uri())
        assert page.evaluate(INJECTED) == [ran, "red" if ran else ""]
        asked.clear()
        page.evaluate("() => fetch('http://127.0.0.1:9/').catch(() => null)")
        assert bool(asked) == ran
    page.close()


def test_a_word_of_the_answer_lights_its_source_and_the_other_way_round(show: Open) -> None:
    page = show(written_explanation())
    source, answer = words_of(page, "The source"), words_of(page, "The answer")
    assert lit(source) == {}
    answer.nth(1).hover()
    assert lit(source)["dog"] == "for"
    strongest = source.evaluate_all("spans => spans.map((span) => +span.style.getPropertyValue('--w'))")
    assert int(np.argmax(strongest)) == 1
    expect(page.locator(".readout")).to_contain_text(
        "Hund 56.1% · source +1.77, written before −0.31, bias +0.23 = logit 1.69"
    )
    source.nth(2).hover()
    expect(page.locator(".readout")).to_have_text("runs speaks most for rennt +2.50")
    assert lit(answer)["rennt"] == "for"
    page.get_by_role("heading", level=1).hover()
    assert lit(source) == lit(answer) == {}


def test_a_click_holds_a_word_until_the_next(show: Open) -> None:
    page = show(written_explanation())
    source, answer = words_of(page, "The source"), words_of(page, "The answer")
    answer.nth(1).click()
    page.get_by_role("heading", level=1).hover()
    assert "dog" in lit(source)
    answer.nth(1).click()
    page.get_by_role("heading", level=1).hover()
    assert lit(source) == {}
    answer.nth(2).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Dark or light").focus()
    assert "runs" in lit(source)
    answer.nth(2).focus()
    page.keyboard.press("Escape")
    assert lit(source) == {}


def test_a_heat_map_is_pointed_at_and_walked_by_keys(show: Open) -> None:
    page = show(written_explanation())
    source = words_of(page, "The source")
    heat = page.get_by_role("application", name=re.compile("^From the source"))
    heat.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".readout")).to_have_text("A → Ein: +2.500")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".readout")).to_have_text("dog → Hund: +2.500")
    assert lit(source)["dog"] == "for"
    box = heat.bounding_box()
    assert box is not None
    heat.hover(position={"x": box["width"] - 5, "y": box["height"] - 5})
    expect(page.locator(".readout")).to_contain_text("→ </s>:")


def test_cells_have_the_colour_of_their_score(show: Open) -> None:
    scores = np.zeros((9, 8))
    scores[0, 0], scores[8, 7] = 2.0, -2.0
    page = show(replace(written_explanation(), source=scores, prefix=np.zeros((9, 9)), alignment=()))
    heat = page.get_by_role("application", name=re.compile("^From the source"))
    corners = heat.evaluate(
        """(canvas) => {
            const pixels = canvas.getContext("2d").getImageData(canvas.width - 10, 0, 1, canvas.height).data;
            const at = (y) => [...pixels.slice(4 * y, 4 * y + 4)];
            return [at(canvas.height - 10), at(canvas.height - 70)];
        }"""
    )
    assert corners == [[213, 94, 0, 255], [0, 0, 0, 0]]


def test_each_word_has_its_share_of_the_source_and_a_flag_where_that_is_low(show: Open) -> None:
    page = show(written_explanation())
    table = page.get_by_role("table", name="Each word of the answer, and what spoke for it")
    expect(table.get_by_role("row").nth(2)).to_have_text(
        re.compile(r"Hund\s*56.1%\s*\+1.77\s*−0.31\s*\+0.23\s*1.69\s*71.3%\s*dog\s\+2.50\s*dog")
    )
    flagged = table.get_by_role("row").filter(has_text="⚑ low")
    expect(flagged).to_have_count(1)
    expect(flagged).to_contain_text("12.5%")
    expect(words_of(page, "The answer").nth(7)).to_have_class("low")


def test_a_heat_map_has_a_table(show: Open) -> None:
    page = show(written_explanation())
    page.get_by_text("As a table").first.click()
    table = page.get_by_role("table", name="From the source, in logits")
    expect(table.get_by_role("row")).to_have_count(1 + 9)
    expect(table.get_by_role("row").nth(2).get_by_role("cell").nth(1)).to_have_text("+2.50")


def test_a_document_is_shown_by_sentences_first(show: Open) -> None:
    explanation = written_explanation()
    text = " ".join([explanation.text] * 20)
    words = explanation.words * 20
    source = np.tile(explanation.source, 20)
    page = show(replace(explanation, text=text, words=words, spans=spans_of(text, words), source=source, alignment=()))
    expect(words_of(page, "The source")).to_have_count(40)
    expect(words_of(page, "The answer")).to_have_count(3)
    words_of(page, "The answer").nth(1).hover()
    total = f"{explanation.source[4:8].sum() * 20:+.2f}".replace("-", "−")
    expect(page.locator(".readout")).to_contain_text(f"Er bellt laut. source {total}")
    page.get_by_role("radio", name="words").check()
    expect(words_of(page, "The source")).to_have_count(160)


def heads(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile(r"^layer \d+, head \d+$"))


def test_every_head_is_shown_small_and_enlarged_by_click_or_key(show: Open) -> None:
    page = show(attention(2, 3, 7, 5))
    expect(heads(page)).to_have_count(6)
    expect(page.get_by_role("heading", name="layer 0, head 0")).to_be_visible()
    page.get_by_role("button", name="layer 1, head 2").click()
    expect(page.get_by_role("heading", name="layer 1, head 2")).to_be_visible()
    page.get_by_role("button", name="layer 1, head 0").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="layer 1, head 0")).to_be_visible()
    expect(page.get_by_role("button", name="layer 1, head 0")).to_have_attribute("aria-pressed", "true")


def test_the_strongest_links_are_shown_first_and_more_when_asked_for(show: Open) -> None:
    shown = attention(2, 3, 7, 5)
    page = show(shown)
    page.get_by_role("button", name="layer 1, head 2").click()
    queries, keys = words_of(page, "Queries"), words_of(page, "Keys")
    row = shown.weights[1, 2, 4]
    queries.nth(4).hover()
    assert len(lit(keys)) <= 3
    best = int(np.argmax(row))
    expect(page.locator(".readout")).to_contain_text(re.compile(f"^query4 → key{best} {100 * row[best]:.0f}"))
    page.get_by_label("links of each query").select_option("5")
    page.get_by_text("The strongest links as a table").click()
    cell = page.get_by_role("table", name="The keys that each query looks at most").get_by_role("row").nth(5)
    order = " .*".join(f"key{key}" for key in np.argsort(-row))
    expect(cell).to_have_text(re.compile(order))
    keys.nth(best).hover()
    assert "query4" in lit(queries)


def test_norms_are_shown_where_there_are_some(show: Open) -> None:
    shown = attention(1, 1, 3, 3)
    page = show(replace(shown, norms=np.full((1, 1, 3, 3), 7.0)))
    page.get_by_role("radio", name="norms of what is taken").check()
    words_of(page, "Queries").first.hover()
    expect(page.locator(".readout")).to_contain_text("key0 7.000")
    expect(show(replace(shown, norms=None)).get_by_text("norms of what is taken")).to_have_count(0)


@contextmanager
def seconds_of_work(page: Page) -> Iterator[list[float]]:
    """The processor time of the page's main thread: how busy the machine is otherwise does not matter."""
    session = page.context.new_cdp_session(page)
    work: list[float] = []
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    before = spent()
    yield work
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    work.append(spent() - before)


def test_2000_words_are_shown_within_two_seconds(show: Open) -> None:
    rng = np.random.default_rng(0)
    text = " ".join(f"word{number}" for number in range(2000))
    page = show(explanation_of(text, rng.normal(size=2000).tolist()))
    with seconds_of_work(page) as work:
        page.reload()
    expect(words_of(page)).to_have_count(2000)
    assert 0.01 < work[0] < 2


def test_attention_of_512_tokens_is_usable(show: Open) -> None:
    page = show(attention(2, 2, 512, 512))
    expect(heads(page)).to_have_count(4)
    page.get_by_role("button", name="layer 1, head 0").click()
    expect(page.get_by_role("heading", name="layer 1, head 0")).to_be_visible()
    heat = page.get_by_role("application")
    heat.focus()
    with seconds_of_work(page) as work:
        for _ in range(5):
            page.keyboard.press("ArrowDown")
        expect(page.locator(".readout")).to_contain_text("query4 → key0")
    assert work[0] < 1
    page.keyboard.press("ArrowDown")
    assert lit(words_of(page, "Keys"))["key4"] == "for"


def test_two_models_stand_side_by_side_on_one_scale(show: Open) -> None:
    weaker = explanation_of(scores=[score / 2 for score in CARD_SCORES])
    page = show(explanation_of(), weaker, names=("runs/one", "runs/two"))
    panels = page.locator(".panel")
    expect(panels).to_have_count(2)
    expect(page.get_by_role("region", name="runs/two")).to_be_visible()
    boxes = [panels.nth(number).bounding_box() for number in range(2)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] < boxes[1]["x"]
    strengths = (
        panels.get_by_text("swallowed", exact=True)
        .and_(page.get_by_role("option"))
        .evaluate_all("spans => spans.map((span) => span.style.getPropertyValue('--w'))")
    )
    assert strengths == ["1.000", "0.500"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_system_and_its_button_turns_it_over(show: Open, scheme: str) -> None:
    page = show(written_explanation(), scheme=scheme)
    brightness = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    is_light = page.evaluate(brightness) > 128
    assert is_light == (scheme == "light")
    page.get_by_role("button", name="Dark or light").click()
    assert (page.evaluate(brightness) > 128) != is_light


@pytest.mark.parametrize(
    "explanation", [full_explanation(), written_explanation(), attention()], ids=lambda e: type(e).__name__
)
def test_a_phone_scrolls_in_one_direction_only(show: Open, explanation: Shown) -> None:
    page = show(explanation, width=375)
    expect(page.get_by_role("listbox").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.parametrize(
    "explanation", [full_explanation(), written_explanation(), attention()], ids=lambda e: type(e).__name__
)
def test_whatever_takes_the_focus_has_a_name(show: Open, explanation: Shown) -> None:
    page = show(explanation)
    expect(page.get_by_role("listbox").first).to_be_visible()
    focusable = page.locator("a[href], button, select, input, summary, [tabindex='0']")
    assert focusable.count() >= 5
    for element in focusable.all():
        expect(element).to_have_accessible_name(re.compile(r"\S"))
