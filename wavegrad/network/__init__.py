"""The network: how a noisy waveform, a mel spectrogram and a noise level become an estimate of the noise."""

from wavegrad.network.config import WaveGradConfig
from wavegrad.network.presets import NETWORKS, network_preset
from wavegrad.network.wavegrad import WaveGrad

__all__ = ["NETWORKS", "WaveGrad", "WaveGradConfig", "network_preset"]
