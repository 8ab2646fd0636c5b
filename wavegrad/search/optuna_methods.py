"""Optuna's samplers: TPE and CMA-ES."""

from collections.abc import Sequence
from typing import Literal

from wavegrad.errors import ConfigError
from wavegrad.search.space import SearchSpace
from wavegrad.search.trial import Method


def optuna_method(
    kind: Literal["tpe", "cma-es"], space: SearchSpace, start: Sequence[float], round_size: int, seed: int
) -> Method:
    """Ask for a round of candidates, tell all their scores in order, ask again: so the search is the same whoever works
    the round off, and in which order.

    Args:
        kind: "tpe": tree-structured Parzen estimator, multivariate (Bergstra et al. 2011; Falkner et al. 2018).
            "cma-es": covariance matrix adaptation (Hansen and Ostermeier 2001).
        space: the constraints; the samplers see N numbers in [0, 1].
        start: levels in dB; the first candidate.
        round_size: candidates of a round.
        seed: of the sampler.

    Raises:
        ConfigError: optuna, or for CMA-ES cmaes, is not installed.
    """
    try:
        import optuna

        if kind == "cma-es":
            import cmaes  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed; pip install 'wavegrad-vocoder[search]'") from error
    return _rounds(optuna, kind, space, start, round_size, seed)


def _rounds(optuna, kind, space, start, round_size, seed):  # type: ignore[no-untyped-def]
    import warnings

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = [f"u{n}" for n in range(1, space.n_steps + 1)]
    unit = dict(zip(names, space.encode(start), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = (
            optuna.samplers.TPESampler(seed=seed, multivariate=True)
            if kind == "tpe"
            else optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(unit)
    while True:
        asked = [study.ask() for _ in range(round_size)]
        points = [space.decode([trial.suggest_float(name, 0.0, 1.0) for name in names]) for trial in asked]
        trials = yield [space.schedule(point, kind) for point in points]
        for one, trial in zip(asked, trials, strict=True):
            if trial.stopped or trial.score == float("-inf"):
                study.tell(one, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(one, trial.score)
