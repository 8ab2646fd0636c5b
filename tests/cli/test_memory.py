"""`wavegrad vocode` does not hold a long file of mel in memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
PROBE = """
import json, resource, sys
from pathlib import Path
import torch
from wavegrad.audio.mel_file import read_mel
from wavegrad.cli.chunks import Chunks
from wavegrad.cli.files import Job
from wavegrad.cli.long_files import seconds_of, vocode_long
from wavegrad.vocoder import Vocoder

def peak_mb():  # on Linux, ru_maxrss begins with the peak of the process that started this one
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

def stream(mel):
    for chunk in Chunks().cut(mel):
        seen.append(chunk.shape[1])
        yield torch.zeros(1)

mel, model = Path(sys.argv[1]), sys.argv[2]
vocoder, seen = Vocoder.from_pretrained(model), []
small = torch.zeros(128, 64).pow(2)  # PyTorch's own start
before = peak_mb()
length = seconds_of(mel, vocoder)
vocode_long(Job(mel, mel.with_suffix(".wav")), vocoder, stream, "PCM_16", lambda seconds: None)
streamed = peak_mb()
read_mel(mel, 128)
print(json.dumps([length, sum(seen), max(seen), streamed - before, peak_mb() - before]))
"""


def test_a_long_mel_is_never_in_memory(model, tmp_path):
    """Of 120 MB less than 40 are, from the length of the file to its last frame; `read_mel` shows what would be."""
    n_frames = 120 * 2**20 // (128 * 4)
    with (tmp_path / "long.npy").open("wb") as file:  # a hole: silence at 0, no space on the disk
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (128, n_frames)})
        file.truncate(file.tell() + 128 * n_frames * 4)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", PROBE, str(tmp_path / "long.npy"), model]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    length, n_seen, most_at_once, streamed_mb, whole_mb = json.loads(said)
    assert (length, n_seen, most_at_once) == (n_frames / 80, n_frames, 64)
    assert streamed_mb < 40
    assert whole_mb > 100
