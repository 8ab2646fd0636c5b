/* The way back through FiLM and the LeakyReLU behind it, for `native_film.py`; `modulate` in inference/native_kernels.c is
the way there. A row is a position; a row of `film` is scale, then shift. */

/* Of one row. `result` has the sign of the sum in front of the LeakyReLU. */
static inline void row_back(const value *restrict gradient, const value *restrict x, const value *restrict scale,
                            const value *restrict result, value *restrict of_x, value *restrict of_scale,
                            value *restrict of_shift, int64_t n_channels, float slope)
{
#pragma omp simd
    for (int64_t i = 0; i < n_channels; i++) {
        float given = wide(gradient[i]), less = slope * given, of_sum = wide(result[i]) > 0 ? given : less;
        of_x[i] = narrow(of_sum * wide(scale[i]));
        of_scale[i] = narrow(of_sum * wide(x[i]));
        of_shift[i] = narrow(of_sum);
    }
}

void modulate_back(const value *gradient, const value *x, const value *film, const value *result, value *of_x,
                   value *of_film, int64_t n_rows, int64_t n_channels, float slope, int n_threads)
{
#pragma omp parallel for num_threads(n_threads)
    for (int64_t row = 0; row < n_rows; row++) {
        int64_t at = row * n_channels;
        row_back(gradient + at, x + at, film + 2 * at, result + at, of_x + at, of_film + 2 * at,
                 of_film + 2 * at + n_channels, n_channels, slope);
    }
}
