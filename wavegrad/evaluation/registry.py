"""All metrics, in the order of the tables."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from wavegrad.errors import ConfigError, unknown
from wavegrad.evaluation.log_mel import LOG_MEL
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pesq_wb import PESQ_WB
from wavegrad.evaluation.silence import SILENCE
from wavegrad.evaluation.stoi import STOI

METRICS: Mapping[str, Metric] = MappingProxyType({metric.key: metric for metric in (LOG_MEL, PESQ_WB, STOI, SILENCE)})
"""By key. A metric whose packages are missing is here too: see `Metric.missing`."""


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
