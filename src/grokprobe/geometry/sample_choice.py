"""Which samples a Fisher metric is the mean over."""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from grokprobe.errors import UsageError
from grokprobe.interfaces import Applicability, Context, Requirement, Samples, Subject
from grokprobe.numerics.output_fisher import LikelihoodName


class SampleOptions(BaseModel):
    """Options of every measure of Fisher information."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: The samples that the mean is over; ``all`` is the training samples followed by the test samples.
    split: Literal["train", "test", "all"] = "train"
    #: How many of them, the first ones in the order of the split; None for all.
    num_samples: int | None = Field(default=None, ge=1)


def choose_samples(context: Context, options: SampleOptions) -> Samples:
    """Returns the samples that ``options`` mean.

    Raises:
        UsageError: the split has fewer than ``num_samples``, or none.
    """
    samples = _choose_split(context, options)
    count = len(samples) if options.num_samples is None else options.num_samples
    if not 1 <= count <= len(samples):
        raise UsageError(
            f"Fisher information: expected at least {max(1, count)} samples in the split {options.split!r}, found"
            f" {len(samples)}; choose another split, or num_samples"
        )
    return Samples(inputs=samples.inputs[:count], targets=samples.targets[:count])


def judge_samples(subject: Subject, options: SampleOptions) -> Applicability:
    """Says whether the split that ``options`` mean is there; the training split is required of every subject."""
    if options.split != "train" and Requirement.TEST_SPLIT not in subject.available:
        return Applicability(reason=f"its test split is unknown or empty, and the option split is {options.split!r}")
    return Applicability()


def judge_likelihood(subject: Subject, options: SampleOptions) -> Applicability:
    """Says whether a task declares a likelihood, and whether the samples are there."""
    if subject.task is None:
        return Applicability(reason="no task says what the likelihood is")
    return judge_samples(subject, options)


def find_likelihood(context: Context) -> LikelihoodName:
    """Returns what the outputs of the task's network parametrise.

    Raises:
        UsageError: no task.
    """
    task = context.subject.task
    if task is None:
        raise UsageError("Fisher information: expected a task that declares a likelihood, found none")
    return task.likelihood.value


def _choose_split(context: Context, options: SampleOptions) -> Samples:
    if options.split == "train":
        return context.train
    if options.split == "test":
        return context.test
    train, test = context.train, context.test
    return Samples(inputs=torch.cat([train.inputs, test.inputs]), targets=torch.cat([train.targets, test.targets]))
