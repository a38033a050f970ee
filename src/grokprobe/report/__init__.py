"""One self-contained page about a results store: verdicts, figures, an epoch slider, failures and provenance.

The page needs no network and no installed plugin: everything is read from the store.
"""

from grokprobe.report.page import build_report, write_report
from grokprobe.report.verdicts import Verdict, judge_runs

__all__ = ["Verdict", "build_report", "judge_runs", "write_report"]
