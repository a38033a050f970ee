"""Restricted and excluded loss of a network that adds modulo p."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.evaluation import EVALUATION_BATCH, RunningEvaluation
from grokprobe.interfaces import Applicability, Context, Evaluation, Likelihood, Parameters, Samples, Subject, Task
from grokprobe.progress import SilentProgress
from grokprobe.variables import Coordinate, Measurement
from grokprobe_tasks.modular_addition.pair_waves import (
    KeyPart,
    PairMeans,
    Waves,
    compute_wave_shares,
    find_key_frequencies,
    gather_pairs,
    project_on_waves,
)


class ProgressOptions(BaseModel):
    """Options of the ``progress`` probes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Key frequencies are the fewest that hold this share of what all frequencies of a + b hold in the logits.
    coverage: float = Field(default=0.95, gt=0, le=1)
    #: The key frequencies, from 1 to p // 2; None to find them.
    key_frequencies: list[int] | None = Field(default=None, min_length=1)
    #: Waves of a frequency: those in a + b, or those in a - b too.
    waves: Waves = "sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """All pairs of a task, in the order of the index p·a + b."""

    task: Task
    samples: Samples
    period: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Logits:
    """What is kept of the logits of all pairs at one checkpoint."""

    means: PairMeans
    #: Share of each frequency.
    shares: torch.Tensor
    evaluation: Evaluation


def find_progress_applicability(subject: Subject, options: ProgressOptions) -> Applicability:
    """Says whether the subject's task is addition modulo p, given by all its pairs in the order of p·a + b."""
    task = subject.task
    if task is None or task.period is None:
        return Applicability(reason="no task says that it adds modulo a number")
    if task.likelihood is not Likelihood.CATEGORICAL:
        return Applicability(reason=f"task {task.name} has no classes, so no logits")
    targets, period = task.population(SilentProgress()).targets, task.period
    indices = torch.arange(period**2)
    if targets.shape != indices.shape or not torch.equal(targets, (indices // period + indices % period) % period):
        return Applicability(reason=f"task {task.name} has other samples than the sums of all pairs in order")
    wrong = [k for k in options.key_frequencies or [] if not 1 <= k <= period // 2]
    if wrong:
        return Applicability(reason=f"key_frequencies: expected 1 to {period // 2}, found {wrong[0]}")
    return Applicability()


@torch.inference_mode()
def measure_progress(context: Context, deciding: Parameters | None = None) -> Measurement:
    """Measures restricted and excluded loss at the checkpoint of ``context``.

    Args:
        context: of the checkpoint.
        deciding: parameters of the checkpoint whose logits say which frequencies are the key ones; None for its own.

    Raises:
        UsageError: no task with a period, or training samples that are not among all pairs.
    """
    options: ProgressOptions = context.options
    pairs = _pairs_of(context)
    logits = _gather(context, pairs, context.parameters)
    if options.key_frequencies is not None:
        key = tuple(sorted(set(options.key_frequencies)))
    else:
        telling = logits if deciding is None else _gather(context, pairs, deciding)
        key = find_key_frequencies(telling.shares, options.coverage)
    part = project_on_waves(logits.means, key, options.waves)
    undefined = Evaluation(loss=np.nan, accuracy=np.nan)
    restricted = _evaluate_restricted(pairs, part) if key else undefined
    excluded = _evaluate_excluded(context, pairs, part) if key else undefined
    frequencies = np.arange(1, pairs.period // 2 + 1)
    is_key = np.isin(frequencies, key)
    shares = logits.shares.cpu().numpy()
    values: dict[str, Any] = {
        "full_loss": logits.evaluation.loss,
        "restricted_loss": restricted.loss,
        "restricted_accuracy": restricted.accuracy,
        "excluded_loss": excluded.loss,
        "excluded_accuracy": excluded.accuracy,
        "wave_fraction": shares,
        "key_wave_fraction": shares[is_key].sum() if key else np.nan,
        "is_key": is_key.astype(np.int64),
    }
    coordinate = Coordinate(
        dim=names.FREQUENCY, values=frequencies, units="cycles", description="frequency k of a + b, in cycles per p"
    )
    return Measurement(
        values={name: np.asarray(value) for name, value in values.items()}, coordinates={names.FREQUENCY: coordinate}
    )


def _pairs_of(context: Context) -> _Pairs:
    task = context.subject.task
    if task is None or task.period is None:
        raise UsageError("probe progress: expected a task that adds modulo a number, found none")
    samples = task.population(SilentProgress()).to(context.device)
    return _Pairs(task=task, samples=samples, period=task.period)


def _batches(num_samples: int, device: torch.device) -> Iterator[torch.Tensor]:
    return iter(torch.arange(num_samples, device=device).split(EVALUATION_BATCH))


def _gather(context: Context, pairs: _Pairs, parameters: Parameters) -> _Logits:
    means: PairMeans | None = None
    running = RunningEvaluation()
    eps = 0.0
    for batch in _batches(len(pairs.samples), context.device):
        samples = pairs.samples.at(batch)
        outputs = context.apply(parameters, samples.inputs)
        running.add(pairs.task, outputs, samples.targets)
        found = gather_pairs(outputs, batch, pairs.period)
        means = found if means is None else means.merged(found)
        eps = torch.finfo(outputs.dtype).eps
    if means is None:
        raise UsageError("probe progress: expected pairs, found none")
    return _Logits(means=means, shares=compute_wave_shares(means, eps=eps), evaluation=running.result())


def _evaluate_restricted(pairs: _Pairs, part: KeyPart) -> Evaluation:
    running = RunningEvaluation()
    for batch in _batches(len(pairs.samples), pairs.samples.targets.device):
        running.add(pairs.task, part.constant + part.at(batch), pairs.samples.targets[batch])
    return running.result()


def _evaluate_excluded(context: Context, pairs: _Pairs, part: KeyPart) -> Evaluation:
    running = RunningEvaluation()
    indices = _find_pairs(context.train.inputs, pairs)
    for batch in _batches(len(indices), context.device):
        outputs = context.apply(context.parameters, context.train.inputs[batch]).to(torch.float64)
        running.add(pairs.task, outputs - part.at(indices[batch]), context.train.targets[batch])
    return running.result()


def _find_pairs(inputs: torch.Tensor, pairs: _Pairs) -> torch.Tensor:
    """Returns the index p·a + b of each of ``inputs``, found among all pairs by equality."""
    places = {row.tobytes(): place for place, row in enumerate(pairs.samples.inputs.cpu().numpy())}
    found = [places.get(row.tobytes()) for row in inputs.cpu().numpy()]
    if None in found:
        raise UsageError(
            f"probe progress: expected training samples of the task {pairs.task.name}, found one that is none of its"
            " pairs; leave the probe out"
        )
    return torch.tensor(found, dtype=torch.int64, device=inputs.device)
