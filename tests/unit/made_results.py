"""Results stores with made numbers: every group that figures and reports know, and one that they do not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.compressors.curve_variables import TOGETHER
from grokprobe.derive.paths import PATH_SPECS
from grokprobe.derive.summary import SUMMARY_SPECS, summarise
from grokprobe.geometry.trajectory_options import TrajectoryOptions
from grokprobe.geometry.trajectory_variables import trajectory_variables
from grokprobe.history import HISTORY_SPECS
from grokprobe.probes.fourier_variables import FOURIER_VARIABLES, SPECTRUM
from grokprobe.status import Status
from grokprobe.store import Coordinate as Place
from grokprobe.store import Entry, LedgerWriter, ResultsStore, Row
from grokprobe.variables import Coordinate, VariableSpec

EXPERIMENT = "made"
Run = tuple[int, float]

ENERGY = VariableSpec(
    name="weighted_correlation",
    dims=(names.LAYER, names.FEATURE),
    bounds=(0, 1),
    description="Made correlation.",
    reference="grokprobe",
)
STRANGE = (
    VariableSpec(name="height", units="m", description="<b>Made</b> height.", reference="nobody", headline=True),
    VariableSpec(name="shape", dims=("corner",), description="Made shape.", reference="nobody"),
    VariableSpec(name="count", dtype="int64", description="Made count.", reference="nobody"),
    VariableSpec(name="sheet", dims=("corner", "amount"), description="Made sheet.", reference="nobody"),
)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a made store holds."""

    seeds: Sequence[int] = (0, 1, 2)
    scales: Sequence[float] = (1.0, 10.0)
    epochs: Sequence[int] = (0, 5, 10, 15, 20, 25, 30, 35, 40)
    num_neurons: int = 6
    num_frequencies: int = 5
    num_amounts: int = 11
    #: (group, seed, init_scale, epoch) → status.
    status: Callable[[str, int, float, int], Status] = lambda *_: Status.OK
    #: Every number is NaN.
    is_undefined: bool = False
    #: Every number that has no upper bound is infinite, but for those of the history.
    is_infinite: bool = False
    layers: Sequence[str] = ("input", "output")
    #: What the runs count.
    units: str = "epochs"
    #: Groups to leave out.
    without: Sequence[str] = ()
    error: str = "ValueError: made <fault>"
    groups: Mapping[str, tuple[Sequence[VariableSpec], Mapping[str, Coordinate]]] = field(default_factory=dict)


def write_results(path: Path, sweep: Sweep = Sweep()) -> Path:
    """Writes and publishes a store of one experiment, as grokprobe writes them."""
    attributes = {
        "experiment": EXPERIMENT,
        "digest": "d",
        "parameters": {"task": {"name": "made", "p": 5}, "optimizer": {"lr": 0.01}},
        "task_version": "1",
        "epoch_units": sweep.units,
        "constant": [],
    }
    with ResultsStore.open(path) as store:
        store.create_experiment(EXPERIMENT, attributes)
        for group, (specs, coordinates) in {**_measured_groups(sweep), **sweep.groups}.items():
            if group not in sweep.without:
                _write_group(store, sweep, (group, specs, coordinates))
        if names.HISTORY not in sweep.without:
            _write_summary(store, sweep)
        store.publish()
    return path


def made_history(sweep: Sweep) -> xr.Dataset:
    runs = {"seed": list(sweep.seeds), "init_scale": list(sweep.scales), "epoch": list(sweep.epochs)}
    shape = [len(values) for values in runs.values()]
    values = {spec.name: np.full(shape, np.nan) for spec in HISTORY_SPECS}
    for i, seed in enumerate(sweep.seeds):
        for j, scale in enumerate(sweep.scales):
            for k, epoch in enumerate(sweep.epochs):
                for name, value in _history(seed, scale, epoch, sweep.is_undefined).items():
                    values[name][i, j, k] = value
    return xr.Dataset({name: (list(runs), value) for name, value in values.items()}, coords=runs)


def _measured_groups(sweep: Sweep) -> dict[str, Any]:
    layers = np.array(sweep.layers)
    neurons = {
        names.NEURON_LAYER: Coordinate(dim=names.NEURON, values=np.repeat(layers, sweep.num_neurons)),
        names.NEURON_INDEX: Coordinate(dim=names.NEURON, values=np.tile(np.arange(sweep.num_neurons), len(layers))),
    }
    layer = {names.LAYER: Coordinate(dim=names.LAYER, values=layers)}
    frequency = Coordinate(dim=names.FREQUENCY, values=np.arange(sweep.num_frequencies), units="cycles")
    features = {names.FEATURE: Coordinate(dim=names.FEATURE, values=np.array(["energy", "magnetization"]))}
    amounts = {names.AMOUNT: Coordinate(dim=names.AMOUNT, values=np.linspace(0, 1, sweep.num_amounts))}
    path = (*trajectory_variables(TrajectoryOptions(), has_diagonal=True), *PATH_SPECS)
    corner = {"corner": Coordinate(dim="corner", values=np.array([0.5, 1.5, 2.5]), units="m")}
    return {
        "history": (HISTORY_SPECS, {}),
        "probes/fourier": ((*FOURIER_VARIABLES, SPECTRUM), {**layer, **neurons, names.FREQUENCY: frequency}),
        "probes/energy": ((ENERGY,), {**layer, **features}),
        "probes/strange": (STRANGE, {**corner, **amounts}),
        "compressors/magnitude": (TOGETHER, amounts),
        "geometry/fisher": (path, {}),
    }


