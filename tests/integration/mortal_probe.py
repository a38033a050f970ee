"""A plugin whose probe kills the process that measures, when the environment says so."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Applicability, Context, Probe, Requirement
from grokprobe.variables import Measurement, VariableSpec

#: Names a file: where it does not exist, it is made, and the process is killed.
ONCE = "GROKPROBE_TEST_DIES_ONCE"
#: Set where every worker process is killed.
ALWAYS = "GROKPROBE_TEST_DIES_ALWAYS"
#: Where it happens: in the middle of a unit.
RUN, EPOCH = (1, 3.0), 20


class NoOptions(BaseModel):
    """None."""


class MortalProbe:
    """Measures the sum of all parameters, if the process lives on."""

    name = "mortal"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    options: type[Any] = NoOptions
    variants: Any = {}  # noqa: RUF012 - as the protocol has it
    is_cheap = False

    def applies(self, subject: Any, options: Any) -> Applicability:
        return Applicability()

    def variables(self, options: Any) -> tuple[VariableSpec, ...]:
        return (VariableSpec(name="total", description="The sum of all parameters.", reference="grokprobe"),)

    def measure(self, context: Context) -> Measurement:
        if (context.run.seed, context.run.init_scale) == RUN and context.epoch == EPOCH:
            _die_if_told()
        total = sum(float(tensor.double().sum()) for tensor in context.parameters.values())
        return Measurement(values={"total": np.asarray(total)}, coordinates={})


@hookimpl
def grokprobe_probes() -> tuple[Probe, ...]:
    return (MortalProbe(),)


def _die_if_told() -> None:
    is_now = ALWAYS in os.environ and multiprocessing.parent_process() is not None
    if ONCE in os.environ and not Path(os.environ[ONCE]).exists():
        Path(os.environ[ONCE]).touch()
        is_now = True
    if is_now:
        os.kill(os.getpid(), signal.SIGKILL)
