"""Which figures of a family the results of an experiment give."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokprobe import names
from grokprobe.derive.run_values import collect_run_values
from grokprobe.plots.cosines import DIAGONAL_ERRORS, plot_cosines
from grokprobe.plots.epochs import plot_over_epochs
from grokprobe.plots.profiles import plot_profile
from grokprobe.plots.results import ExperimentResults
from grokprobe.plots.runs import plot_run_values
from grokprobe.plots.scales import plot_over_scales
from grokprobe.plots.training import plot_training
from grokprobe.plots.variable import Panel, draw_panels, draw_variable

#: Names of variables that the families look for, in whatever group has them.
COMPRESSIBILITY: Final = "compressibility"
ACCURACY: Final = "accuracy"
STEP_NORM: Final = "step_norm"
#: Numbers of a run that compressibility is drawn against: place of the variable → whether its axis is logarithmic.
_AGAINST: Final = {
    "summary/final_train_loss": True,
    "summary/final_test_loss": True,
    "probes/weights/norm": False,
    "probes/weights/gini": False,
    "probes/fourier/ipr_mean": False,
    "probes/energy/weighted_correlation": False,
    "probes/llc/llc": False,
    "probes/fisher/gini": False,
}
#: What is drawn of the steps of a path.
_STEPS: Final = (STEP_NORM, "step_norm_gradient", "straightness", "step_norm_stiff", "step_norm_sloppy")
#: Numbers of a run, by init_scale.
_OVER_SCALES: Final = ("train_epoch", "test_epoch", "grokking_time", "groks_margin", "final_test_accuracy")


class Plan(NamedTuple):
    """One figure of a family."""

    #: What tells it from others of the family; empty for the only one.
    label: str
    #: Draws it.
    draw: Callable[[], Figure]
    #: Place of the variable of which it is the default figure; empty where it is none.
    shows: str = ""


def plan_training(results: ExperimentResults) -> Iterator[Plan]:
    """Yields accuracy and loss over the epochs."""
    history = results.history
    if history is not None:
        panels = [
            Panel(title="", draw=lambda ax, legend, of=history, q=q: _training(results, of, q, ax, legend))
            for q in ("accuracy", "loss")
        ]
        yield Plan("", lambda: draw_panels(panels))


def _training(results: ExperimentResults, history: xr.Dataset, quantity: str, ax: Axes, legend: bool) -> Axes:
    chosen = "loss" if quantity == "loss" else "accuracy"
    return plot_training(history, quantity=chosen, ax=ax, summary=results.summary, legend=legend)


def plan_dynamics(results: ExperimentResults) -> Iterator[Plan]:
    """Yields accuracy, headline numbers of probes and compressibility over the epochs, in one figure."""
    history, compressors = results.history, results.holding(names.COMPRESSORS, COMPRESSIBILITY)
    features = [
        (path, name, select)
        for path, group in results.of_kind(names.PROBES).items()
        for name, select in (*_headline(group), *_feature_correlations(group))
    ]
    if history is None or not (features or compressors):
        return

    def over(path: str, name: str, select: dict[str, str]) -> Panel:
        title = ", ".join([path.partition("/")[2], *select.values()])
        return Panel(
            title=title,
            draw=lambda ax, legend: plot_over_epochs(
                results.groups[path], name, ax=ax, select=select, summary=results.summary, legend=legend
            ),
        )

    panels = [
        Panel(
            title="training dashed, test solid",
            draw=lambda ax, legend: _training(results, history, "accuracy", ax, legend),
        ),
        *(over(*feature) for feature in features[:6]),
        *(over(path, COMPRESSIBILITY, {}) for path, group in compressors.items() if not _has_own(group)),
    ]
    yield Plan("", lambda: draw_panels(panels))


def _headline(group: xr.Dataset) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the headline variables of a probe, one for each layer."""
    for name, variable in group.data_vars.items():
        own = [dim for dim in variable.dims if dim not in names.LEADING_DIMS]
        if "headline" in variable.attrs and names.EPOCH in variable.dims:
            if not own:
                yield str(name), {}
            elif own == [names.LAYER]:
                for layer in variable[names.LAYER].to_numpy().tolist():
                    yield str(name), {names.LAYER: layer}