def _write_group(store: ResultsStore, sweep: Sweep, made: tuple[str, Any, Any]) -> None:
    group, specs, coordinates = made
    cube = store.cube(f"{EXPERIMENT}/{group}")
    measure = group.rpartition("/")[2]
    attributes = {"measure": measure, "measure_version": "1", "distribution": "made-plugin", "constant": []}
    attributes |= {"distribution_version": "2.0", "options": {"depth": 3, "axes": {}, "limit": None}}
    cube.create(attributes, sweep.units)
    cube.grow({"seed": sweep.seeds, "init_scale": sweep.scales, "epoch": sweep.epochs})
    cube.create_variables(specs, coordinates)
    sizes = {coordinate.dim: len(coordinate.values) for coordinate in coordinates.values()}
    ledger = LedgerWriter(store.ledger, 0)
    for seed in sweep.seeds:
        for scale in sweep.scales:
            for epochs in cube.blocks(list(sweep.epochs)).values():
                rows = {}
                for epoch in epochs:
                    status = sweep.status(group, seed, scale, epoch)
                    values = _values(group, specs, sizes, (seed, scale, epoch), sweep) if status is Status.OK else {}
                    rows[epoch] = Row(values=values, status=status, checkpoint_digest="d")
                cube.write((seed, scale), rows, frozenset())
                failed = [epoch for epoch, row in rows.items() if row.status is Status.FAILED]
                entry = Entry(status=Status.FAILED, inputs="i", error=sweep.error)
                ledger.append({Place(f"{EXPERIMENT}/{group}", seed, scale, epoch): entry for epoch in failed})


def _values(group: str, specs: Any, sizes: Mapping[str, int], at: tuple[int, float, int], sweep: Sweep) -> Any:
    seed, scale, epoch = at
    if group == names.HISTORY:
        return {name: np.float64(v) for name, v in _history(seed, scale, epoch, sweep.is_undefined).items()}
    generator = np.random.default_rng([seed, int(10 * scale), epoch, len(group)])
    values = {}
    for spec in specs:
        low = 0.0 if spec.bounds[0] is None else spec.bounds[0]
        high = low + 2.0 if spec.bounds[1] is None else spec.bounds[1]
        drawn = low + (high - low) * generator.random([sizes[dim] for dim in spec.dims])
        if sweep.is_infinite and spec.bounds[1] is None:
            drawn = np.full_like(drawn, np.inf)
        if spec.dtype == "int64":
            values[spec.name] = np.int64(epoch)
        else:
            values[spec.name] = np.full_like(drawn, np.nan) if sweep.is_undefined else drawn
    return values


def _history(seed: int, scale: float, epoch: int, is_undefined: bool) -> dict[str, float]:
    """Training is learned by epoch 5 to 10; test at once for a small scale, and by epoch 30 for a large one."""
    trained, tested = 5 + 2 * seed, (30 + 2 * seed if scale > 5 else 8 + 2 * seed)
    train, test = (1 / (1 + np.exp(-(epoch - at))) for at in (trained, tested))
    values = (2 * np.exp(-epoch / 10), 3 * np.exp(-epoch / tested) + 0.1, train, test)
    return {s.name: np.nan if is_undefined else float(v) for s, v in zip(HISTORY_SPECS, values, strict=True)}


def _write_summary(store: ResultsStore, sweep: Sweep) -> None:
    cube = store.cube(f"{EXPERIMENT}/{names.SUMMARY}", leading=names.SUMMARY_DIMS)
    cube.create({"source": "history", "chance_accuracy": 0.1}, sweep.units)
    cube.grow({"seed": sweep.seeds, "init_scale": sweep.scales})
    cube.create_variables(SUMMARY_SPECS, {})
    summary = summarise(made_history(sweep), chance=0.1)
    for seed in sweep.seeds:
        for scale in sweep.scales:
            run = summary.sel(seed=seed, init_scale=scale)
            cube.write_run((seed, scale), {str(name): value.to_numpy() for name, value in run.data_vars.items()})
