"""One row of numbers for each run, out of everything that was measured."""

from collections.abc import Iterator
from typing import Final

import xarray as xr

from grokprobe import names
from grokprobe.derive.last_value import last_known
from grokprobe.status import Status

#: Groups that hold measured or derived numbers of runs; ``history`` is in ``summary`` by its last value.
_KINDS: Final = (names.SUMMARY, names.PROBES, names.COMPRESSORS, names.GEOMETRY)


def collect_run_values(experiment: xr.DataTree) -> xr.Dataset:
    """Returns every variable that has one number a run, or one a run and layer, at the last epoch that has one.

    Args:
        experiment: the node of one experiment in a dataset, as ``open_results(…)["modular_addition"]``.

    Returns:
        Float variables over ``(seed, init_scale)``, named by their place: ``summary/final_train_loss``,
        ``compressors/magnitude/compressibility``, ``probes/weights/norm[output]``. Runs that a group does not have are
        NaN in its variables. A variable with other dimensions than ``layer``, and one that holds no floating-point
        numbers, is left out. What is not OK by ``status`` counts as NaN.
    """
    found: dict[str, xr.DataArray] = {}
    for node in experiment.subtree:
        path = node.relative_to(experiment)
        if node.has_data and path.partition("/")[0] in _KINDS:
            group = node.to_dataset(inherit=False)
            for name, variable in group.data_vars.items():
                found |= {
                    f"{path}/{label}": values
                    for label, values in _per_run(str(name), variable, group.get(names.STATUS))
                }
    return xr.merge([values.rename(label) for label, values in found.items()], join="outer", compat="override")


def _per_run(name: str, variable: xr.DataArray, status: xr.DataArray | None) -> Iterator[tuple[str, xr.DataArray]]:
    extra = set(variable.dims) - set(names.LEADING_DIMS)
    if variable.dtype.kind != "f" or not set(names.SUMMARY_DIMS) <= set(variable.dims) or extra - {names.LAYER}:
        return
    values = variable.load() if status is None else variable.load().where(status == int(Status.OK))
    values = last_known(values) if names.EPOCH in variable.dims else values
    values = values.reset_coords(drop=True).assign_attrs(variable.attrs)
    if not extra:
        yield name, values
        return
    for layer in values[names.LAYER].to_numpy().tolist():
        yield f"{name}[{layer}]", values.sel({names.LAYER: layer}, drop=True)
