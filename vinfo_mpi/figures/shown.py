"""Axes that a notebook shows as the picture that they are part of."""

from __future__ import annotations

import io

from matplotlib.axes import Axes

DPI = 150  # of a screen


class Shown(Axes):
    """Axes; where they are the last value of a cell, IPython shows their whole figure."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.figure.canvas.print_figure(picture, format="png", dpi=DPI)
        return picture.getvalue()
