"""Colours of the panels on a light and on a dark page."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours that are read on one background; equal to those of ``dashboard.css``."""

    #: The background.
    paper: str
    #: Axes and their labels.
    ink: str
    #: Lines of the grid.
    grid: str
    #: The first run.
    a: str
    #: The second run.
    b: str


LIGHT: Final = Palette(paper="#ffffff", ink="#56565f", grid="#d7d7de", a="#0072b2", b="#b4490a")
DARK: Final = Palette(paper="#15161a", ink="#a9abb5", grid="#3a3d47", a="#5db4f0", b="#f5944e")
