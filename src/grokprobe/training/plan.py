"""Which runs are computed together, and how: chosen by measuring once, and kept in the manifests."""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Final

import torch
from pydantic import ValidationError

from grokprobe.checkpoints.native import MANIFEST_FILE, read_manifest
from grokprobe.errors import CorruptCheckpointError, UsageError
from grokprobe.interfaces import Samples, Split, Task
from grokprobe.numerics.streams import DATA_STREAM, build_generator
from grokprobe.training.arithmetic import single_thread
from grokprobe.training.batch import Batch, BatchMember, BatchPlan, Form, RunRequest
from grokprobe.training.ensemble import build_ensemble

#: Seconds of training that are measured for each way to compute.
MEASURED_SECONDS: Final = 0.25
#: A sweep that takes fewer seconds than this in the plain form is not worth measuring the others.
WORTH_MEASURING: Final = 8.0
#: A larger batch must be faster by this factor to be preferred: it needs more memory.
WORTH_WIDENING: Final = 1.05
PLAIN: Final[Form] = "plain"
STACKED: Final[Form] = "stacked"


def plan_batches(
    requests: Sequence[RunRequest], task: Task, population: Samples, *, num_cores: int, members_per_batch: int | None
) -> tuple[Batch, ...]:
    """Divides the runs of a sweep into batches.

    A run that was begun keeps the batch that its manifest names, with the members that are not wanted now, so that it
    goes on in the same numbers. For the others the fastest way is found by measuring; neither the number of processes
    nor what the machine does besides is remembered. With ``members_per_batch`` nothing is measured: 1 is the plain
    form, more is the stacked one.

    Args:
        requests: runs of one recipe or of its variants.
        task: their task, with its options bound.
        population: the task's population.
        num_cores: how many batches can be computed at once on this device, at most.
        members_per_batch: largest number of members of a batch; None to measure.

    Raises:
        UsageError: ``members_per_batch`` that the task does not allow.
    """
    begun, fresh = _group_begun(requests)
    with torch.random.fork_rng():
        stacked = [run for batch in begun if batch.form == STACKED for run in batch.requests]
        if stacked and (fault := find_stacking_fault(stacked, task, population)):
            raise UsageError(f"{stacked[0].directory} was begun as one of several runs computed together: {fault}")
        if not fresh:
            return tuple(begun)
        _draw_splits(fresh, task)  # a split that cannot be drawn is said before anything is written
        if members_per_batch is None:
            form, width = _choose(fresh, task, population, num_cores)
        else:
            form, width = (PLAIN, 1) if members_per_batch == 1 else (STACKED, members_per_batch)
            if form == STACKED and (fault := find_stacking_fault(fresh, task, population)):
                raise UsageError(f"members_per_batch: expected 1, found {members_per_batch}: {fault}")
    return (*begun, *(_batch(form, part) for part in divide(fresh, width)))


