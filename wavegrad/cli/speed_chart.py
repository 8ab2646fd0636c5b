"""A bar chart as SVG, which every browser shows and no library is needed for."""

from html import escape

WIDTH, LABEL, ROW, TOP = 900, 400, 26, 48
"""Pixels: the picture, the column of names, the height of a bar with its gap, the title."""


def speed_chart(title: str, bars: list[tuple[str, float]]) -> str:
    """Horizontal bars with their values; a line marks 1, real time, where it is in sight.

    Args:
        title: above the bars.
        bars: names and real-time factors, from top to bottom.
    """
    longest = max(value for _, value in bars)
    scale = (WIDTH - LABEL - 80) / longest
    height = TOP + ROW * len(bars) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="26" font-size="16">{escape(title)}</text>',
    ]
    for i, (name, value) in enumerate(bars):
        y, length = TOP + ROW * i, value * scale
        colour = "#2b6cb0" if name.endswith("fast") else "#a0aec0"
        parts += [
            f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{ROW - 6}" fill="{colour}"/>',
            f'<text x="{LABEL + length + 6:.1f}" y="{y + 15}">{value:.3g}</text>',
        ]
    if longest >= 1:
        x = LABEL + scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 8}" stroke="#c53030"/>')
    return "\n".join([*parts, "</svg>\n"])
