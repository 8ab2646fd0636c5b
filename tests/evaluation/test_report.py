"""The report page as text, and its pictures as numbers."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.report_example import CLIPS, COARSE, FINE, HOSTILE_CLIP, OTHER, example
from wavegrad.evaluation.report import write_report
from wavegrad.evaluation.report.figures import best, embedded, figures
from wavegrad.evaluation.report.listening import clip_data
from wavegrad.evaluation.report.picture import DIFFERENCE, LEVEL, difference, envelope, log_mel_db, spectrogram
from wavegrad.evaluation.report.png import indexed, png
from wavegrad.evaluation.results import Evaluation, audio_path

VOID = {"meta", "link", "img", "input", "br"}


class Tags(HTMLParser):
    """All elements of a page with their attributes and texts; it refuses what does not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    directory = tmp_path_factory.mktemp("report")
    return example(directory), directory


@pytest.fixture(scope="module")
def page(evaluated: tuple[Evaluation, Path]) -> str:
    return write_report(*evaluated).read_text(encoding="utf-8")


def data_of(page: str, name: str) -> Any:
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def pixels(uri: str) -> np.ndarray:
    """Palette indexes of a picture, by an independent decoder."""
    image = pytest.importorskip("PIL.Image")
    head, code = uri.split(",")
    assert head == "data:image/png;base64"
    with image.open(io.BytesIO(base64.b64decode(code))) as picture:
        assert picture.mode == "P"
        return np.array(picture)


def test_elements_nest_and_ids_are_unique(page: str) -> None:
    tags = Tags(page)
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    assert [len(re.findall(r"<t[hd][ >]", row)) for row in rows[:4]] == [6] * 4


def test_names_cannot_become_elements(page: str) -> None:
    tags = Tags(page)
    assert [a for a in tags.named("script") if a.get("type") != "application/json"] == [{}]
    assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)
    assert {"u", "i"}.isdisjoint(tag for tag, _ in tags.found)
    assert HOSTILE_CLIP in tags.texts["summary"]
    assert OTHER.name in tags.texts["th"]
    assert "wavegrad evaluate --reference '<b>' && echo" in tags.texts["code"]


def test_page_asks_for_nothing_and_allows_only_its_own_script(page: str) -> None:
    tags = Tags(page)
    addresses = [a[name] for _, a in tags.found for name in ("src", "href", "action") if name in a]
    assert all(str(address).startswith("data:") for address in addresses)
    policy = next(a["content"] for a in tags.named("meta") if a.get("http-equiv") == "Content-Security-Policy") or ""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@with_example(["</script>", "<!--", "&lt;"])
@settings(max_examples=50)
@given(
    st.recursive(
        st.text() | st.text("<>&!-/\\") | st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        st.lists,
        max_leaves=5,
    )
)
def test_embedded_json_comes_back_and_ends_no_element(data: object) -> None:
    text = embedded(data)
    assert json.loads(text) == data
    assert not set("<>&") & set(text)


def test_means_and_differences_are_those_of_the_evaluation(evaluated: tuple[Evaluation, Path], page: str) -> None:
    evaluation, _ = evaluated
    data = data_of(page, "figures")
    for a in evaluation.systems:
        for key in evaluation.metrics:
            i = evaluation.interval(a.name, key)
            assert data["means"][a.name][key] == ([i.mean, i.low, i.high, i.n] if i.n else None)
            for b in set(evaluation.systems) - {a}:
                d = evaluation.difference(a.name, b.name, key)
                found = data["pairs"][b.name][a.name][key]
                assert found is None if d.n == 0 else found[:4] == pytest.approx([d.mean, d.low, d.high, d.n])
    assert data["pairs"][COARSE.name][FINE.name]["log_mel_db"][4] == "better"
    assert data["pairs"][FINE.name][COARSE.name]["log_mel_db"][4] == "worse"
    assert data["clips"]["ljspeech"][COARSE.name]["pesq_wb"] == 3.0


def test_best_follows_the_metric(evaluated: tuple[Evaluation, Path]) -> None:
    evaluation, _ = evaluated
    assert best(evaluation, "log_mel_db") == {FINE.name}  # lower
    assert best(evaluation, "pesq_wb") == {FINE.name}  # higher
    assert best(evaluation, "silence_db") == {FINE.name}  # -2.5 against 0.5: nearest to zero
    assert best(evaluation, "rtf") == {COARSE.name}
    assert best(replace(evaluation, systems=(COARSE,)), "rtf") == set()  # nothing to be better than
    twice = {COARSE.name: {"a": {"rtf": 0.50001}}, FINE.name: {"a": {"rtf": 0.50002}}}
    tie = replace(evaluation, clips=("a",), values=twice)
    assert best(tie, "rtf") == {COARSE.name, FINE.name}  # they read the same


def test_audio_is_that_of_the_files(evaluated: tuple[Evaluation, Path], page: str) -> None:
    _, directory = evaluated
    takes = data_of(page, "clip-1")["takes"]
    assert [take["name"] for take in takes] == ["reference", COARSE.name, FINE.name, OTHER.name]
    for take, system in zip(takes, (None, COARSE, FINE, OTHER), strict=True):
        assert base64.b64decode(take["audio"]) == audio_path(directory, CLIPS[1], system).read_bytes()
        assert (take["rate"], take["seconds"]) == (24_000, 2.0)