def divide(requests: Sequence[RunRequest], width: int) -> list[tuple[RunRequest, ...]]:
    """Divides runs into parts of at most ``width`` members: some scales of one seed, or all scales of several seeds.

    Learning rates and weight decays of a sweep multiply the scales. Parts of a seed are as equal as they can be. Only
    seeds with the same scales share a part.
    """
    by_seed: dict[int, list[RunRequest]] = {}
    for request in requests:
        by_seed.setdefault(request.seed, []).append(request)
    by_scales: dict[tuple[tuple[float, ...], ...], list[list[RunRequest]]] = {}
    for runs in by_seed.values():
        members = [run.member for run in runs]
        scales = tuple((member.init_scale, member.lr, member.weight_decay) for member in members)
        by_scales.setdefault(scales, []).append(runs)
    parts: list[tuple[RunRequest, ...]] = []
    for scales, seeds in by_scales.items():
        if len(scales) <= width:
            num_seeds = _even_part(len(seeds), width // len(scales))
            groups = [seeds[start : start + num_seeds] for start in range(0, len(seeds), num_seeds)]
            parts += [tuple(run for runs in group for run in runs) for group in groups]
            continue
        num_scales = _even_part(len(scales), width)
        parts += [
            tuple(runs[start : start + num_scales]) for runs in seeds for start in range(0, len(runs), num_scales)
        ]
    return parts


def find_stacking_fault(requests: Sequence[RunRequest], task: Task, population: Samples) -> str:
    """Returns why runs of this task cannot be computed together; empty if they can."""
    if fault := _find_fault_of_network(task, population):
        return f"{fault} of task {task.name}"
    if len({(len(split.train), len(split.test)) for split in _draw_splits(requests, task)}) > 1:
        return f"the splits of task {task.name} differ in size between seeds"
    if task.stacked_form() is not None:
        return ""
    try:
        with single_thread():
            ensemble = build_ensemble(_batch(STACKED, requests[:1]), task, population)
            ensemble.train_epoch(1, max_steps=1)
            ensemble.evaluate(0)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return f"torch.func refuses the network or loss of task {task.name}: {' '.join(str(error).split())[:200]}"
    return ""


def _find_fault_of_network(task: Task, population: Samples) -> str:
    """Returns what in the network the stacked forms would treat otherwise than an optimizer of its own does."""
    model = task.build_model()
    parameters = dict(model.named_parameters())
    if list(model.state_dict()) != list(parameters):
        return "there are buffers or shared weights in the network"
    if not all(parameter.requires_grad for parameter in parameters.values()):
        return "there are frozen weights in the network"
    task.initialise(model, torch.Generator().manual_seed(0))
    some = population.at(torch.arange(min(len(population), 2)))
    task.loss(model(some.inputs), some.targets).backward()
    unused = [name for name, parameter in parameters.items() if parameter.grad is None]
    return f"the loss does not depend on {unused[0]} in the network" if unused else ""


def _draw_splits(requests: Sequence[RunRequest], task: Task) -> list[Split]:
    seeds = dict.fromkeys(request.seed for request in requests)
    return [task.split(seed, build_generator(seed, DATA_STREAM)) for seed in seeds]


def _even_part(number: int, limit: int) -> int:
    num_parts = -(-number // limit)
    return -(-number // num_parts)


def _batch(form: Form, requests: Sequence[RunRequest]) -> Batch:
    return Batch(form=form, members=tuple(request.member for request in requests), requests=tuple(requests))


def _group_begun(requests: Iterable[RunRequest]) -> tuple[list[Batch], list[RunRequest]]:
    """Returns the batches of the runs that have a manifest, and the runs that have none.

    A run without a manifest that the plan of another one names belongs to that one's batch: it was planned with it.
    """
    begun: dict[tuple[Form, tuple[BatchMember, ...]], list[RunRequest]] = {}
    fresh: list[RunRequest] = []
    for request in requests:
        if (request.directory / MANIFEST_FILE).exists():
            begun.setdefault(_read_plan(request), []).append(request)
        else:
            fresh.append(request)
    for key, runs in begun.items():
        runs += [request for request in fresh if request.member in key[1]]
        fresh = [request for request in fresh if request.member not in key[1]]
    batches = [Batch(form=form, members=members, requests=tuple(runs)) for (form, members), runs in begun.items()]
    return batches, fresh


def _read_plan(request: RunRequest) -> tuple[Form, tuple[BatchMember, ...]]:
    plan = read_manifest(request.directory).plan
    if not plan:  # written before there were plans
        return PLAIN, (request.member,)
    path = request.directory / MANIFEST_FILE
    try:
        found = BatchPlan.model_validate_json(json.dumps(plan))
    except ValidationError as error:
        faults = "; ".join(f"plan.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise CorruptCheckpointError(f"{path}: expected the plan of a batch, found {faults}") from error
    members = found.batch_members(request.recipe.optimizer)
    if request.member not in members:
        raise CorruptCheckpointError(f"{path}: expected the run itself among plan.members, found it is not there")
    return found.form, members


def _choose(requests: Sequence[RunRequest], task: Task, population: Samples, num_cores: int) -> tuple[Form, int]:
    """Measures the plain form, then stacked ones of growing width while that pays."""
    schedule = requests[0].recipe.schedule
    widest = -(-len(requests) // num_cores)
    with single_thread():
        plain = _measure(PLAIN, requests[:1], task, population)
        if plain * schedule.epochs * widest < WORTH_MEASURING or find_stacking_fault(requests, task, population):
            return PLAIN, 1
        form, width, fastest = PLAIN, 1, plain
        candidate = 1
        while True:
            part = max(divide(requests, candidate), key=len)
            try:
                seconds = _measure(STACKED, part, task, population) / len(part)
            except (MemoryError, torch.OutOfMemoryError):
                break
            if seconds * WORTH_WIDENING < fastest:
                form, width, fastest = STACKED, candidate, seconds
            elif candidate > 1:
                break
            if candidate >= widest:
                break
            candidate = min(2 * candidate, widest)
    return form, width


def _measure(form: Form, requests: Sequence[RunRequest], task: Task, population: Samples) -> float:
    """Returns the seconds of an epoch of a batch, from as many steps as fit into :data:`MEASURED_SECONDS`."""
    ensemble = build_ensemble(_batch(form, requests), task, population)
    ensemble.train_epoch(1, max_steps=1)  # the first step allocates
    ensemble.evaluate(0)  # and needs the most memory, if there is enough; it waits for the device
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < MEASURED_SECONDS:
        portion = min(ensemble.num_steps, max(1, done))
        ensemble.train_epoch(1, max_steps=portion).tolist()  # waits for the device
        done += portion
    return (time.perf_counter() - start) / done * ensemble.num_steps
