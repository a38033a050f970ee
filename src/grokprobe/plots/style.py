"""The packaged style, figures that have it, and figures as bytes that depend on what is drawn alone."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import matplotlib as mpl
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokprobe.atomic import write_atomically
from grokprobe.errors import reporting_write_errors

#: The style file; ``matplotlib.style.use("grokprobe.plots.grokprobe")`` finds it too.
STYLE: Final = Path(__file__).with_name("grokprobe.mplstyle")
#: Width and height of one panel of several, in inches.
PANEL: Final = (3.4, 2.5)
#: The same of a panel by itself.
SINGLE_PANEL: Final = (4.4, 3.1)

ImageFormat = Literal["svg", "png"]

#: What matplotlib would write beside the picture: the date, and its own version.
_METADATA: Final[dict[ImageFormat, dict[str, str | None]]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


class ShownFigure(Figure):
    """A figure that a notebook shows, also where matplotlib.pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        return render_figure(self, "png")


@contextmanager
def using_style() -> Iterator[None]:
    """Draws in the packaged style, whatever the user's own settings are."""
    with mpl.rc_context():
        style.use(["default", STYLE])
        yield


def create_axes() -> Axes:
    """Returns the axes of a new figure with one panel; no window is opened and no global state is touched."""
    with using_style():
        return ShownFigure().add_subplot()


def create_panels(num_rows: int, num_columns: int) -> tuple[Figure, list[Axes]]:
    """Returns a new figure and its panels row by row.

    Args:
        num_rows: rows of panels.
        num_columns: columns of panels.
    """
    panel = SINGLE_PANEL if num_rows * num_columns == 1 else PANEL
    with using_style():
        figure = ShownFigure(figsize=(panel[0] * num_columns + 0.9, panel[1] * num_rows))
        axes = figure.subplots(num_rows, num_columns, squeeze=False)
    return figure, list(axes.ravel())


def render_figure(figure: Figure, image_format: ImageFormat = "svg", *, outlines: bool = True) -> bytes:
    """Returns a figure as a file's content; equal figures give equal bytes with one version of matplotlib.

    Args:
        figure: what to draw.
        image_format: ``svg`` or ``png``.
        outlines: in SVG, whether letters are outlines, which look alike everywhere, or text in the reader's own font,
            which is half as large.
    """
    buffer = io.BytesIO()
    with using_style():
        mpl.rcParams["svg.fonttype"] = "path" if outlines else "none"
        figure.savefig(buffer, format=image_format, metadata=_METADATA[image_format])
    return buffer.getvalue()


def write_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as the SVG or PNG that the suffix of ``path`` says, whole or not at all.

    Raises:
        StoreWriteError: it cannot be written.
    """
    content = render_figure(figure, "png" if path.suffix == ".png" else "svg")
    with reporting_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
