"""Figures of the page, as pictures that need no other file."""

import base64
from dataclasses import dataclass
from typing import Final

from matplotlib.figure import Figure

from grokprobe import names
from grokprobe.plots.catalogue import Catalogue, list_figures
from grokprobe.plots.families import PlannedFigure
from grokprobe.plots.results import ExperimentResults
from grokprobe.plots.style import ImageFormat, render_figure
from grokprobe.plugins import Plugins

#: A picture in SVG that is larger becomes a PNG.
MAX_SVG_BYTES: Final = 150_000
#: All pictures of one page together; what is left out is said.
MAX_TOTAL_BYTES: Final = 2_000_000
_TYPES: Final[dict[ImageFormat, str]] = {"svg": "image/svg+xml", "png": "image/png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One figure of the page."""

    #: Name of the figure, as ``grokprobe plot`` calls it.
    name: str
    #: What it shows.
    caption: str
    #: The picture as a data URI.
    source: str
    #: Its size in CSS pixels, 96 an inch.
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """The figures of one experiment."""

    #: In the order of the families.
    pictures: tuple[Picture, ...]
    #: Figure → why it is not here.
    left_out: dict[str, str]


def draw_gallery(results: ExperimentResults, plugins: Plugins | None = None, budget: int = MAX_TOTAL_BYTES) -> Gallery:
    """Draws the figures of all families, those that plugins bring, and one of every measure that has none by then.

    Args:
        results: of one experiment.
        plugins: whose own figures are drawn too.
        budget: bytes for the pictures.
    """
    catalogue = list_figures(results, plugins)
    left_out = {name: reason for name, reason in catalogue.not_applicable.items() if "/" not in name}
    own = [figure for figure in catalogue.figures.values() if "/" not in figure.name]
    drawn = _draw_all(own, left_out)
    drawn += _draw_all(_of_other_measures(results, catalogue, drawn), left_out)
    pictures: list[Picture] = []
    for picture in drawn:
        budget -= len(picture.source)
        if budget < 0:
            left_out[picture.name] = "left out to keep the page small; grokprobe plot draws it"
            continue
        pictures.append(picture)
    return Gallery(pictures=tuple(pictures), left_out=left_out)


def _draw_all(figures: list[PlannedFigure], left_out: dict[str, str]) -> list[Picture]:
    """Returns the pictures of figures; one that cannot be drawn is left out, with the reason."""
    pictures = []
    for figure in figures:
        try:
            pictures.append(draw_picture(figure))
        except Exception as error:  # noqa: BLE001 - whatever a stored variable does to a drawing function
            left_out[figure.name] = f"could not be drawn: {type(error).__name__}: {error}"
    return pictures


def _of_other_measures(results: ExperimentResults, catalogue: Catalogue, drawn: list[Picture]) -> list[PlannedFigure]:
    """Returns the figure of the first headline variable, or else of the first, of every group without a picture."""
    known = {picture.name.rpartition(":")[2].partition(".")[2].partition(".")[0] for picture in drawn}
    found = []
    for path, group in results.groups.items():
        if path in (names.HISTORY, names.SUMMARY) or path.partition("/")[2] in known:
            continue
        variables = [str(name) for name in group.data_vars if f"{path}/{name}" in catalogue.figures]
        ranked = sorted(variables, key=lambda name: ("headline" not in group[name].attrs, name))
        found += [catalogue.figures[f"{path}/{name}"] for name in ranked[:1]]
    return found


def draw_picture(planned: PlannedFigure) -> Picture:
    """Draws one figure as a picture that needs no other file."""
    figure = planned.draw()
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(name=planned.name, caption=planned.caption, source=_encode(figure), width=width, height=height)


def _encode(figure: Figure) -> str:
    image_format: ImageFormat = "svg"
    content = render_figure(figure, image_format, outlines=False)
    if len(content) > MAX_SVG_BYTES:
        image_format = "png"
        content = render_figure(figure, image_format)
    return f"data:{_TYPES[image_format]};base64,{base64.b64encode(content).decode('ascii')}"
