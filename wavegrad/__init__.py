"""WaveGrad: mel spectrogram in, speech out, by refining noise (Chen et al. 2021, arXiv 2009.00713)."""

__version__ = "0.1.0"
