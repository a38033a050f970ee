"""The Python code that gives the numbers and the figure of a view."""

from collections.abc import Mapping

from grokprobe.dashboard.opened import OpenedStore
from grokprobe.dashboard.view import View
from grokprobe.plots import list_figures
from grokprobe.report.evidence import Run
from grokprobe.store import find_url


def write_snippet(store: OpenedStore, view: View, epochs: Mapping[Run, int]) -> str:
    """Returns code that opens the store, reads the numbers of the table, and draws the figure.

    Args:
        store: what was opened.
        view: what is shown.
        epochs: where each run is shown, one or two of them.
    """
    lines = [
        "import grokprobe",
        "from grokprobe.plots import list_figures, read_experiment",
        "",
        f"tree = grokprobe.open_results({str(find_url(store.path) or store.path)!r})",
        "",
        "# the numbers of the table, each at the last checkpoint until the epoch of its run",
        "runs = {",
        *(_run_line(name, run, epoch) for name, (run, epoch) in zip("AB", epochs.items(), strict=False)),
        "}",
        "places = [",
        *(f"    {place!r}," for place in _places(store, view)),
        "]",
        "numbers = {",
        "    name: {",
        '        place: tree[place].sel(seed=run["seed"], init_scale=run["init_scale"])',
        '        .sel(epoch=run["epoch"], method="ffill")',
        "        for place in places",
        "    }",
        "    for name, run in runs.items()",
        "}",
    ]
    return "\n".join([*lines, *_figure_lines(store, view, epochs), ""])


def _figure_lines(store: OpenedStore, view: View, epochs: Mapping[Run, int]) -> list[str]:
    if not view.figure:
        return []
    until = repr(view.epoch if view.shows_all else dict(epochs))
    lines = ["", "# the figure, as if the runs had ended there"]
    listed = "list_figures(results)"
    if view.figure not in list_figures(store.experiments[view.experiment].results).figures:  # a plugin's own
        lines += ["from grokprobe.plugins import PluginSelection, load_plugins", ""]
        listed = "list_figures(results, load_plugins(PluginSelection.from_environment()))"
    return [
        *lines,
        f"results = read_experiment(tree[{view.experiment!r}]).until({until})",
        f"figure = {listed}.figures[{view.figure!r}].draw()",
    ]


def _places(store: OpenedStore, view: View) -> list[str]:
    headlines = store.experiments[view.experiment].headlines
    return list(dict.fromkeys(f"{view.experiment}/{headline.path}/{headline.name}" for headline in headlines))


def _run_line(name: str, run: Run, epoch: int) -> str:
    return f'    "{name}": {{"seed": {run[0]}, "init_scale": {run[1]!r}, "epoch": {epoch}}},'
