"""What follows from a measured dataset: Dataset → Dataset, one noun of the field a module.

:mod:`summary <grokprobe.derive.summary>` and :mod:`paths <grokprobe.derive.paths>` are stored with every analysis. The
rest is for whoever reads a dataset: :mod:`seeds <grokprobe.derive.seeds>`,
:mod:`transient <grokprobe.derive.transient>`, :mod:`line_fit <grokprobe.derive.line_fit>`,
:mod:`run_values <grokprobe.derive.run_values>` and :mod:`correlation_panel <grokprobe.derive.correlation_panel>`.
"""

from grokprobe.derive.last_value import last_known
from grokprobe.derive.summary import SUMMARY_SPECS, summarise
from grokprobe.derive.times import (
    compute_arrival,
    compute_plateau_end,
    compute_settling,
    compute_steepest_rise,
)

__all__ = [
    "SUMMARY_SPECS",
    "compute_arrival",
    "compute_plateau_end",
    "compute_settling",
    "compute_steepest_rise",
    "last_known",
    "summarise",
]
