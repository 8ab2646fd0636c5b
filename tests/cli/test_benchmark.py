"""`wavegrad benchmark synthesis`: figures that fit each other."""

import json
import xml.etree.ElementTree as ET

import pytest

from wavegrad.inference import speed
from wavegrad.inference.quantized import has_int8


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch):
    monkeypatch.setitem(speed.MATRIX_SIZE, "cpu", 256)


def test_the_figures_of_a_row_fit_each_other(run, model, tmp_path):
    out = tmp_path / "speed.json"
    command = ("benchmark", "synthesis", "--model", model, "--seconds", "0.1,0.05", "--runs", 2, "--steps", 2)
    result = run(*command, "--out", out, "--device", "cpu")
    assert result.code == 0, result.err
    table = json.loads(out.read_text())
    assert [(row["seconds"], row["engine"]) for row in table["rows"]] == [
        (0.1, "fast"),
        (0.1, "reference"),
        (0.05, "fast"),
        (0.05, "reference"),
    ]
    for row in table["rows"]:
        assert row["real_time_factor"] * row["throughput"] == pytest.approx(1)
        assert row["real_time_factor"] == pytest.approx(row["latency_s"] / (round(row["seconds"] * 80) / 80), rel=0.2)
        assert row["share_of_matrix_rate"] == pytest.approx(row["gmac_per_s"] / row["matrix_gmac_per_s"])
        assert row["peak_memory_mb"] > 10
    assert table["rows"][1]["ratio_to_reference"] == 1
    assert table["rows"][0]["gmac"] < table["rows"][1]["gmac"]
    assert table["machine"]["threads"] == 1
    texts = [element.text for element in ET.parse(tmp_path / "speed.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert len(texts) == 1 + 2 * 4
    assert len(result.out.splitlines()) == 4


def test_random_weights_of_a_preset(run):
    result = run(
        *("benchmark", "synthesis", "--network", "tiny", "--engine", "fast", "--seconds", "0.05", "--runs", 1),
        *("--batch", 2, "--device", "cpu"),
    )
    assert result.code == 0, result.err
    assert result.out.startswith("tiny, 6 steps, 2 x 0.05 s, float32, fast: real-time factor ")
    assert "reference" not in result.out


def test_parts_of_the_engine_off(run):
    """Each in turn with the whole one; on a CPU, where they are never on, it is the same work."""
    result = run(
        *("benchmark", "synthesis", "--network", "tiny", "--engine", "fast,no-fusion,no-graphs", "--seconds", "0.05"),
        *("--runs", 1, "--steps", 1, "--device", "cpu"),
    )
    assert result.code == 0, result.err
    assert [line.split(":")[0].split(", ")[-1] for line in result.out.splitlines()] == [
        "fast",
        "no-fusion",
        "no-graphs",
    ]


def test_streams_beside_a_call(run, model, tmp_path):
    """First audio is not the end of a stream, and the time to it counts no more than what came before."""
    result = run(
        *("benchmark", "synthesis", "--model", model, "--seconds", "1.5", "--runs", 1, "--steps", 2, "--device", "cpu"),
        *("--engine", "fast,stream-8,pipelined-8", "--griffin-lim", "0,2", "--out", tmp_path / "speed.json"),
    )
    assert result.code == 0, result.err
    rows = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert [row["griffin_lim"] for row in rows] == [0, 0, 0, 2, 2, 2]
    call, stream, pipelined = rows[3:]
    assert call["latency_s"] == pytest.approx(1.5 * call["real_time_factor"], rel=0.1)
    assert 0 < stream["latency_s"] < 0.9 * 1.5 * stream["real_time_factor"]
    assert (call["griffin_lim"], stream["engine"]) == (2, "stream-8")
    assert call["gmac"] < stream["gmac"] == pipelined["gmac"]
    assert pipelined["engine"] == "pipelined-8"
    assert "2 steps, griffin_lim 2, 1 x 1.5 s, float32, stream-8: real-time factor" in result.out


@pytest.mark.parametrize(("units", "dtypes"), [(True, ["bfloat16", "float32"]), (False, ["float32"])])
def test_dtype_auto_has_the_name_of_what_it_is(run, model, tmp_path, monkeypatch, units, dtypes):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": units})
    result = run(
        *("benchmark", "synthesis", "--model", model, "--seconds", "0.05", "--runs", 1, "--dtype", "auto,float32"),
        *("--engine", "fast", "--steps", 2, "--out", tmp_path / "speed.json", "--device", "cpu"),
    )
    assert result.code == 0, result.err
    assert [row["dtype"] for row in json.loads((tmp_path / "speed.json").read_text())["rows"]] == dtypes
    assert [line.split(", ")[3] for line in result.out.splitlines()] == dtypes


@pytest.mark.skipif(not has_int8(), reason="a processor without VNNI or AMX")
def test_int8_beside_the_reference_in_float32(run, tmp_path):
    result = run(
        *("benchmark", "synthesis", "--network", "tiny", "--seconds", "0.05", "--runs", 1, "--dtype", "int8"),
        *("--out", tmp_path / "speed.json", "--device", "cpu"),
    )
    assert result.code == 0, result.err
    rows = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert [(row["engine"], row["dtype"]) for row in rows] == [("fast", "int8"), ("reference", "float32")]
    assert rows[0]["matrix_gmac_per_s"] != rows[1]["matrix_gmac_per_s"]  # of its own precision each
    assert rows[1]["ratio_to_reference"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", "six"), "--steps is 'six'; whole numbers above 0"),
        (("--batch", "1.5"), "--batch is '1.5'; whole numbers above 0"),
        (("--seconds", "0"), "--seconds is '0'; numbers above 0"),
        (("--griffin-lim", "8,-1"), "--griffin-lim is '8,-1'; whole numbers from 0 on"),
        (("--griffin-lim", "0.5"), "--griffin-lim is '0.5'; whole numbers from 0 on"),
        (("--steps", "nan"), "--steps is 'nan'; whole numbers above 0"),
        (("--seconds", "1,inf"), "--seconds is '1,inf'; numbers above 0"),
        (("--engine", "fats"), "unknown engine 'fats': did you mean 'fast'"),
        (("--engine", "stream-0"), "unknown engine 'stream-0': did you mean 'stream-N'"),
        (("--dtype", "float8"), "unknown precision 'float8'"),
        (("--network", "bsae"), "unknown network 'bsae': did you mean 'base'"),
        (("--network", "tiny", "--model", "m"), "--network and --model exclude each other"),
        (("--out", "nowhere/speed.json"), "there is no folder nowhere"),
    ],
)
def test_mistakes(run, options, message):
    result = run("benchmark", "synthesis", *options)
    assert result.code == 2
    assert message in result.err
