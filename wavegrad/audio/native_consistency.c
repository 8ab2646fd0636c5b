/* The projection of `native_consistency.py`, one frame of a spectrogram at a time. Complex numbers are pairs of floats;
rows are contiguous. The weights of a band are filled up with zeros to a multiple of LANES. */

#include <math.h>
#include <stdint.h>

static inline float at_least(float x, float low) { return x < low ? low : x; }

static inline float at_most(float x, float high) { return x > high ? high : x; }

/* `out` has the phases of present + momentum (present - previous), and the magnitudes of `present` times their gains.

Band m hears `widths[m]` bins from `starts[m]` on, each as `heard` says; its weights follow those of band m - 1. The
ratio of a band is that of its value within [low, high] to its value. The gain of bin k is `unheard[k]`, and of band
`bands[k]` - 1 `falling[k]` times its ratio, and of band `bands[k]` `rising[k]` times; it is a gain of powers if `power`
is 2, else of magnitudes. Magnitudes are multiplied by `scale` before they are heard. */
void give_mel(const float *restrict present, const float *restrict previous, const float *restrict low,
              const float *restrict high, float *restrict out, int64_t n_frames, int64_t n_freqs, int64_t n_mels,
              const int32_t *restrict starts, const int32_t *restrict widths, const float *restrict heard,
              const int32_t *restrict bands, const float *restrict falling, const float *restrict rising,
              const float *restrict unheard, float momentum, float scale, int power, float tiny, int n_threads)
{
#pragma omp parallel for num_threads(n_threads)
    for (int64_t frame = 0; frame < n_frames; frame++) {
        const float *now = present + 2 * n_freqs * frame, *before = previous + 2 * n_freqs * frame;
        const float *least = low + n_mels * frame, *most = high + n_mels * frame;
        float *to = out + 2 * n_freqs * frame;
        float x[n_freqs + LANES], ratios[n_mels + 1]; /* The last band may reach beyond the last bin. */

#pragma omp simd
        for (int64_t k = 0; k < n_freqs; k++) {
            float square = now[2 * k] * now[2 * k] + now[2 * k + 1] * now[2 * k + 1];
            x[k] = power == 2 ? scale * scale * square : scale * sqrtf(square);
        }
        for (int64_t k = n_freqs; k < n_freqs + LANES; k++)
            x[k] = 0;

        const float *weights = heard;
        ratios[0] = 0; /* There is no band before the first. */
        for (int64_t m = 0; m < n_mels; m++) {
            const float *bins = x + starts[m];
            float band = 0;
#pragma omp simd reduction(+ : band)
            for (int64_t k = 0; k < widths[m]; k++)
                band += weights[k] * bins[k];
            weights += widths[m];
            ratios[m + 1] = at_most(at_least(band, least[m]), most[m]) / at_least(band, tiny);
        }

#pragma omp simd
        for (int64_t k = 0; k < n_freqs; k++) {
            float re = now[2 * k] + momentum * (now[2 * k] - before[2 * k]);
            float im = now[2 * k + 1] + momentum * (now[2 * k + 1] - before[2 * k + 1]);
            float magnitude = sqrtf(now[2 * k] * now[2 * k] + now[2 * k + 1] * now[2 * k + 1]);
            float gain = unheard[k] + falling[k] * ratios[bands[k]] + rising[k] * ratios[bands[k] + 1];
            float wanted = magnitude * (power == 2 ? sqrtf(gain) : gain);
            float factor = wanted / at_least(sqrtf(re * re + im * im), tiny);
            to[2 * k] = factor * re;
            to[2 * k + 1] = factor * im;
        }
    }
}
