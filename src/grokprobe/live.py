"""The verb ``measure``: a live model, without files."""

from collections.abc import Sequence

import torch
import xarray as xr

from grokprobe import names
from grokprobe.context import CheckpointContext, Network, Surroundings
from grokprobe.dataset import assemble_dataset
from grokprobe.errors import UsageError
from grokprobe.interfaces import Requirement, RunCoordinates, Samples, Subject, Task
from grokprobe.numerics.layers import find_running_statistics
from grokprobe.planned_measures import PlannedMeasure, build_requests, check_tables, plan_measures
from grokprobe.plugins import PluginSelection, load_plugins
from grokprobe.settings import parse_settings


def measure(
    model: torch.nn.Module,
    *,
    probes: Sequence[str] = (),
    compressors: Sequence[str] = (),
    task: Task | None = None,
    train: Samples | None = None,
    test: Samples | None = None,
    settings: Sequence[str] = (),
) -> xr.DataTree:
    """Measures a live model with probes and compressors, in its present state.

    Args:
        model: any module; it is put into evaluation mode for the time of the call.
        probes: labels, as for ``analyze``; of those and the compressors at least one.
        compressors: labels, likewise; they need a task and test samples.
        task: the task it learns, for probes that ask.
        train: training samples, for probes that ask.
        test: test samples, for probes that ask.
        settings: ``LABEL.KEY=VALUE`` options, as for ``--set``.

    Returns:
        One group ``probes/<label>`` a probe and ``compressors/<label>`` a compressor, without leading dimensions.

    Raises:
        UsageError: an unknown probe or option, or a probe that does not apply; the message says why.

    Example:
        >>> tree = measure(torch.nn.Linear(8, 5), probes=["fourier"], settings=["fourier.period=8"])
        >>> ipr = tree["probes/fourier/ipr"]
        >>> assert ipr.sizes == {"neuron": 5}
    """
    plugins = load_plugins(PluginSelection.from_environment())
    tables = parse_settings(settings)
    requests = [
        request
        for kind, labels in ((names.PROBES, probes), (names.COMPRESSORS, compressors))
        if labels
        for request in build_requests(kind, labels, plugins, tables)
    ]
    if not requests:
        raise UsageError("measure: expected the name of at least one probe or compressor, found none")
    check_tables(tables, requests)
    planned = plan_measures(requests, plugins)
    parameters = {name: tensor.detach() for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    available = {Requirement.WEIGHTS, Requirement.MODEL}
    available |= {Requirement.TRAIN_SPLIT} if train is not None else set()
    available |= {Requirement.TEST_SPLIT} if test is not None else set()
    shapes = {name: tuple(tensor.shape) for name, tensor in parameters.items()}
    subject = Subject(
        task=task,
        shapes=shapes,
        constant=find_running_statistics(shapes),
        available=frozenset(available),
    )
    empty = Samples(inputs=torch.empty(0), targets=torch.empty(0))
    surroundings = Surroundings(
        subject=subject,
        run=RunCoordinates(seed=0, init_scale=1.0),
        epochs=(0,),
        load=lambda _: parameters,
        network=lambda: Network(module=model, mapping={name: name for name in parameters}),
        samples=lambda: (train or empty, test or empty),
        device=next(iter(parameters.values()), torch.empty(0)).device,
    )
    was_training = model.training
    model.eval()
    try:
        return xr.DataTree.from_dict({entry.group: _measure(entry, surroundings) for entry in planned})
    finally:
        model.train(was_training)


def _measure(planned: PlannedMeasure, surroundings: Surroundings) -> xr.Dataset:
    absent = planned.requires - surroundings.subject.available
    if absent:
        raise UsageError(f"{planned.group} does not apply here: it needs {', '.join(sorted(absent))}")
    if reason := planned.probe.applies(surroundings.subject, planned.options).reason:
        raise UsageError(f"{planned.group} does not apply here: {reason}")
    context = CheckpointContext(surroundings, 0, (planned.group, planned.probe.version), planned.options)
    return assemble_dataset(planned.specs, planned.probe.measure(context))
