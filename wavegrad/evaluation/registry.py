"""All metrics, in the order of the tables."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from wavegrad.errors import ConfigError, unknown
from wavegrad.evaluation.distillmos import DISTILLMOS
from wavegrad.evaluation.dnsmos import DNSMOS
from wavegrad.evaluation.estoi import ESTOI
from wavegrad.evaluation.f0_rmse import F0_RMSE
from wavegrad.evaluation.ffe import FFE
from wavegrad.evaluation.log_mel import LOG_MEL
from wavegrad.evaluation.lsd import LSD
from wavegrad.evaluation.mcd import MCD
from wavegrad.evaluation.mcd_dtw import MCD_DTW
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.mrstft import MRSTFT
from wavegrad.evaluation.periodicity import PERIODICITY
from wavegrad.evaluation.pesq_wb import PESQ_WB
from wavegrad.evaluation.silence import SILENCE
from wavegrad.evaluation.speaker_similarity import SPEAKER_SIMILARITY
from wavegrad.evaluation.stoi import STOI
from wavegrad.evaluation.visqol import VISQOL
from wavegrad.evaluation.vuv_f1 import VUV_F1
from wavegrad.evaluation.wer import WER

_SPECTRA = (LOG_MEL, MRSTFT, LSD, MCD, MCD_DTW, SILENCE)
_PITCH = (F0_RMSE, FFE, VUV_F1, PERIODICITY)
_LISTENERS = (PESQ_WB, STOI, ESTOI, VISQOL)
_NETWORKS = (DNSMOS, DISTILLMOS, SPEAKER_SIMILARITY, WER)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {metric.key: metric for metric in (*_SPECTRA, *_PITCH, *_LISTENERS, *_NETWORKS)}
)
"""By key. A metric whose packages are not installed is here too: see `Metric.missing`."""


def find_metrics(keys: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of these names, in the order of `keys`.

    Raises:
        ConfigError: a name that no metric has.
    """
    chosen = []
    for key in keys:
        if key not in METRICS:
            raise ConfigError(unknown("metric", key, METRICS))
        chosen.append(METRICS[key])
    return tuple(chosen)
