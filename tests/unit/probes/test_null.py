import pickle

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict

from grokprobe.interfaces import Requirement, RunCoordinates, Samples, Subject
from grokprobe.probes.fourier import FourierProbe
from grokprobe.probes.hessian import HessianProbe
from grokprobe.probes.null import NullProbe, is_null
from grokprobe.probes.weights import WeightsProbe
from grokprobe.testing import FixedContext, check_probe
from grokprobe.variables import Coordinate, Measurement, VariableSpec
from unit.foreign_network import TASK, build_network
from unit.testing.miniature import Anywhere

SPEC = VariableSpec(
    name="entry", dims=("parameter",), bounds=(-99, 99), units="weight", description="Each entry.", reference="ours",
    headline=True,
)  # fmt: skip


class EntriesProbe(Anywhere):
    """Every entry of every tensor."""

    def variables(self, options):
        return (SPEC,)

    def measure(self, context):
        values = torch.cat([tensor.flatten() for tensor in context.parameters.values()]).double().numpy()
        return Measurement(
            values={"entry": values},
            coordinates={"parameter": Coordinate(dim="parameter", values=np.arange(len(values)))},
        )


def null_of(probe, **options):
    null = NullProbe(probe)
    return null, null.options(**options)


def build_context(**given):
    parameters = {
        "hidden.weight": torch.arange(12.0).reshape(3, 4),
        "hidden.bias": torch.arange(20.0, 23.0),
        "scale": torch.tensor(50.0),
        "basis": torch.arange(60.0, 64.0),
    }
    return FixedContext(parameters=parameters, constant=frozenset({"basis"}), **given)


def test_permuted_copies_keep_each_tensor_s_entries_and_move_them():
    null, options = null_of(EntriesProbe(), num_draws=6)
    context = build_context()
    measurement = check_probe(null, context, options)
    entries = measurement.values["entry"]
    assert entries.shape == (6, 20)
    for draw in entries:
        assert sorted(draw[:12]) == list(range(12))
        assert sorted(draw[12:15]) == [20, 21, 22]  # biases by themselves
        assert draw[15:].tolist() == [50, 60, 61, 62, 63]  # a single number, and a buffer in place
    assert len({tuple(draw) for draw in entries}) == 6
    assert measurement.coordinates["draw"].values.tolist() == list(range(6))
    assert measurement.coordinates["parameter"].dim == "parameter"


def test_every_order_is_equally_likely():
    null, options = null_of(EntriesProbe(), num_draws=600)
    bias = null.measure(build_context(options=options)).values["entry"][:, 12:15]
    orders, counts = np.unique(bias, axis=0, return_counts=True)
    assert len(orders) == 6
    assert abs(counts - 100).max() < 45  # five standard deviations


