"""Audio that a metric cannot judge gets no figure."""

import pytest
import torch

from wavegrad.errors import AudioError
from wavegrad.evaluation import pesq_wb, stoi


def test_stoi_of_too_little_sound_is_refused():
    """The package returns 1e-5 with a warning, for a clip compared with itself: a mean over clips would not show it."""
    noise = torch.rand(24000, generator=torch.Generator().manual_seed(0)) - 0.5
    assert stoi(noise, noise, 24000) == pytest.approx(1, abs=1e-6)
    for clip in (noise[:6000], torch.cat((noise[:6000], 1e-6 * noise))):
        with pytest.raises(AudioError, match=r"STOI: less than 0\.4 s"):
            stoi(clip, clip, 24000)
    with pytest.raises(AudioError, match="the reference is silent"):
        stoi(torch.zeros(24000), noise, 24000)


def test_pesq_says_why_in_plain_words():
    with pytest.raises(AudioError, match=r"^PESQ: Buffer needs to be at least 1/4 of a second long$"):
        pesq_wb(torch.ones(2400), torch.ones(2400), 24000)
