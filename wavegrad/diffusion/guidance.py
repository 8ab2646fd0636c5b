"""Classifier-free guidance: stressing what the condition adds."""

from wavegrad.shapes import NoiseLevel, PredictNoise, Waveform


def guided(predict_conditional: PredictNoise, predict_unconditional: PredictNoise, weight: float) -> PredictNoise:
    """(1 + w) epsilon(y, x) - w epsilon(y) (Ho and Salimans 2022, eq. 6).

    Args:
        predict_conditional: epsilon_theta with its condition bound.
        predict_unconditional: epsilon_theta with the condition that stands for none.
        weight: w; 0 gives `predict_conditional` itself, so that the plain model costs one network call and keeps its
            bits. Above 0 stresses the condition; -1 ignores it.
    """
    if weight == 0:
        return predict_conditional

    def predict_noise(y: Waveform, noise_level: NoiseLevel) -> Waveform:
        return guide(predict_conditional(y, noise_level), predict_unconditional(y, noise_level), weight)

    return predict_noise


def guide(conditional: Waveform, unconditional: Waveform, weight: float) -> Waveform:
    """(1 + w) epsilon(y, x) - w epsilon(y) (Ho and Salimans 2022, eq. 6)."""
    return (1 + weight) * conditional - weight * unconditional
