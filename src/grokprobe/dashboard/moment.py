"""One run at one epoch: the one slice of the store that is read when the slider moves."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.dashboard.opened import OpenedExperiment
from grokprobe.derive.equal_loss import EqualLoss, find_equal_loss
from grokprobe.report.evidence import Run, read_curve
from grokprobe.report.panels import Read
from grokprobe.report.wording import say_number
from grokprobe.status import Status

#: Significant digits of numbers that are shown as text.
DIGITS: Final = 6
#: Curves along the run → its variables over the training and over the test split.
CURVES: Final = {
    "accuracy": (names.TRAIN_ACCURACY, names.TEST_ACCURACY),
    "loss": (names.TRAIN_LOSS, names.TEST_LOSS),
}
_WORDS: Final = {
    Status.MISSING: "not measured",
    Status.FAILED: "failed",
    Status.SKIPPED: "skipped",
    Status.REFUSED: "refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A value at an epoch, or why there is none."""

    #: The epoch: the last that the group has until the one that is asked for; None if there is none.
    epoch: int | None
    #: The numbers of a panel, or one number; None where there is none.
    values: np.ndarray | None = None
    #: Why there is none: ``not measured``, ``failed``, or what reading it raised; empty if there is.
    reason: str = ""

    def say(self, asked: int) -> str:
        """Returns one number in words, with its epoch where it is another than the one that was asked for."""
        text = self.reason if self.values is None else say_number(float(self.values), DIGITS)
        return text if self.epoch in (asked, None) else f"{text} (at {self.epoch})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One run at one epoch."""

    #: Seed and init_scale.
    run: Run
    #: The epoch that was asked for.
    epoch: int
    #: In the order of the experiment's panels.
    panels: tuple[Shown, ...]
    #: In the order of its headlines.
    numbers: tuple[Shown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """What one group says of one run at one epoch."""

    epoch: int | None
    #: Over ``epoch``, of length 1, and whatever the variables have.
    data: xr.Dataset | None = None
    reason: str = ""


def read_moment(opened: OpenedExperiment, run: Run, epoch: int) -> Moment:
    """Reads the panels and the headline numbers of a run at an epoch: of each group one slice, each variable once.

    Args:
        opened: the experiment.
        run: seed and init_scale.
        epoch: a group without a checkpoint there gives the last one before it.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for panel in opened.panels:
        wanted[panel.group] |= set(panel.variables)
    for headline in opened.headlines:
        wanted[headline.path].add(headline.name)
    slices = {path: _read(opened.results.groups[path], names_, run, epoch) for path, names_ in wanted.items()}
    panels = tuple(_show(slices[panel.group], panel.read) for panel in opened.panels)
    numbers = tuple(
        _show(slices[headline.path], lambda data, h=headline: data[h.name].sel(h.select).to_numpy())
        for headline in opened.headlines
    )
    return Moment(run=run, epoch=epoch, panels=panels, numbers=numbers)


def read_curves(opened: OpenedExperiment, run: Run, variables: Iterable[str]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the epochs of the history and some of its variables along one run; NaN where one is undefined."""
    history = opened.results.history
    if history is None:
        return np.empty(0, dtype=np.int64), [np.empty(0) for _ in variables]
    epochs = history[names.EPOCH].to_numpy()
    found = []
    for variable in variables:
        known, values = read_curve(history, variable, run)
        curve = np.full(len(epochs), np.nan)
        curve[np.searchsorted(epochs, known)] = values
        found.append(curve)
    return epochs, found


def match_loss(opened: OpenedExperiment, a: Run, b: Run, epoch: int) -> EqualLoss | None:
    """Returns where the second run has the test loss that the first has at an epoch; None where that is not known."""
    epochs, (of_a,) = read_curves(opened, a, [names.TEST_LOSS])
    of_b = read_curves(opened, b, [names.TEST_LOSS])[1][0]
    place = int(np.searchsorted(epochs, epoch, side="right")) - 1
    return find_equal_loss(epochs, of_b, float(of_a[place])) if place >= 0 else None


def _read(group: xr.Dataset, variables: set[str], run: Run, epoch: int) -> _Slice:
    at = int(np.searchsorted(group.indexes[names.EPOCH], epoch, side="right")) - 1
    is_there = run[0] in group.indexes[names.SEED] and run[1] in group.indexes[names.INIT_SCALE]
    if at < 0 or not is_there:
        return _Slice(epoch=None, reason=_WORDS[Status.MISSING])
    found = int(group.indexes[names.EPOCH][at])
    of_run = group.sel({names.SEED: run[0], names.INIT_SCALE: run[1]}).isel({names.EPOCH: [at]})
    try:
        status = Status(int(of_run[names.STATUS].to_numpy()[0]))
        if status is not Status.OK:
            return _Slice(epoch=found, reason=_WORDS[status])
        return _Slice(epoch=found, data=of_run[sorted(variables)].load())
    except Exception as error:  # noqa: BLE001 - whatever a damaged store does to who reads it
        return _Slice(epoch=found, reason=f"cannot be read ({type(error).__name__}: {error})")


def _show(found: _Slice, read: Read) -> Shown:
    if found.data is None:
        return Shown(epoch=found.epoch, reason=found.reason)
    try:
        return Shown(epoch=found.epoch, values=read(found.data)[0])
    except Exception as error:  # noqa: BLE001 - whatever a stored variable does to a panel
        return Shown(epoch=found.epoch, reason=f"cannot be shown ({type(error).__name__}: {error})")
