"""How good the shipped models are, in a few seconds: what tests/test_quality.py guards.

`python -m tests.quality` measures them with several seeds and writes tests/quality.json; run it when the weights of one
have changed. The test itself uses the first seed. Nothing is random there but the rounding of the machine, so that
margins of MARGIN standard deviations over the seeds are generous.
"""

import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from wavegrad import NoiseSchedule, Vocoder
from wavegrad.audio import read_audio
from wavegrad.checkpoint import load_config, shipped_models
from wavegrad.evaluation import evaluate_clip, find_metrics

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "tests" / "quality.json"
CLIPS = sorted((ROOT / "samples" / "reference").glob("*.flac"))
FROM_S, TO_S = 0.4, 2.2
"""The part of each clip that is used."""
STEPS = 6
SEEDS = (0, 100, 200, 300, 400)
MARGIN = 4
KEYS = ("pesq_wb", "stoi", "log_mel_db")


def weights_hash(model: str) -> str:
    """Of a shipped model."""
    return load_config(shipped_models()[model]).weights.sha256


def figures(
    vocoder: Vocoder,
    schedule: NoiseSchedule | str | int = STEPS,
    seed: int = SEEDS[0],
    mel_of: Vocoder | None = None,
    griffin_lim: int | None = 0,
) -> dict[str, float]:
    """Means over the clips of a vocoder that gets its mels from the front-end of `mel_of`, or its own.

    With 0 iterations it is the network that is judged; None are the model's, and what a user hears.
    """
    rows = []
    for i, path in enumerate(CLIPS):
        waveform, rate = read_audio(path, vocoder.sample_rate)
        n = round((TO_S - FROM_S) * rate) // vocoder.hop_length * vocoder.hop_length
        reference = waveform[round(FROM_S * rate) :][:n]
        mel = (mel_of or vocoder).mel(reference)
        audio = vocoder(mel, schedule, seed + i, length=n, griffin_lim=griffin_lim)
        rows.append(evaluate_clip(reference, audio, rate, find_metrics(KEYS)))
    return {key: statistics.fmean(row[key] for row in rows) for key in KEYS}


def shortfalls(found: Mapping[str, float], record: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A line for each figure that is worse than recorded by more than its margin."""
    lines = []
    for metric in find_metrics(KEYS):
        recorded, margin = record[metric.key]["recorded"], record[metric.key]["margin"]
        worse_by = (recorded - found[metric.key]) * (1 if metric.better == "higher" else -1)
        if not worse_by <= margin:
            lines.append(
                f"{metric.heading} is {found[metric.key]:.3f}; {recorded:.3f} was recorded, margin {margin:.3f}"
            )
    return lines


def _table(vocoder: Vocoder, griffin_lim: int | None) -> dict[str, dict[str, float]]:
    runs = [figures(vocoder, seed=seed, griffin_lim=griffin_lim) for seed in SEEDS]
    return {
        key: {
            "recorded": round(runs[0][key], 4),
            "margin": round(MARGIN * statistics.stdev(run[key] for run in runs), 4),
        }
        for key in KEYS
    }


def _record(model: str) -> dict[str, object]:
    vocoder = Vocoder.from_pretrained(model)
    return {"weights": weights_hash(model), "network": _table(vocoder, 0), "default": _table(vocoder, None)}


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    models = {model: _record(model) for model in shipped_models()}
    RECORD.write_text(json.dumps({"command": "python -m tests.quality", "models": models}, indent=1) + "\n")
    print(RECORD.read_text(), file=sys.stderr)


if __name__ == "__main__":
    main()