def test_listening_is_limited_and_the_tables_are_not(evaluated: tuple[Evaluation, Path], tmp_path: Path) -> None:
    evaluation, directory = evaluated
    for clip in CLIPS[:2]:
        for system in (None, *evaluation.systems):
            copy = audio_path(tmp_path, clip, system)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(audio_path(directory, clip, system).read_bytes())
    more = replace(evaluation, clips=(CLIPS[0], "unheard", CLIPS[1], "too"))
    page = write_report(more, tmp_path, n_listening=2).read_text(encoding="utf-8")
    assert page.count('<details class="clip"') == 2
    assert [data_of(page, f"clip-{i}")["clip"] for i in range(2)] == list(CLIPS[:2])  # the first and the third of four
    assert list(data_of(page, "figures")["clips"]) == list(more.clips)
    assert "2 of 4 clips, evenly spread" in page


def test_missing_audio_is_said(evaluated: tuple[Evaluation, Path], tmp_path: Path) -> None:
    evaluation, directory = evaluated
    data = clip_data(evaluation, HOSTILE_CLIP, directory)
    assert [take["name"] for take in data["takes"]] == ["reference", COARSE.name, FINE.name]
    assert data["notes"] == [f"{OTHER.name}: is <i>0.3 s</i> shorter than the recording", f"{OTHER.name}: no audio"]
    assert clip_data(evaluation, "ljspeech", tmp_path)["takes"] == []


def test_an_evaluation_of_nothing_has_a_page(tmp_path: Path) -> None:
    nothing = Evaluation(24_000, (), (), (), {})
    Tags(write_report(nothing, tmp_path).read_text(encoding="utf-8"))


def test_png_is_read_back_by_another_decoder() -> None:
    image = pytest.importorskip("PIL.Image")
    drawn = np.random.default_rng(0).integers(256, size=(7, 13)).astype(np.uint8)
    with image.open(io.BytesIO(png(drawn, LEVEL))) as picture:
        assert (np.array(picture.convert("RGB")) == LEVEL[drawn]).all()


def test_colours_of_levels_grow_lighter_and_those_of_differences_are_symmetric() -> None:
    luma = LEVEL @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luma) >= 0).all()
    assert luma[-1] - luma[0] > 200
    middle = DIFFERENCE[127:129].astype(int)
    assert (middle > 240).all()
    assert DIFFERENCE[0, 2] > DIFFERENCE[0, 0]  # too quiet is blue
    assert DIFFERENCE[-1, 0] > DIFFERENCE[-1, 2]  # too loud is red


def test_scale_of_the_spectrogram() -> None:
    """A step of the palette is 80 dB / 255, from 80 dB below the peak up to it."""
    levels = torch.linspace(-100, 0, 101, dtype=torch.float64).numpy()[None].repeat(4, 0)
    found = pixels(spectrogram(levels, 0.0))
    expected = np.rint(np.clip(levels + 80, 0, None) / 80 * 255)
    assert (found == expected).all()


def test_low_frequencies_are_at_the_bottom() -> None:
    time = torch.arange(24_000) / 24_000
    level = log_mel_db(0.5 * torch.sin(2 * torch.pi * 200 * time), 24_000)
    drawn = pixels(spectrogram(level, float(level.max())))
    assert drawn.mean(1).argmax() > 0.9 * len(drawn)


@pytest.mark.parametrize("gain_db", [-12.0, 6.0, 40.0])
def test_scale_of_the_difference(gain_db: float) -> None:
    """A louder copy differs by its gain wherever both are above the floor, in 40 dB / 255 and within 20 dB."""
    reference = 0.01 * torch.randn(24_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a, b = log_mel_db(reference, 24_000), log_mel_db(reference * 10 ** (gain_db / 20), 24_000)
    expected = round((min(gain_db, 20) + 20) / 40 * 255)
    drawn = pixels(difference(a, b, float(max(a.max(), b.max()))))
    assert np.abs(drawn.astype(int) - expected).max() <= 1  # rounding at a half


def test_what_is_below_the_scale_differs_by_nothing() -> None:
    quiet, quieter = np.full((3, 5), -90.0), np.full((3, 6), -120.0)
    assert set(pixels(difference(quiet, quieter, 0.0)).ravel()) <= {127, 128}


def test_wide_pictures_are_averaged() -> None:
    levels = np.tile(np.array([-10.0, -30.0]), 800)[None]
    drawn = pixels(spectrogram(levels, 0.0))
    assert drawn.shape == (1, 800)
    assert (drawn == round(60 / 80 * 255)).all()


def test_envelope_holds_every_extreme() -> None:
    waveform = torch.zeros(24_000)
    waveform[[100, 12_345, 23_999]] = torch.tensor([0.5, -0.25, 1.0])
    parts = envelope(waveform)
    assert len(parts) == 240
    assert [i for i, part in enumerate(parts) if part != [0, 0]] == [1, 123, 239]
    assert (parts[1], parts[123], parts[239]) == ([0, 5000], [-2500, 0], [0, 10_000])


def test_indexes_saturate() -> None:
    assert indexed(np.array([[-9.0, 0.0, 0.5, 1.0, 9.0]]), 0.0, 1.0).tolist() == [[0, 0, 128, 255, 255]]


def test_figures_without_values_are_null() -> None:
    data = figures(Evaluation(24_000, (COARSE,), ("a",), ("rtf",), {}))
    assert data["means"] == {COARSE.name: {"rtf": None}}
    assert data["clips"] == {"a": {}}
