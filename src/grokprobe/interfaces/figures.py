"""A figure that a plugin brings."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # listing what plugins provide needs neither
    import xarray as xr
    from matplotlib.axes import Axes


class ResultsFigure(Protocol):
    """A figure of results, drawn for every group that holds what it needs.

    Laws: does not modify the dataset; opens no window and leaves the settings of matplotlib alone; equal datasets give
    equal pictures; one seed, one epoch, and a dataset in which nothing is defined still give a picture.
    """

    #: Name on the command line: letters, digits, ``_`` and ``-``.
    name: str
    #: What it shows, in one sentence with its conventions.
    caption: str
    #: Names of variables that one group holds, at least one, and places ``GROUP/VARIABLE`` of further numbers of the
    #: experiment without dimensions of their own, such as ``history/test_accuracy`` or ``summary/test_epoch``.
    needs: tuple[str, ...]

    def draw(self, dataset: "xr.Dataset", *, ax: "Axes | None" = None) -> "Axes":
        """Draws the figure.

        Args:
            dataset: the group, with ``status`` where it is stored; and under their places the further numbers at the
                seeds, init_scales and epochs of the group, NaN where there is none.
            ax: where to draw; by default a new figure, which may have several panels.

        Returns:
            ``ax``, or a panel of the new figure.
        """
        ...
