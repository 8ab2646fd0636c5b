"""The report page in a headless Chromium, used as its readers use it."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation.report_browser import Page, browser_page, find_browser
from tests.evaluation.report_example import CLIPS, COARSE, FINE, HOSTILE_CLIP, HOSTILE_SYSTEM, OTHER, example
from wavegrad.evaluation.report import write_report

EXECUTABLE = find_browser()
pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="there is no Chromium: apt-get install chromium")
SPY = "window.made = []; const A = Audio; window.Audio = function () { const a = new A(); made.push(a); return a; };"
"""Keeps the players that the page makes, which are in no document, in `made`."""
PLAYING = "made.filter((audio) => !audio.paused)"
TEXTS = "[...document.querySelectorAll('{}')].map((t) => [t.textContent, t.getAttribute('{}')])"
MINUS = "\u2212"
BUTTONS = "document.querySelectorAll('.player button')"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    return write_report(example(directory), directory)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert EXECUTABLE is not None
    with browser_page(EXECUTABLE, tmp_path_factory.mktemp("profile")) as page:
        page.send("Page.addScriptToEvaluateOnNewDocument", source=SPY)
        yield page


@pytest.fixture
def page(browser: Page, report: Path) -> Iterator[Page]:
    """The report, just opened. Whatever a test does with it, nobody complains."""
    browser.open(report)
    browser.wait(f"{BUTTONS}.length")
    yield browser
    assert browser.complaints() == []


def sorted_names(page: Page, table: str, column: int) -> list[str]:
    page.run(f"document.querySelectorAll('#{table} .sort')[{column}].focus()")
    page.press("Enter")
    return page.run(f"[...document.querySelectorAll('#{table} tbody th')].map((cell) => cell.textContent)")


def order(page: Page, table: str, column: int) -> str | None:
    return page.run(f"document.querySelectorAll('#{table} thead th')[{column}].getAttribute('aria-sort')")


def test_players_load(page: Page) -> None:
    page.wait("made.length === 4 && made.every((audio) => audio.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA)")
    durations = page.run("made.map((audio) => audio.duration)")
    assert durations == pytest.approx([2.0] * 4, abs=1e-3)
    assert page.run("made.every((audio) => !audio.error)")


def test_pictures_load_at_the_size_of_the_mel(page: Page) -> None:
    page.wait("[...document.images].every((image) => image.complete)")
    sizes = page.run("[...document.querySelectorAll('.take img')].map((i) => [i.naturalWidth, i.naturalHeight])")
    assert sizes == [[160, 128]] * 7  # 2 s of 80 frames a second; four spectrograms and three differences


def test_headings_sort_and_say_so(page: Page) -> None:
    assert sorted_names(page, "table", 2) == [FINE.name, COARSE.name, OTHER.name]  # 2.1, 3.2, 10: numbers, no text
    assert order(page, "table", 2) == "ascending"
    assert sorted_names(page, "table", 2) == [OTHER.name, COARSE.name, FINE.name]
    assert order(page, "table", 2) == "descending"
    assert sorted_names(page, "table", 3)[-1] == OTHER.name  # which has no PESQ
    assert (order(page, "table", 2), order(page, "table", 3)) == (None, "ascending")
    assert sorted_names(page, "table", 3) == [FINE.name, COARSE.name, OTHER.name]  # what is missing stays last
    assert sorted_names(page, "table", 0)[1:] == [COARSE.name, FINE.name]  # 6 before 25


def test_a_baseline_is_chosen(page: Page) -> None:
    choose = "{const s = document.getElementById('baseline'); s.value = VALUE; s.dispatchEvent(new Event('change'));}"
    page.run(choose.replace("VALUE", repr(FINE.name)))
    rows = page.run("[...document.querySelectorAll('#differences tbody tr')].map((row) => row.innerText)")
    assert len(rows) == 2
    assert rows[0].startswith(COARSE.name)
    assert "+1.10 worse" in rows[0]  # log-mel distances: 3.2 - 2.1
    assert f"{MINUS}0.550 worse" in rows[0]  # PESQ: 3.05 - 3.6 on the two clips that have it
    assert "no pairs" in rows[1]
    assert sorted_names(page, "differences", 1) == [COARSE.name, OTHER.name]
    assert order(page, "differences", 1) == "ascending"


@pytest.mark.parametrize("key", ["log_mel_db", "pesq_wb", "silence_db"])
def test_plots_show_the_means(page: Page, key: str) -> None:
    """Heights of the marks are an affine function of the means: three points, or two and the axis' ticks, check it."""
    choose = (
        f"{{const s = document.getElementById('metric'); s.value = '{key}'; s.dispatchEvent(new Event('change'));}}"
    )
    page.run(choose)
    at = "[...document.querySelectorAll('#by-steps .mark')].map((m) => m.getAttribute('transform'))"
    (x6, y6), (x25, y25) = (map(float, re.findall(r"[-\d.]+", text)) for text in page.run(at))
    assert x6 < x25
    ticks = page.run(TEXTS.format("#by-steps text[text-anchor=end]", "y"))
    (v0, p0), (v1, p1) = ((float(v.replace(MINUS, "-")), float(p) - 4) for v, p in (ticks[0], ticks[-1]))
    means = [v0 + (y - p0) * (v1 - v0) / (p1 - p0) for y in (y6, y25)]
    figures = page.run(f"Object.values(figures.means).map((row) => row['{key}'])")
    assert means == pytest.approx([figures[0][0], figures[1][0]], abs=1e-6)
    labels = page.run("[...document.querySelectorAll('#by-steps .label')].map((t) => t.firstChild.textContent)")
    assert "small" in labels


