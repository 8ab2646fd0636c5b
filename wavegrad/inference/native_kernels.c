/* The kernels of `native.py`: each does in one pass over the memory what PyTorch does in several.

All sums are of floats, and rounded once, at the end. Rows are contiguous; a row is a position. */

/* out = LeakyReLU(scale x + shift) mask. A row of `film` is scale, then shift; `mask` has one value for each row, or is
NULL. */
void modulate(const value *restrict x, const value *restrict film, const value *restrict mask, value *restrict out,
              int64_t n_rows, int64_t n_channels, float slope, int n_threads)
{
#pragma omp parallel for num_threads(n_threads)
    for (int64_t row = 0; row < n_rows; row++) {
        const value *u = x + row * n_channels, *scale = film + 2 * row * n_channels, *shift = scale + n_channels;
        value *to = out + row * n_channels;
        float inside = mask ? wide(mask[row]) : 1.0f;
        for (int64_t i = 0; i < n_channels; i++) {
            float y = wide(scale[i]) * wide(u[i]) + wide(shift[i]);
            to[i] = narrow((y > 0 ? y : slope * y) * inside);
        }
    }
}

static int64_t rounded_down(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* `upsampled_conv.sum_phases`. A row of `taps` is the left, the middle and the right tap of one of `n_items` times
`n_time` positions; `out` has `factor` rows for each of them. */
void add_taps(const value *restrict taps, value *restrict out, int64_t n_items, int64_t n_time, int64_t n_channels,
              int64_t factor, int64_t dilation, int n_threads)
{
#pragma omp parallel for num_threads(n_threads)
    for (int64_t row = 0; row < n_items * n_time; row++)
        for (int64_t phase = 0; phase < factor; phase++) {
            int64_t left = rounded_down(phase - dilation, factor), right = rounded_down(phase + dilation, factor);
            int64_t position = row % n_time;
            const value *middle = taps + (3 * row + 1) * n_channels;
            const value *before = position + left >= 0 ? middle + (3 * left - 1) * n_channels : NULL;
            const value *after = position + right < n_time ? middle + (3 * right + 1) * n_channels : NULL;
            value *to = out + (row * factor + phase) * n_channels;
            for (int64_t i = 0; i < n_channels; i++) {
                float y = wide(middle[i]) + (before ? wide(before[i]) : 0.0f) + (after ? wide(after[i]) : 0.0f);
                to[i] = narrow(y);
            }
        }
}
