"""When a run learned, in plain words."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.derive.summary import TIME_DEFINITIONS
from grokprobe.plots.results import ExperimentResults
from grokprobe.report.evidence import Run, read_curve, read_number
from grokprobe.report.wording import say_count, say_number

Regime = Literal["groks", "steady", "memorises", "unlearned", "unknown"]
#: Regime → its name as people say it.
REGIME_NAMES: Final[dict[Regime, str]] = {
    "groks": "groks",
    "steady": "learns steadily",
    "memorises": "does not generalise",
    "unlearned": "does not learn",
    "unknown": "not known",
}

#: The same of several runs.
REGIME_PLURALS: Final[dict[Regime, str]] = {
    "groks": "grok",
    "steady": "learn steadily",
    "memorises": "do not generalise",
    "unlearned": "do not learn",
    "unknown": "not known",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What a run learned, and when."""

    #: Which of the regimes.
    regime: Regime
    #: Sentences that say it with its numbers.
    sentences: tuple[str, ...]


def describe_learning(results: ExperimentResults, run: Run) -> Learning:
    """Says in which regime a run learned, by Definition 2, and how many of the other definitions agree."""
    history, summary = results.history, results.summary
    if history is None or summary is None:
        return Learning(
            regime="unknown", sentences=("Its accuracy along the run is not known, so neither is when it learned.",)
        )
    epochs, accuracy = read_curve(history, names.TEST_ACCURACY, run)
    if not len(epochs):
        return Learning(regime="unknown", sentences=("No accuracy of this run is defined.",))
    train, test = (read_number(summary, f"{name}_epoch", run) for name in ("train", "test"))
    final = f"Its test accuracy ends at {say_number(float(accuracy[-1]))}, at {describe_unit(results)} {epochs[-1]}."
    if len(epochs) == 1:
        return Learning(
            regime="unknown",
            sentences=(f"Its accuracy is known at one {describe_unit(results)} alone, so not when it learned.", final),
        )
    regime = _decide(train, test, read_number(summary, "groks", run))
    return Learning(
        regime=regime,
        sentences=(_describe_times(regime, train, test, results), *_describe_agreement(summary, run), final),
    )


def _decide(train: float, test: float, groks: float) -> Regime:
    if np.isfinite(groks):
        return "groks" if groks == 1 else "steady"
    return "memorises" if np.isfinite(train) and not np.isfinite(test) else "unlearned"


def _describe_times(regime: Regime, train: float, test: float, results: ExperimentResults) -> str:
    unit = describe_unit(results)
    if regime == "memorises":
        return f"It fits the training data at {unit} {say_number(train)} and, as far as measured, not the test data."
    if regime == "unlearned":
        return "It learns neither the training nor the test data as far as measured."
    delay = test - train
    later = f"{say_count(int(abs(delay)), unit)} {'later' if delay >= 0 else 'earlier'}"
    compared = "longer" if regime == "groks" else "no longer"
    return (
        f"It fits the training data at {unit} {say_number(train)} and the test data at {unit} {say_number(test)},"
        f" {later}: {compared} than it took to fit the training data."
    )


def _describe_agreement(summary: xr.Dataset, run: Run) -> tuple[str, ...]:
    verdicts = [read_number(summary, f"groks{definition.suffix}", run) for definition in TIME_DEFINITIONS]
    known = [verdict for verdict in verdicts if np.isfinite(verdict)]
    if not np.isfinite(verdicts[0]) or len(known) < 2:
        return ()
    num_agreeing = sum(verdict == verdicts[0] for verdict in known)
    if num_agreeing == len(known):
        return (f"All {len(known)} definitions of these times that apply agree.",)
    return (f"{num_agreeing} of {len(known)} definitions of these times agree; look at the curves.",)


def describe_unit(results: ExperimentResults) -> str:
    """Returns what the runs count: ``epoch`` or ``step``."""
    return str(results.attributes.get("epoch_units", "epochs")).removesuffix("s") or "epoch"