def test_plot_against_the_real_time_factor_is_logarithmic(page: Page) -> None:
    at = "[...document.querySelectorAll('#by-rtf .mark')].map((m) => m.getAttribute('transform'))"
    x_coarse, x_fine = (float(re.findall(r"[-\d.]+", text)[0]) for text in page.run(at))
    texts = page.run(TEXTS.format("#by-rtf text[text-anchor=middle]", "x"))
    (v0, p0), (v1, p1) = ((math.log(float(v)), float(p)) for v, p in texts[:2])
    assert v0 + (x_coarse - p0) * (v1 - v0) / (p1 - p0) == pytest.approx(math.log(0.65), abs=1e-6)
    assert v0 + (x_fine - p0) * (v1 - v0) / (p1 - p0) == pytest.approx(math.log(2.6), abs=1e-6)


@pytest.mark.parametrize("key", [" ", "Enter"])
def test_a_key_plays_and_stops(page: Page, key: str) -> None:
    page.run(f"{BUTTONS}[1].focus()")
    page.press(key)
    page.wait(f"{PLAYING}.length === 1 && made[1].currentTime > 0.05")
    assert page.run(f"{BUTTONS}[1].getAttribute('aria-label')") == f"Pause {COARSE.name}"
    page.press(key)
    page.wait(f"{PLAYING}.length === 0")
    assert page.run(f"{BUTTONS}[1].getAttribute('aria-label')") == f"Play {COARSE.name}"


def test_arrow_keys_switch_at_the_same_place(page: Page) -> None:
    page.run(f"{BUTTONS}[0].focus()")
    page.press("Enter")
    page.wait("made[0].currentTime > 0.5")
    page.press("ArrowRight")
    before, after = page.run("[made[0].currentTime, made[1].currentTime]")
    assert after == pytest.approx(before, abs=0.25)
    page.wait(f"{PLAYING}.length === 1 && made[1].currentTime > {after}")
    assert page.run("!made[1].paused && document.activeElement") is not None
    assert page.run(f"document.activeElement === {BUTTONS}[1]")
    page.press("ArrowLeft")
    page.press("ArrowLeft")  # from the first to the last
    page.wait(f"{PLAYING}.length === 1 && !made[3].paused")
    assert page.run("made[3].currentTime") >= after - 0.05


def test_arrow_keys_keep_the_place_of_what_is_stopped(page: Page) -> None:
    page.wait("made.every((audio) => audio.readyState)")
    page.run(
        "{const s = document.querySelector('.player input'); s.value = 1.25; s.dispatchEvent(new Event('input'));}"
    )
    page.run(f"{BUTTONS}[0].focus()")
    page.press("ArrowDown")
    assert page.run("made[1].currentTime") == pytest.approx(1.25)
    assert page.run(f"{PLAYING}.length") == 0
    page.press("ArrowUp")
    assert page.run("made[0].currentTime") == pytest.approx(1.25)


def test_a_click_into_a_picture_plays_from_there(page: Page) -> None:
    pictures = "document.querySelectorAll('.pictures')[2]"
    page.run(f"{pictures}.scrollIntoView({{block: 'center'}})")
    x, y = page.run(f"(({{left, top, width}}) => [left + width / 2, top + 90])({pictures}.getBoundingClientRect())")
    for kind in ("mousePressed", "mouseReleased"):
        page.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    page.wait(f"{PLAYING}.length === 1 && !made[2].paused")
    assert 0.98 <= page.run("made[2].currentTime") < 1.6


def test_only_one_clip_sounds_at_a_time(page: Page) -> None:
    page.run("document.querySelectorAll('details.clip')[1].open = true")
    page.wait("made.length === 8")
    for i in (0, 5):
        page.run(f"{BUTTONS}[{i}].focus()")
        page.press("Enter")
        page.wait(f"!made[{i}].paused")
    assert page.run(f"{PLAYING}.length") == 1


