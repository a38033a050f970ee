"""Binding a run to what measures may need of it: its network, its data, and which of its tensors are weights."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from grokprobe.checkpoints import CheckpointRef, Reading
from grokprobe.checkpoints.mapping import map_parameters
from grokprobe.context import Network, Surroundings
from grokprobe.errors import UsageError
from grokprobe.evaluation import FormEvaluator
from grokprobe.experiments import Experiment
from grokprobe.interfaces import Parameters, Requirement, RunCoordinates, Samples, Subject, Task
from grokprobe.numerics.layers import find_running_statistics
from grokprobe.placing import Member
from grokprobe.plugins import load_attribute
from grokprobe.reference import find_reference
from grokprobe.splits import draw_split, split_content, split_samples

Built = TypeVar("Built")


def _once(build: Callable[[], Built]) -> Callable[[], Built]:
    """Returns ``build``, carried out once. What it makes is shared: who asks first may be in torch's inference mode."""
    return functools.cache(torch.inference_mode(False)(build))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRun:
    """A run with everything needed to build Contexts. Picklable: holds paths and small values."""

    #: What is known before any measure runs.
    subject: Subject
    #: Its place.
    coordinates: RunCoordinates
    #: Its checkpoints by epoch, ascending.
    checkpoints: Mapping[int, CheckpointRef]
    #: ``seed:N``, ``all``, ``indices:FILE`` or ``stored:FILE``; None where unknown.
    split: str | None
    #: Digest of the file that :attr:`split` names; empty if it names none.
    split_content: str
    #: Why its data cannot be had, although the split is known; empty where nothing stands against it.
    data_fault: str
    #: ``MODULE:FACTORY`` or ``FILE.py:FACTORY`` of a network of the user's own, else empty.
    factory: str
    #: The network's own parameter names → the checkpoint's; None where no network fits.
    mapping: Mapping[str, str] | None
    #: Why no network fits; empty where one does.
    misfit: str
    #: The declared reference checkpoint; None where there is none that can be compared with.
    reference: CheckpointRef | None
    #: Why there is none, although one is declared; empty otherwise.
    reference_fault: str
    #: How its files are read.
    reading: Reading

    @property
    def epochs(self) -> tuple[int, ...]:
        """Its stored epochs, ascending."""
        return tuple(self.checkpoints)

    @property
    def ends(self) -> tuple[int, int]:
        """Its first and its last epoch whose checkpoint can be read."""
        readable = [epoch for epoch, checkpoint in self.checkpoints.items() if not checkpoint.problem]
        return readable[0], readable[-1]

    @property
    def identity(self) -> tuple[int, float]:
        """Its seed and init_scale."""
        return self.coordinates.seed, self.coordinates.init_scale

    def surroundings(self, device: torch.device, load: Callable[[CheckpointRef], Parameters]) -> Surroundings:
        """Returns what the Contexts of this run share; network and data are built when a measure first asks.

        Args:
            device: where to compute.
            load: loads a checkpoint onto the device.
        """

        @_once
        def network() -> Network:
            module = _build_module(self.subject.task, self.factory).to(device).eval()
            return Network(module=module, mapping=self.mapping or {})

        @_once
        def samples() -> tuple[Samples, Samples]:
            if self.subject.task is None or self.split is None:
                raise UsageError("expected a task and a split, found none")
            train, test = split_samples(self.subject.task, self.split, self.split_content)
            return train.to(device), test.to(device)

        @_once
        def evaluator() -> FormEvaluator | None:
            task, mapping = self.subject.task, self.mapping or {}
            is_known = task is not None and self.split is not None and not self.data_fault
            form = task.stacked_form() if task is not None and is_known and not self.factory else None
            own = {name for name, _ in network().module.named_parameters()}
            return None if form is None or own != set(mapping) else FormEvaluator(form, mapping, samples())

        @_once
        def reference() -> Parameters:
            if self.reference is None:
                raise UsageError("expected a reference checkpoint, found none")
            return load(self.reference)

        return Surroundings(
            subject=self.subject,
            run=self.coordinates,
            epochs=self.epochs,
            ends=self.ends,
            load=lambda epoch: load(self.checkpoints[epoch]),
            network=None if self.mapping is None else network,
            samples=None if self.subject.task is None or self.split is None else samples,
            reference=None if self.reference is None else reference,
            evaluator=evaluator,
            device=device,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What binding depends on beyond the run."""

    #: Tensors that are no weights.
    constant: frozenset[str]
    #: Parsed ``--set`` tables.
    settings: Mapping[str, Any]
    #: ``MODULE:FACTORY`` or ``FILE.py:FACTORY``, or empty.
    factory: str
    #: What the measures need, all together; nothing else is looked for.
    needed: frozenset[Requirement]
    #: How files are read.
    reading: Reading


def bind_run(experiment: Experiment, member: Member, binding: Binding) -> BoundRun:
    """Decides what is available for a run. Reads no checkpoint.

    Raises:
        UsageError: an explicit mapping or factory that does not fit, or a split that cannot be had.
    """
    mapping, misfit = None, ""
    if Requirement.MODEL in binding.needed or binding.factory:
        mapping, misfit = _fit_network(experiment, member.run.shapes, binding)
    available = {Requirement.WEIGHTS, Requirement.NEIGHBOURS, Requirement.INITIAL, Requirement.FINAL}
    if mapping is not None:
        available.add(Requirement.MODEL)
    content, data_fault = split_content(member.split or ""), ""
    needs_data = {Requirement.TRAIN_SPLIT, Requirement.TEST_SPLIT} & binding.needed
    if experiment.task is not None and member.split is not None and needs_data:
        try:
            split = draw_split(experiment.task, member.split, content)
        except UsageError as error:
            if "split" in binding.settings.get("task", {}):
                raise
            data_fault = str(error)
        else:
            available.add(Requirement.TRAIN_SPLIT)
            if len(split.test):
                available.add(Requirement.TEST_SPLIT)
    directives, reference, reference_fault = binding.settings.get("run", {}), None, ""
    if "reference" in directives and Requirement.OTHER_RUN in binding.needed:
        reference, reference_fault = find_reference(str(directives["reference"]), member.run.shapes, binding.reading)
        available |= {Requirement.OTHER_RUN} if reference is not None else set()
    return BoundRun(
        subject=Subject(
            task=experiment.task,
            shapes=dict(member.run.shapes),
            constant=binding.constant,
            available=frozenset(available),
        ),
        coordinates=RunCoordinates(seed=member.seed, init_scale=member.init_scale),
        checkpoints={checkpoint.epoch: checkpoint for checkpoint in member.run.checkpoints},
        split=member.split,
        split_content=content,
        data_fault=data_fault,
        factory=binding.factory,
        mapping=mapping,
        misfit=misfit,
        reference=reference,
        reference_fault=reference_fault,
        reading=binding.reading,
    )


def find_constant_tensors(experiment: Experiment, reading: Reading) -> frozenset[str]:
    """Returns the tensors that are buffers and no weights: equal at the ends of every run, or running statistics.

    Runs with a single readable checkpoint say nothing of what is equal, nor do runs in which everything is. In a native
    run nothing but a running statistic is a buffer.
    """
    statistics = find_running_statistics(experiment.members[0].run.shapes)
    if experiment.is_native:
        return statistics
    constant: frozenset[str] | None = None
    for member in experiment.members:
        readable = [checkpoint for checkpoint in member.run.checkpoints if not checkpoint.problem]
        if len(readable) < 2:
            continue
        first, last = (
            reading.read(checkpoint.path, checkpoint.member).parameters for checkpoint in (readable[0], readable[-1])
        )
        equal = frozenset(name for name in first if name in last and torch.equal(first[name], last[name]))
        if equal != frozenset(first):
            constant = equal if constant is None else constant & equal
    return statistics | (constant or frozenset())


def _fit_network(
    experiment: Experiment, shapes: Mapping[str, tuple[int, ...]], binding: Binding
) -> tuple[Mapping[str, str] | None, str]:
    if experiment.task is None and not binding.factory:
        return None, "no task and no model is known; give --task or --model"
    own = _parameter_shapes(_build_module(experiment.task, binding.factory))
    if own == dict(shapes):
        return {name: name for name in own}, ""
    if binding.factory:
        raise UsageError(
            f"--model {binding.factory}: its parameters {_listed(own)} are not the checkpoint's {_listed(shapes)}"
        )
    explicit = binding.settings.get("task", {}).get("map", {})
    if not isinstance(explicit, dict):
        raise UsageError(f"--set task.map: expected task.map.NEW=OLD, found task.map={explicit}")
    left_out = binding.constant - find_running_statistics(shapes)  # the network has those, too
    weights = {name: shape for name, shape in shapes.items() if name not in left_out}
    try:
        return map_parameters(weights, own, {str(new): str(old) for new, old in explicit.items()}), ""
    except UsageError as error:
        if explicit:
            raise
        return None, str(error)


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())


def _parameter_shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


def _build_module(task: Task | None, factory: str) -> torch.nn.Module:
    if not factory:
        if task is None:
            raise UsageError("expected a task or --model MODULE:FACTORY, found neither")
        return task.build_model()
    return load_attribute(factory, "--model")()


def unmet(requires: Iterable[Requirement], bound: BoundRun) -> str:
    """Returns why a run cannot meet ``requires``; empty if it can."""
    absent = [requirement for requirement in Requirement if requirement in set(requires) - bound.subject.available]
    reasons = {
        Requirement.MODEL: f"no model fits: {bound.misfit}",
        Requirement.TRAIN_SPLIT: bound.data_fault
        or "its training split is unknown; say --set task.split=seed:N, all or indices:FILE",
        Requirement.TEST_SPLIT: bound.data_fault
        or "its test split is unknown or empty; say --set task.split=seed:N or indices:FILE",
        Requirement.OTHER_RUN: bound.reference_fault
        or "no reference is declared; say --set run.reference=PATH of a run or checkpoint",
    }
    return "; ".join(dict.fromkeys(reasons.get(requirement, f"it has no {requirement}") for requirement in absent))
