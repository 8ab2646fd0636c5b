"""What a run says."""

import json
from itertools import count
from pathlib import Path

import pytest

from wavegrad.training.log import RunLog


def test_a_run_that_goes_on_hides_what_it_does_again_and_nothing_else(tmp_path: Path) -> None:
    """In TensorBoard too: the curves lost the step of the checkpoint."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for start, stop in ((0, 7), (5, 8)):
        with RunLog(tmp_path, start, 10) as log:
            for step in range(start + 1, stop + 1):
                log.write(step, "train", {"loss": 10.0 * start + step})
    curves = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    curves.Reload()
    assert [(e.step, e.value) for e in curves.Scalars("train/loss")] == [
        *((step, step) for step in range(1, 6)),
        *((step, 50 + step) for step in range(6, 9)),
    ]


def test_the_seconds_go_on_where_those_of_the_checkpoint_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They began anew at each resume, so that the last record did not say how long a training took."""
    clock = count(1000, 10)  # each look takes ten seconds
    monkeypatch.setattr("wavegrad.training.log.time.monotonic", lambda: next(clock))
    for start, stop in ((0, 4), (2, 4)):  # steps 3 and 4 are done again
        with RunLog(tmp_path, start, 4) as log:
            for step in range(start + 1, stop + 1):
                log.write(step, "train", {"loss": 1.0})
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(record["step"], record["seconds"]) for record in records] == [(1, 10), (2, 20), (3, 30), (4, 40)]
