"""Small drawings as SVG path data. Coordinates are whole units of the view box that the templates declare."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 236, 40


def line(series: Sequence[float], width: int = WIDTH, height: int = HEIGHT) -> str:
    """A line through the values, the largest (at least 1) at the top."""
    top, step = max(1.0, *series), width / (len(series) - 1)
    points = (f"{i * step:.1f} {height - 2 - value / top * (height - 4):.1f}" for i, value in enumerate(series))
    return "M" + "L".join(points)


def area(series: Sequence[float], width: int = WIDTH, height: int = HEIGHT) -> str:
    """The area under the line."""
    return f"{line(series, width, height)}L{width} {height}L0 {height}Z"


def bars(values: Sequence[float], width: int, height: int, gap: int = 2) -> str:
    """One bar a value, side by side, the largest as high as the box; a value above zero is at least 2 units high."""
    top, step = max(1.0, *values), width / len(values)
    shapes = []
    for i, value in enumerate(values):
        if value > 0:
            tall = max(2.0, value / top * height)
            shapes.append(f"M{i * step:.1f} {height}v-{tall:.1f}h{step - gap:.1f}v{tall:.1f}z")
    return "".join(shapes)
