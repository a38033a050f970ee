"""Loss and accuracy at the checkpoints, for runs that brought no history of their own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.evaluation import evaluate
from grokprobe.history import HISTORY_SPECS
from grokprobe.interfaces import Applicability, Context, Requirement, Samples, Subject
from grokprobe.variables import Measurement, VariableSpec


class HistoryOptions(BaseModel):
    """The evaluated history has no options."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EvaluatedHistory:
    """Mean loss and accuracy over the full training and test split at one checkpoint.

    A run written by ``grokprobe train`` brings its own history, recorded during training at its own cadence; for any
    other run the group ``history`` is measured by this probe at the stored checkpoints. Test values are NaN where
    there is no test split.
    """

    name = names.HISTORY
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = True
    options: type[BaseModel] = HistoryOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: HistoryOptions) -> Applicability:
        """Applies wherever its requirements are met by a task."""
        del options
        return Applicability(reason="" if subject.task is not None else "no task says what the loss is")

    def variables(self, options: HistoryOptions) -> tuple[VariableSpec, ...]:
        """Returns the four curves of a training history."""
        del options
        return HISTORY_SPECS

    def measure(self, context: Context) -> Measurement:
        """Evaluates both splits."""
        task = context.subject.task
        has_test = Requirement.TEST_SPLIT in context.subject.available
        empty = Samples(inputs=torch.empty(0), targets=torch.empty(0))

        def apply(inputs: torch.Tensor) -> torch.Tensor:
            return context.apply(context.parameters, inputs)

        if task is None:
            raise UsageError("expected a task, found none: the history does not apply")
        train = evaluate(task, apply, context.train)
        test = evaluate(task, apply, context.test if has_test else empty)
        values = {
            names.TRAIN_LOSS: train.loss,
            names.TRAIN_ACCURACY: train.accuracy,
            names.TEST_LOSS: test.loss,
            names.TEST_ACCURACY: test.accuracy,
        }
        return Measurement(values={name: np.asarray(value) for name, value in values.items()}, coordinates={})
