import numpy as np
import pytest

from grokprobe.dataset import assemble_dataset
from grokprobe.errors import VariableError
from grokprobe.variables import Coordinate, Measurement, VariableSpec

NORM = VariableSpec(name="norm", dims=("layer",), bounds=(0, None), description="Norm.", reference="grokprobe")
TRACE = VariableSpec(name="trace", units="nat", description="Trace.", reference="grokprobe", headline=True)
LAYERS = {
    "layer": Coordinate(dim="layer", values=np.array(["a", "b"])),
    "num_weights": Coordinate(dim="layer", values=np.array([3, 5]), units="weights"),
}


def test_values_labels_and_attributes_arrive() -> None:
    measurement = Measurement(values={"trace": np.array(2.0), "norm": np.array([1.0, np.nan])}, coordinates=LAYERS)
    dataset = assemble_dataset((NORM, TRACE), measurement)
    assert dataset.trace.item() == 2
    assert dataset.norm.sel(layer="a").item() == 1
    assert np.isnan(dataset.norm.sel(layer="b").item())
    assert dataset.coords["num_weights"].to_numpy().tolist() == [3, 5]
    assert dataset.coords["num_weights"].attrs == {"units": "weights"}
    assert dataset.trace.attrs == TRACE.attributes()
    assert dict(dataset.sizes) == {"layer": 2}


def test_values_are_checked() -> None:
    with pytest.raises(VariableError, match="'norm'"):
        assemble_dataset((NORM,), Measurement(values={"norm": np.array([-1.0, 0.0])}, coordinates=LAYERS))
