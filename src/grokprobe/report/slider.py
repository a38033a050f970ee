"""The data behind the epoch slider of one page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.plots.labels import axis_label, coordinate_label, scale_label
from grokprobe.plots.results import ExperimentResults
from grokprobe.report.evidence import Run, iterate_headlines, read_curve
from grokprobe.report.packing import Blob
from grokprobe.report.panels import MAX_BYTES, pack_panel, plan_panels, thin_evenly
from grokprobe.report.regimes import describe_unit
from grokprobe.report.verdicts import list_runs

#: Runs that can be chosen; of more the first of each init_scale come first.
MAX_RUNS: Final = 60
#: Numbers of each curve and each row, over all runs; epochs are thinned evenly until they fit.
MAX_NUMBERS: Final = 20_000
#: Panels of one experiment.
MAX_PANELS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SliderData:
    """What the script of the page reads."""

    #: JSON: experiments, runs, panels, and where their numbers are.
    index: str
    #: The numbers, compressed, in base64.
    numbers: str
    #: Names of the experiments that have something to slide through.
    experiments: tuple[str, ...]
    #: What was left out to keep the page small.
    left_out: tuple[str, ...]


def build_slider(experiments: tuple[ExperimentResults, ...]) -> SliderData:
    """Returns the numbers of every epoch-dependent panel of every experiment."""
    blob = Blob()
    left_out: list[str] = []
    num_panels = sum(min(len(list(plan_panels(results))), MAX_PANELS) for results in experiments)
    budget = MAX_BYTES // max(num_panels, 1)
    packed = [_pack_experiment(results, blob, left_out, budget) for results in experiments]
    index = json.dumps([entry for entry in packed if entry["epochs"]], separators=(",", ":"), allow_nan=False)
    return SliderData(
        index=index,
        numbers=blob.encode(),
        experiments=tuple(entry["name"] for entry in packed if entry["epochs"]),
        left_out=tuple(left_out),
    )


def _pack_experiment(results: ExperimentResults, blob: Blob, left_out: list[str], budget: int) -> dict[str, Any]:
    runs = _choose_runs(list_runs(results))
    planned = list(plan_panels(results))
    panels = []
    for panel in planned[:MAX_PANELS]:
        try:
            packed = pack_panel(panel, results, runs, blob, budget)
        except Exception as error:  # noqa: BLE001 - whatever a stored variable does to a panel
            left_out.append(f"{results.name}: {panel.title}, which cannot be shown ({type(error).__name__}: {error})")
        else:
            panels += [packed] if packed else []
    left_out += [f"{results.name}: {panel.title}" for panel in planned[MAX_PANELS:]]
    left_out += [
        f"{results.name}: {panel['thinned']} epochs of {panel['title']}, evenly" for panel in panels if panel["thinned"]
    ]
    curves = _pack_curves(results, runs, blob)
    rows = _pack_rows(results, runs, blob)
    moved = sorted({epoch for panel in (*panels, *rows) for epoch in panel["epochs"]})
    epochs = moved or sorted({epoch for curve in curves for epoch in curve["epochs"]})
    return {
        "name": results.name,
        "unit": describe_unit(results),
        "runs": [{"label": f"init_scale {scale_label(scale)}, seed {seed}"} for seed, scale in runs],
        "second": _other_scale(runs),
        "epochs": epochs if len(runs) else [],
        "curves": curves,
        "panels": panels,
        "rows": rows,
    }


def _choose_runs(runs: list[Run]) -> list[Run]:
    """Returns at most :data:`MAX_RUNS` runs: the first seeds of all scales before further ones."""
    by_rank: dict[float, int] = {}
    ranked = []
    for run in runs:
        ranked.append((by_rank.setdefault(run[1], 0), run))
        by_rank[run[1]] += 1
    chosen = {run for _, run in sorted(ranked)[:MAX_RUNS]}
    return [run for run in runs if run in chosen]


def _other_scale(runs: list[Run]) -> int:
    """Returns the place of the run to compare the first with: the largest scale, of the same seed if there is one."""
    if not runs:
        return 0
    last = runs[-1][1]
    for place, run in enumerate(runs):
        if run == (runs[0][0], last):
            return place
    return len(runs) - 1


def _pack_curves(results: ExperimentResults, runs: list[Run], blob: Blob) -> list[dict[str, Any]]:
    history = results.history
    if history is None:
        return []
    curves = []
    for title, pair in (
        ("accuracy", (names.TRAIN_ACCURACY, names.TEST_ACCURACY)),
        ("loss", (names.TRAIN_LOSS, names.TEST_LOSS)),
    ):
        epochs = thin_evenly(history[names.EPOCH].to_numpy(), MAX_NUMBERS // max(len(runs), 1))
        arrays = [blob.add(_read_runs(history, variable, runs, (epochs, {})), "float32") for variable in pair]
        curves.append(
            {
                "title": title,
                "xLabel": coordinate_label(history, names.EPOCH),
                "yLabel": axis_label(history[pair[1]]).removeprefix("test "),
                "log": title == "loss",
                "definition": " ".join(str(history[name].attrs.get("description", "")) for name in pair),
                "epochs": epochs.tolist(),
                "arrays": arrays,
            }
        )
    return curves


def _pack_rows(results: ExperimentResults, runs: list[Run], blob: Blob) -> list[dict[str, Any]]:
    """Returns the rows of the table of values: headline numbers that have epochs."""
    if not runs:
        return []
    rows = []
    for evidence in iterate_headlines(results, runs[0]):
        path, _, rest = evidence.place.rpartition("/")
        name, _, layer = rest.partition("[")
        group = results.groups[path]
        if names.EPOCH not in group[name].dims:
            continue
        select = {names.LAYER: layer.rstrip("]")} if layer else {}
        epochs = thin_evenly(group[names.EPOCH].to_numpy(), MAX_NUMBERS // len(runs))
        array = blob.add(_read_runs(group, name, runs, (epochs, select)), "float32")
        units = f" ({evidence.units})" if evidence.units else ""
        rows.append(
            {
                "label": f"{evidence.place}{units}",
                "definition": evidence.definition,
                "epochs": epochs.tolist(),
                "arrays": [array],
            }
        )
    return rows


def _read_runs(
    group: xr.Dataset, variable: str, runs: list[Run], at: tuple[np.ndarray, Mapping[str, Any]]
) -> np.ndarray:
    """Returns a variable over runs and epochs; NaN where it is undefined or was not measured."""
    epochs, select = at
    found = np.full((len(runs), len(epochs)), np.nan)
    for place, run in enumerate(runs):
        known, values = read_curve(group, variable, run, select)
        is_kept = np.isin(known, epochs)
        found[place, np.searchsorted(epochs, known[is_kept])] = values[is_kept]
    return found
