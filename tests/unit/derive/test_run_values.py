import math

import numpy as np
import xarray as xr

from grokprobe.derive.run_values import collect_run_values

NAN = math.nan
LEADING = ("seed", "init_scale", "epoch")


def build_experiment() -> xr.DataTree:
    runs = {"seed": [0, 1], "init_scale": [1.0]}
    summary = xr.Dataset({"test_epoch": (("seed", "init_scale"), [[3.0], [4.0]], {"units": "steps"})}, coords=runs)
    weights = xr.Dataset(
        {
            "norm": ((*LEADING, "layer"), np.arange(8.0).reshape(2, 1, 2, 2)),
            "spectrum": ((*LEADING, "layer", "rank"), np.zeros((2, 1, 2, 2, 3))),
            "status": (LEADING, np.ones((2, 1, 2), dtype=int)),
            "checkpoint_digest": (LEADING, np.full((2, 1, 2), "abc")),
        },
        coords={**runs, "epoch": [0, 10], "layer": ["in", "out"]},
    )
    compressor = xr.Dataset(
        {"compressibility": (LEADING, [[[9.0, 2.0, NAN]]])},
        coords={"seed": [1], "init_scale": [1.0], "epoch": [5, 0, 7]},
    )
    history = xr.Dataset({"train_loss": (LEADING, np.zeros((2, 1, 2)))}, coords={**runs, "epoch": [0, 1]})
    groups = {
        "summary": summary,
        "history": history,
        "probes/weights": weights,
        "compressors/magnitude@global": compressor,
    }
    return xr.DataTree.from_dict({f"task/{path}": group for path, group in groups.items()})["task"]


def test_one_number_a_run_at_its_last_known_epoch() -> None:
    values = collect_run_values(build_experiment())
    assert set(values.data_vars) == {
        "summary/test_epoch",
        "probes/weights/norm[in]",
        "probes/weights/norm[out]",
        "compressors/magnitude@global/compressibility",
    }
    assert values.sizes == {"seed": 2, "init_scale": 1}
    assert values["summary/test_epoch"].to_numpy().ravel().tolist() == [3, 4]
    assert values["summary/test_epoch"].attrs == {"units": "steps"}
    assert values["probes/weights/norm[out]"].to_numpy().ravel().tolist() == [3, 7]
    np.testing.assert_equal(values["compressors/magnitude@global/compressibility"].to_numpy().ravel(), [NAN, 9.0])


def test_an_experiment_without_numbers_of_runs() -> None:
    experiment = build_experiment()
    assert not collect_run_values(xr.DataTree.from_dict({"history": experiment["history"].to_dataset()})).data_vars