def test_another_epoch_has_other_copies_and_the_same_has_the_same():
    null, options = null_of(EntriesProbe(), num_draws=2)
    first, again, other = (
        null.measure(build_context(options=options, epoch=epoch)).values["entry"] for epoch in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_more_draws_leave_the_first_as_they_are():
    draws = [
        null.measure(build_context(options=options)).values["entry"]
        for null, options in (null_of(EntriesProbe(), num_draws=number) for number in (2, 5))
    ]
    np.testing.assert_array_equal(draws[0], draws[1][:2])


def test_specifications_are_those_of_the_probe_along_draws():
    null, options = null_of(EntriesProbe())
    (spec,) = null.variables(options)
    assert (spec.name, spec.dims, spec.bounds, spec.units) == ("entry", ("draw", "parameter"), (-99, 99), "weight")
    assert spec.description == "Of a copy whose weights are permuted within each tensor: Each entry."
    assert not spec.headline
    assert null.version == "1+null.1"


def test_sizes_survive_permutation_and_directions_do_not():
    factors = torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    context = FixedContext(parameters={"W": torch.outer(factors[0], factors[1])})
    null, options = null_of(WeightsProbe())
    values, own = check_probe(null, context, options).values, check_probe(WeightsProbe(), context).values
    for name in ("norm", "gini"):
        np.testing.assert_allclose(values[name][:, 0], own[name][0])
    assert own["stable_rank"][0] == pytest.approx(1)
    assert values["stable_rank"].min() > 2


def test_a_permuted_cosine_is_no_cosine():
    angles = 2 * torch.pi * torch.arange(31) / 31
    frequencies = torch.arange(1, 13).unsqueeze(1)
    context = FixedContext(parameters={"W": torch.cos(frequencies * angles + frequencies)})
    null, options = null_of(FourierProbe(), period=31)
    own = check_probe(FourierProbe(), context, FourierProbe.options(period=31)).values
    chance = check_probe(null, context, options).values
    assert own["ipr_mean"][0] == pytest.approx(1)
    assert chance["ipr"].shape == (10, 12)
    assert chance["ipr_mean"].max() < 0.25


def test_reinitialised_copies_are_the_task_s_own_times_the_scale():
    parameters = {f"model.{name}": tensor for name, tensor in build_network(3).state_dict().items()}
    null, options = null_of(EntriesProbe(), copies="reinitialised", num_draws=400)
    context = FixedContext(
        parameters={**parameters, "extra": torch.full((7,), 5.0)}, task=TASK, run=RunCoordinates(seed=0, init_scale=4.0)
    )
    entries = check_probe(null, context, options).values["entry"]
    sizes = np.cumsum([tensor.numel() for tensor in parameters.values()])
    first, bias, second, bias2, extra = np.split(entries, sizes, axis=1)
    assert first.std() == pytest.approx(4 * np.sqrt(2 / (10 + 8)), rel=0.02)  # Xavier: 80 · 400 numbers
    assert second.std() == pytest.approx(4 * np.sqrt(2 / (8 + 5)), rel=0.03)
    assert (bias == 0).all()
    assert (bias2 == 0).all()
    assert (extra == 5).all()  # nothing the task knows of
    assert not np.array_equal(first[0], first[1])


def subject_of(shapes, task=None):
    return Subject(task=task, shapes=shapes, constant=frozenset(), available=frozenset(Requirement))


def reason(probe, subject, **options):
    null, validated = null_of(probe, **options)
    return null.applies(subject, validated).reason


def test_where_it_does_not_apply():
    probe = EntriesProbe()
    anywhere = subject_of({"W": (2, 2)})
    assert reason(probe, anywhere) == ""
    assert reason(probe, anywhere, copies="reinitialised") == "no task says how its network is initialised"
    foreign = reason(probe, subject_of({"W": (2, 2)}, TASK), copies="reinitialised")
    assert foreign.startswith("the network is not that of task modular_addition, so not initialised by it: expected")
    own = {name: tuple(tensor.shape) for name, tensor in build_network(0).state_dict().items()}
    assert reason(probe, subject_of(own, TASK), copies="reinitialised") == ""
    assert reason(WeightsProbe(), subject_of({"b": (2,)})) == "no weight has two or more axes"


@pytest.mark.parametrize(
    "need", [Requirement.NEIGHBOURS, Requirement.INITIAL, Requirement.FINAL, Requirement.OTHER_RUN]
)
def test_what_looks_at_other_checkpoints_has_no_null(need):
    probe = EntriesProbe()
    probe.requires = frozenset({Requirement.WEIGHTS, need})
    assert reason(probe, subject_of({"W": (2, 2)})) == f"it looks at {need}, which a copy of one checkpoint has not"


def test_options_of_one_name_are_refused():
    class Clashing(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

        copies: int = 3

    probe = EntriesProbe()
    probe.options = Clashing
    assert reason(probe, subject_of({"W": (2, 2)})) == "its own option copies has the name of an option of nulls"


def test_a_probe_that_draws_and_needs_data():
    network, population = build_network(1), TASK.population(None)
    context = FixedContext(
        parameters=dict(network.state_dict()),
        model=network,
        task=TASK,
        train_samples=Samples(inputs=population.inputs[:9], targets=population.targets[:9]),
    )
    null, options = null_of(HessianProbe(), num_draws=2, num_iterations=3, num_eigenvalues=2, num_probes=2)
    values = check_probe(null, context, options).values
    assert values["eigenvalue"].shape == (2, 2)
    assert values["trace"][0] != values["trace"][1]


def test_goes_to_another_process_and_back():
    null, options = null_of(WeightsProbe(), num_draws=3, copies="reinitialised")
    found, found_options = pickle.loads(pickle.dumps((null, options)))  # noqa: S301 - written in this line
    assert found.name == "weights@null"
    assert found_options == options
    assert found.options is null.options


@pytest.mark.parametrize(("variant", "expected"), [("null", True), ("null-2", True), ("", False), ("nulls", False)])
def test_labels_of_nulls(variant, expected):
    assert is_null(variant) is expected
