"""What is compared: the runs of a store, or some of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.plots import ExperimentResults
from grokprobe.plots.labels import scale_label
from grokprobe.report.evidence import Run
from grokprobe.report.verdicts import list_runs
from grokprobe.training.tables import parse_init_scales, parse_seeds

#: Between a store, an experiment and the choices of runs.
SEPARATOR: Final = "::"
_FORM: Final = f"STORE[{SEPARATOR}EXPERIMENT][{SEPARATOR}seed=0-4][{SEPARATOR}init_scale=0.1,1]"
#: An epoch that no run reaches.
_NEVER: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two sides of a comparison."""

    #: The store, a path or a URL.
    store: str
    #: The experiment; empty for all.
    experiment: str = ""
    #: Seeds; None for all.
    seeds: tuple[int, ...] | None = None
    #: Values of init_scale; None for all.
    init_scales: tuple[float, ...] | None = None

    def choose_runs(self, results: ExperimentResults) -> tuple[Run, ...]:
        """Returns the runs of an experiment that this side has.

        Raises:
            UsageError: there is none.
        """
        runs = list_runs(results)
        chosen = tuple(
            (seed, scale)
            for seed, scale in runs
            if (self.seeds is None or seed in self.seeds) and (self.init_scales is None or scale in self.init_scales)
        )
        if not chosen:
            seeds = ", ".join(map(str, sorted({seed for seed, _ in runs}))) or "none"
            scales = ", ".join(map(scale_label, sorted({scale for _, scale in runs}))) or "none"
            raise UsageError(
                f"{self}: {results.name} has no such run; its seeds are {seeds}, its values of init_scale {scales}"
            )
        return chosen

    def restrict(self, results: ExperimentResults) -> ExperimentResults:
        """Returns the runs of this side."""
        return results.until(dict.fromkeys(self.choose_runs(results), _NEVER))

    def __str__(self) -> str:
        parts = [self.store, self.experiment]
        if self.seeds is not None:
            parts.append(f"{names.SEED}={','.join(map(str, self.seeds))}")
        if self.init_scales is not None:
            parts.append(f"{names.INIT_SCALE}={','.join(map(scale_label, self.init_scales))}")
        return SEPARATOR.join(part for part in parts if part)


def parse_side(text: str, other_store: str = "") -> Side:
    """Returns what ``STORE[::EXPERIMENT][::seed=0-4][::init_scale=0.1,1]`` stands for.

    Args:
        text: without a store, as in ``::init_scale=10``, it is ``other_store``.
        other_store: of the other side.

    Raises:
        UsageError: it says something else.

    Example:
        >>> side = parse_side("r.zarr::ising::seed=0-2")
        >>> assert (side.store, side.experiment, side.seeds) == ("r.zarr", "ising", (0, 1, 2))
        >>> assert parse_side("::init_scale=10", "r.zarr").store == "r.zarr"
    """
    if Path(text).exists():
        return Side(store=text)
    store, *parts = text.split(SEPARATOR)
    if not (store or other_store):
        raise UsageError(f"{text!r} names no store; expected {_FORM}")
    experiments = [part for part in parts if "=" not in part]
    choices = dict(part.split("=", 1) for part in parts if "=" in part)
    unknown = set(choices) - {names.SEED, names.INIT_SCALE}
    if len(experiments) > 1 or unknown or len(choices) + len(experiments) < len(parts):
        raise UsageError(f"{text!r} cannot be read; expected {_FORM}")
    return Side(
        store=store or other_store,
        experiment=experiments[0] if experiments else "",
        seeds=parse_seeds(choices[names.SEED]) if names.SEED in choices else None,
        init_scales=parse_init_scales(choices[names.INIT_SCALE]) if names.INIT_SCALE in choices else None,
    )
