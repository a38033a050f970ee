"""What is shown: the choices of a reader, in the address of the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from grokprobe.dashboard.opened import OpenedExperiment, OpenedStore
from grokprobe.report.evidence import Run

#: The figure that is shown first, where there is one.
_FIRST_FIGURE: Final = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that a reader can choose."""

    #: Name of the experiment.
    experiment: str
    #: Seed and init_scale of the first run.
    a: Run
    #: The same of the second; equal to the first for one run alone.
    b: Run
    #: Where the slider is; -1 where nothing has an epoch.
    epoch: int
    #: Name of the figure, as ``grokprobe plot`` calls it; empty where there is none.
    figure: str
    #: Whether the second run is shown where its test loss equals that of the first.
    is_matched: bool = False
    #: Whether the figure shows every run, or the two alone.
    shows_all: bool = False

    def to_query(self) -> str:
        """Returns the view as the query of an address."""
        fields = {
            "experiment": self.experiment,
            "seed": self.a[0],
            "init_scale": repr(self.a[1]),
            "other_seed": self.b[0],
            "other_init_scale": repr(self.b[1]),
            "epoch": self.epoch,
            "figure": self.figure,
            "matched": int(self.is_matched),
            "all": int(self.shows_all),
        }
        return urlencode(fields)


def parse_view(query: Mapping[str, str], store: OpenedStore) -> tuple[View, tuple[str, ...]]:
    """Returns the view that a query asks for, and what of it the store does not have.

    What the query does not say, or says wrongly, is as at first: the first run beside the one of the same seed with the
    largest init_scale, both at the last epoch.
    """
    faults: list[str] = []
    name = next(iter(store.experiments))
    if "experiment" in query:
        if query["experiment"] in store.experiments:
            name = query["experiment"]
        else:
            faults.append(f"experiment={query['experiment']} is not in this store")
    opened = store.experiments[name]
    view = _first_view(name, opened)
    view = replace(
        view,
        a=_parse_run(query, ("seed", "init_scale"), view.a, opened, faults),
        b=_parse_run(query, ("other_seed", "other_init_scale"), view.b, opened, faults),
        is_matched=query.get("matched") == "1",
        shows_all=query.get("all") == "1",
    )
    if "epoch" in query:
        view = replace(view, epoch=_parse_epoch(query["epoch"], view.epoch, opened, faults))
    if query.get("figure"):
        if query["figure"] in opened.figures.figures:
            view = replace(view, figure=query["figure"])
        else:
            faults.append(f"figure={query['figure']} is not among those of this store")
    return view, tuple(faults)


def _first_view(name: str, opened: OpenedExperiment) -> View:
    figures = list(opened.figures.figures)
    a = opened.runs[0] if opened.runs else (0, 1.0)
    return View(
        experiment=name,
        a=a,
        b=_other_run(opened.runs, a),
        epoch=opened.epochs[-1] if opened.epochs else -1,
        figure=_FIRST_FIGURE if _FIRST_FIGURE in figures else next(iter(figures), ""),
    )


def _other_run(runs: Sequence[Run], a: Run) -> Run:
    same_seed = [run for run in runs if run[0] == a[0]]
    return max(same_seed or [a], key=lambda run: run[1])


def _parse_run(
    query: Mapping[str, str], keys: tuple[str, str], default: Run, opened: OpenedExperiment, faults: list[str]
) -> Run:
    columns = list(zip(*opened.runs, strict=True)) or [(default[0],), (default[1],)]
    found = list(default)
    for place, key in enumerate(keys):
        if key in query:
            known = {number: value for value in columns[place] for number in _numbers(query[key]) if number == value}
            if known:
                found[place] = next(iter(known.values()))
            else:
                faults.append(f"{key}={query[key]} is not in this experiment")
    return int(found[0]), float(found[1])


def _parse_epoch(text: str, default: int, opened: OpenedExperiment, faults: list[str]) -> int:
    earlier = [epoch for number in _numbers(text) for epoch in opened.epochs if epoch <= number]
    chosen = earlier[-1] if earlier else default
    if [chosen] != list(_numbers(text)):
        faults.append(f"nothing was measured at epoch={text}; {chosen} is shown")
    return chosen


def _numbers(text: str) -> Iterator[float]:
    """Yields the number that a text is, if it is one."""
    try:
        yield float(text)
    except ValueError:
        return