def test_repeat_starts_again(page: Page) -> None:
    page.run("document.getElementById('repeat').click()")
    page.wait("made.every((audio) => audio.readyState)")
    page.run("{const s = document.querySelector('.player input'); s.value = 1.8; s.dispatchEvent(new Event('input'));}")
    page.run(f"{BUTTONS}[0].focus()")
    page.press("Enter")
    page.wait(f"made[0].currentTime < 1.5 && made[0].currentTime > 0 && {PLAYING}.length === 1")


def test_closed_clips_cost_nothing(page: Page) -> None:
    """Fifty clips of six systems must stay usable: players exist only while a clip is open."""
    assert page.run("document.querySelectorAll('.take').length") == 4
    assert page.run("made.length") == 4
    page.run("document.querySelector('details.clip').open = false")
    page.wait("document.querySelectorAll('.take').length === 0")
    assert page.run("made.every((audio) => audio.paused && !audio.hasAttribute('src'))")
    page.run("document.querySelector('details.clip').open = true")
    page.wait("made.length === 8 && made[7].readyState")


def test_nothing_is_asked_of_a_network(page: Page, report: Path) -> None:
    page.run("document.querySelectorAll('details.clip').forEach((clip) => { clip.open = true; })")
    page.wait(f"document.querySelectorAll('.player').length === {len(CLIPS)}")
    elsewhere = [url for url in page.requests() if not url.startswith(("data:", "blob:"))]
    assert elsewhere == [report.resolve().as_uri()]


def test_names_stay_text(page: Page) -> None:
    page.run("document.querySelectorAll('details.clip').forEach((clip) => { clip.open = true; })")
    page.wait(f"document.querySelectorAll('.player').length === {len(CLIPS)}")
    assert page.run("document.querySelectorAll('[onerror], b b, i, u, details script').length") == 0
    assert page.run("document.querySelectorAll('.clip > summary')[2].textContent") == HOSTILE_CLIP
    assert page.run("document.querySelectorAll('.take h3')[3].textContent") == HOSTILE_SYSTEM
    assert page.run("document.querySelectorAll('.clip')[2].querySelectorAll('.take').length") == 3  # one has no audio
    assert "<i>0.3 s</i> shorter" in page.run("document.querySelectorAll('.clip')[2].innerText")


def test_every_control_and_picture_has_a_name(page: Page) -> None:
    """By the browser's own computation of accessible names."""
    roles = {"button", "checkbox", "combobox", "slider", "link", "image", "img", "DisclosureTriangle", "group"}
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert {"button", "checkbox", "combobox", "slider"} <= {role for role, _ in found}
    assert [role for role, name in found if not name and role != "group"] == []


def test_every_control_is_reached_by_tab(page: Page) -> None:
    controls = "[...document.querySelectorAll('button, select, input, summary')].filter((e) => e.checkVisibility())"
    page.run("document.body.focus()")
    page.run("window.reached = new Set(); document.addEventListener('focusin', (e) => reached.add(e.target));")
    for _ in range(page.run(f"{controls}.length") + 8):
        page.press("Tab")
    assert page.run(f"{controls}.filter((e) => !reached.has(e)).map((e) => e.outerHTML)") == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_only_up_and_down(browser: Page, report: Path, dark: bool) -> None:
    browser.open(report, width=390, height=844, dark=dark, phone=True)
    browser.run("document.querySelectorAll('details.clip').forEach((clip) => { clip.open = true; })")
    browser.wait(f"document.querySelectorAll('.player').length === {len(CLIPS)}")
    assert browser.run("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
    assert browser.run("document.querySelector('.scroll:has(#table)').scrollWidth") > 390
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out(browser: Page, report: Path, dark: bool) -> None:
    """Contrast of at least 4.5 of all kinds of text against what is behind it (WCAG 2.2, 1.4.3)."""
    browser.open(report, dark=dark)
    browser.wait(f"{BUTTONS}.length")
    colour = "(e, property) => getComputedStyle(e)[property]"
    ground = browser.run(f"({colour})(document.body, 'backgroundColor')")
    kinds = ["body", "small", ".best", ".better", ".worse", ".take dt", "td.none", *(f".label.c{i}" for i in range(2))]
    for kind in kinds:
        prop = "fill" if kind.startswith(".label") else "color"
        text = browser.run(f"({colour})(document.querySelector('{kind}'), '{prop}')")
        assert contrast(text, ground) >= 4.5, kind


def contrast(one: str, other: str) -> float:
    """Of two colours "rgb(r, g, b)" (WCAG 2.2, relative luminance)."""
    levels = []
    for text in (one, other):
        channels = [int(x) / 255 for x in re.findall(r"\d+", text)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        levels.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(levels) + 0.05) / (min(levels) + 0.05)