def _feature_correlations(group: xr.Dataset) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the correlation of every layer with the first feature of the task."""
    name = "weighted_correlation"
    if name in group and set(group[name].dims[3:]) == {names.LAYER, names.FEATURE}:
        feature = group[names.FEATURE].to_numpy().tolist()[0]
        for layer in group[names.LAYER].to_numpy().tolist():
            yield name, {names.LAYER: layer, names.FEATURE: feature}


def _has_own(group: xr.Dataset) -> bool:
    return names.LAYER in group[COMPRESSIBILITY].dims


def plan_variables(kind: str, *variables: str) -> Callable[[ExperimentResults], Iterator[Plan]]:
    """Returns a plan with the default figure of the first of these variables in every group of a kind that has one."""

    def plan(results: ExperimentResults) -> Iterator[Plan]:
        for path, group in results.of_kind(kind).items():
            for name in variables:
                if name in group:
                    label = path.partition("/")[2]
                    suffix = f".{name}" if len(variables) > 1 else ""
                    yield Plan(
                        label=label + suffix,
                        draw=lambda g=group, n=name: draw_variable(g, n, summary=results.summary),
                        shows=f"{path}/{name}",
                    )

    return plan


def plan_correlation(results: ExperimentResults) -> Iterator[Plan]:
    """Yields every correlation by layer, one panel a feature."""
    for path, group in results.of_kind(names.PROBES).items():
        for name, variable in group.data_vars.items():
            if set(variable.dims) - set(names.LEADING_DIMS) == {names.LAYER, names.FEATURE} and "correl" in str(name):
                yield Plan(f"{path.partition('/')[2]}.{name}", lambda g=group, n=str(name): _by_layer(g, n))


def _by_layer(group: xr.Dataset, name: str) -> Figure:
    return draw_panels(
        [
            Panel(
                title=str(feature),
                draw=lambda ax, legend, f=feature: plot_profile(
                    group, name, names.LAYER, ax=ax, select={names.FEATURE: f}, legend=legend
                ),
            )
            for feature in group[names.FEATURE].to_numpy().tolist()
        ]
    )


def plan_against(results: ExperimentResults) -> Iterator[Plan]:
    """Yields compressibility against other numbers of the runs, for every compressor."""
    for path, group in results.holding(names.COMPRESSORS, COMPRESSIBILITY).items():
        if results.summary is not None and not _has_own(group):
            yield Plan(path.partition("/")[2], lambda p=path: _against(results, p))


def _against(results: ExperimentResults, path: str) -> Figure:
    tree = xr.DataTree.from_dict({f"/{place}": group for place, group in results.groups.items()})
    values = collect_run_values(tree)
    panels = [
        Panel(
            title="",
            draw=lambda ax, legend, n=name, log=log: plot_run_values(
                values, n, f"{path}/{COMPRESSIBILITY}", ax=ax, log_x=log, legend=legend
            ),
        )
        for place, log in _AGAINST.items()
        for name in map(str, values.data_vars)
        if name.partition("[")[0] == place
    ]
    return draw_panels(panels)


def plan_scales(results: ExperimentResults) -> Iterator[Plan]:
    """Yields the times and final values of the runs by init_scale."""
    summary = results.summary
    present = [name for name in _OVER_SCALES if summary is not None and name in summary]
    if summary is not None and present:
        panels = [
            Panel(title="", draw=lambda ax, _, n=name, of=summary: plot_over_scales(of, n, ax=ax)) for name in present
        ]
        yield Plan("", lambda: draw_panels(panels, num_columns=3))


def plan_steps(results: ExperimentResults) -> Iterator[Plan]:
    """Yields the steps of the path in every metric."""
    for path, group in results.holding(names.GEOMETRY, STEP_NORM).items():
        panels = [
            Panel(
                title="",
                draw=lambda ax, legend, g=group, n=name: plot_over_epochs(
                    g, n, ax=ax, summary=results.summary, legend=legend
                ),
            )
            for name in _STEPS
            if name in group
        ]
        yield Plan(path.partition("/")[2], lambda p=panels: draw_panels(p))


def plan_cosines(results: ExperimentResults) -> Iterator[Plan]:
    """Yields the cosines along the path in every metric."""
    for path, group in results.holding(names.GEOMETRY, *DIAGONAL_ERRORS).items():
        panels = [
            Panel(
                title="",
                draw=lambda ax, legend, g=group, n=name: plot_cosines(
                    g, n, ax=ax, summary=results.summary, legend=legend
                ),
            )
            for name in DIAGONAL_ERRORS
        ]
        yield Plan(path.partition("/")[2], lambda p=panels: draw_panels(p))
