"""Runs that are points along a curve, and metrics of which every number is known."""

import numpy as np
import torch
import xarray as xr

from grokprobe.context import CheckpointContext, Network, Surroundings
from grokprobe.geometry.trajectory import Trajectory
from grokprobe.interfaces import Requirement, RunCoordinates, Subject
from grokprobe.variables import check_measurement
from unit.testing.miniature import EuclideanMetric

SHAPES = {"weight": (2, 2), "bias": (2,)}
SIZE = 6


class MatrixMetric(EuclideanMetric):
    """vᵀ A w with one matrix A everywhere, times the square of the first parameter if it is not flat."""

    def __init__(self, matrix, *, is_flat=True):
        self.matrix, self.is_flat = torch.as_tensor(matrix, dtype=torch.float64), is_flat

    def gram(self, context, tangents):
        vectors = torch.stack([torch.cat([one[name].double().flatten() for name in SHAPES]) for one in tangents])
        factor = 1.0 if self.is_flat else context.parameters["weight"][0, 0].double() ** 2
        return factor * vectors @ self.matrix @ vectors.T


def random_matrix(seed):
    """A positive definite matrix that is far from diagonal."""
    root = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.T + 0.1 * torch.eye(SIZE)


def as_parameters(vector, dtype=torch.float32):
    values = torch.as_tensor(vector, dtype=torch.float64)
    return {"weight": values[:4].reshape(2, 2).to(dtype), "bias": values[4:].to(dtype)}


def random_points(count, seed=0):
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measure_path(
    points, metric=None, *, diagonal=None, epochs=None, model=None, samples=None, task=None, constant=(), **options
):
    """Measures every checkpoint of a run; returns a Dataset over ``epoch`` and the measure's own dimensions."""
    checkpoints = [point if isinstance(point, dict) else as_parameters(point) for point in points]
    epochs = tuple(range(len(points))) if epochs is None else tuple(epochs)
    trajectory = Trajectory(metric or EuclideanMetric(), diagonal)
    chosen = trajectory.options(**options)
    subject = Subject(
        task=task,
        shapes={name: tuple(tensor.shape) for name, tensor in checkpoints[0].items()},
        constant=frozenset(constant),
        available=frozenset(Requirement),
    )
    surroundings = Surroundings(
        subject=subject,
        run=RunCoordinates(seed=0, init_scale=1.0),
        epochs=epochs,
        load=lambda epoch: checkpoints[epochs.index(epoch)],
        network=None if model is None else lambda: Network(module=model, mapping={name: name for name in SHAPES}),
        samples=None if samples is None else lambda: (samples, samples),
        device=torch.device("cpu"),
    )
    assert not trajectory.applies(subject, chosen).reason
    specs, rows = trajectory.variables(chosen), []
    for epoch in epochs:
        measurement = trajectory.measure(CheckpointContext(surroundings, epoch, ("path", "1"), chosen))
        rows.append(check_measurement(specs, measurement))
    variables = {spec.name: (("epoch", *spec.dims), np.stack([row[spec.name] for row in rows])) for spec in specs}
    return xr.Dataset(variables, coords={"epoch": list(epochs)})
