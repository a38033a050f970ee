"""A verdict on every run in plain words, with the numbers behind it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.markup import render_block
from grokprobe.plots.labels import scale_label
from grokprobe.plots.measured import at_epoch
from grokprobe.plots.results import ExperimentResults
from grokprobe.report.evidence import Evidence, Run, find_evidence, iterate_headlines, read_curve
from grokprobe.report.regimes import REGIME_NAMES, REGIME_PLURALS, Regime, describe_learning, describe_unit
from grokprobe.report.wording import say_count, say_list, say_number
from grokprobe.status import Status

#: A peak of the compressibility is said if it exceeds the final value by this share.
_NOTABLE_PEAK: Final = 0.05
#: The compressor that removes weights by chance.
_CHANCE: Final = "random"
_FEATURE_CORRELATION: Final = "weighted_correlation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said about one run."""

    #: Its seed and init_scale.
    seed: int
    init_scale: float
    #: How it learned.
    regime: Regime
    #: The same as people say it.
    label: str
    #: The verdict.
    sentences: tuple[str, ...]
    #: The numbers behind it and every other headline number.
    evidence: tuple[Evidence, ...]

    def _repr_html_(self) -> str:
        return render_block(
            f"init_scale {scale_label(self.init_scale)}, seed {self.seed}: {self.label}",
            header=("number", "value", "at"),
            rows=[
                (e.place, f"{say_number(e.value)} {e.units}".strip(), "" if e.epoch is None else e.epoch)
                for e in self.evidence
            ],
            lines=self.sentences,
        )


def list_runs(results: ExperimentResults) -> list[Run]:
    """Returns the runs of which anything was tried, sorted."""
    runs: set[Run] = set()
    for group in results.groups.values():
        if names.STATUS not in group:
            continue
        status = group[names.STATUS].load()
        is_tried = (status != int(Status.MISSING)).any([d for d in status.dims if d not in names.SUMMARY_DIMS])
        for seed in is_tried[names.SEED].to_numpy().tolist():
            for scale in is_tried[names.INIT_SCALE].to_numpy().tolist():
                if is_tried.sel({names.SEED: seed, names.INIT_SCALE: scale}):
                    runs.add((seed, scale))
    return sorted(runs, key=lambda run: (run[1], run[0]))


def judge_runs(results: ExperimentResults) -> tuple[Verdict, ...]:
    """Returns a verdict on every run, in ascending order of init_scale, then seed."""
    return tuple(_judge(results, run) for run in list_runs(results))


def summarise_verdicts(verdicts: tuple[Verdict, ...]) -> str:
    """Returns how many runs there are of each regime: ``2 runs: 1 groks, 1 learns steadily``."""
    if not verdicts:
        return "No run was measured."
    counts = Counter(verdict.regime for verdict in verdicts)
    parts = [
        f"{counts[regime]} {name if counts[regime] == 1 else REGIME_PLURALS[regime]}"
        for regime, name in REGIME_NAMES.items()
        if counts[regime]
    ]
    return f"{say_count(len(verdicts), 'run')}: {', '.join(parts)}."


def _judge(results: ExperimentResults, run: Run) -> Verdict:
    learning = describe_learning(results, run)
    sentences = [*learning.sentences]
    sentences += _describe_features(results, run)
    sentences += _describe_compression(results, run, learning.regime)
    sentences += _describe_path(results, run)
    return Verdict(
        seed=run[0],
        init_scale=run[1],
        regime=learning.regime,
        label=REGIME_NAMES[learning.regime],
        sentences=tuple(sentences),
        evidence=tuple(_collect_evidence(results, run)),
    )


def _describe_features(results: ExperimentResults, run: Run) -> Iterator[str]:
    for path, group in results.of_kind(names.PROBES).items():
        label = path.partition("/")[2]
        if "ipr_mean" in group and names.DRAW not in group.dims:
            found = []
            for layer in group[names.LAYER].to_numpy().tolist():
                _, values = read_curve(group, "ipr_mean", run, {names.LAYER: layer})
                if len(values):
                    found.append(f"{say_number(values[-1])} in {layer} (at first {say_number(values[0])})")
            if found:
                means = "1 is one frequency a neuron"
                yield f"Frequencies ({label}): the mean participation ratio is {say_list(found)}; {means}."
        if _FEATURE_CORRELATION in group and names.DRAW not in group.dims:
            yield from _describe_strongest(group, label, run)


def _describe_strongest(group: xr.Dataset, label: str, run: Run) -> Iterator[str]:
    one = group.sel({names.SEED: [run[0]], names.INIT_SCALE: [run[1]]})
    values = at_epoch(one, _FEATURE_CORRELATION).isel(dict.fromkeys(names.SUMMARY_DIMS, 0))
    values = values.transpose(names.LAYER, names.FEATURE)
    if np.isfinite(values).any():
        layer, feature = np.unravel_index(np.nanargmax(values.to_numpy()), values.shape)
        yield (
            f"Features ({label}): it follows {values[names.FEATURE].to_numpy()[feature]} best, with a weighted"
            f" correlation of {say_number(float(values[layer, feature]))} in {values[names.LAYER].to_numpy()[layer]}."
        )


def _describe_compression(results: ExperimentResults, run: Run, regime: Regime) -> Iterator[str]:
    for path, group in results.holding(names.COMPRESSORS, "compressibility").items():
        label = path.partition("/")[2]
        if names.LAYER in group["compressibility"].dims:
            continue
        epochs, values = read_curve(group, "compressibility", run)
        if not len(values):
            continue
        text = f"Compressibility ({label}): {say_number(values[-1])}"
        if label.partition("@")[0] == _CHANCE:
            yield f"{text}, by removing weights at random."
            continue
        kept = read_curve(group, "amount_at_95_relative", run)[1]
        if len(kept) and regime not in ("memorises", "unlearned"):
            text += f"; {say_number(round(100 * kept[-1], 1))}\u00a0% can go before 5\u00a0% of its accuracy is lost"
        top = int(np.argmax(values))
        if values[top] > (1 + _NOTABLE_PEAK) * values[-1]:
            text += f"; its peak was {say_number(values[top])} at {describe_unit(results)} {epochs[top]}"
        yield f"{text}."


def _describe_path(results: ExperimentResults, run: Run) -> Iterator[str]:
    for path, group in results.holding(names.GEOMETRY, "straightness").items():
        epochs, values = read_curve(group, "straightness", run)
        if len(values) and values[-1] > 0:
            yield (
                f"Path ({path.partition('/')[2]}): {say_number(1 / values[-1])} times as long as the straight line"
                f" from its first checkpoint to that of {describe_unit(results)} {epochs[-1]}"
                f" (straightness {say_number(values[-1])})."
            )


def _collect_evidence(results: ExperimentResults, run: Run) -> Iterator[Evidence]:
    summary = results.summary
    shown = set()
    for evidence in iterate_headlines(results, run):
        shown.add(evidence.place)
        yield evidence
    if summary is not None:
        for name in sorted(map(str, summary.data_vars)):
            if name != names.STATUS and f"{names.SUMMARY}/{name}" not in shown:
                yield find_evidence(results, f"{names.SUMMARY}/{name}", run)
    for path in results.holding(names.COMPRESSORS, "amount_at_95_relative"):
        if not results.groups[path]["amount_at_95_relative"].dims[3:]:
            yield find_evidence(results, f"{path}/amount_at_95_relative", run)
    for path in results.holding(names.GEOMETRY, "straightness"):
        yield find_evidence(results, f"{path}/straightness", run)
