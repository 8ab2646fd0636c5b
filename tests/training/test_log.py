"""What a run says."""

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
