"""What the page says in words, as HTML with everything escaped that comes from a store."""

import html
from collections.abc import Sequence

from grokprobe.dashboard.moment import Moment
from grokprobe.dashboard.opened import OpenedExperiment
from grokprobe.dashboard.view import View
from grokprobe.derive.equal_loss import EqualLoss
from grokprobe.plots.labels import scale_label
from grokprobe.report.evidence import Run
from grokprobe.report.regimes import describe_unit
from grokprobe.report.wording import say_count, say_number


def render_numbers(opened: OpenedExperiment, moments: Sequence[Moment | None]) -> str:
    """Returns the table of headline numbers of both runs; None for no second run."""
    if not opened.headlines:
        return "<p>No measure of this experiment has headline numbers along the runs.</p>"
    heads = [_head(name, moment, describe_unit(opened.results)) for name, moment in zip("AB", moments, strict=True)]
    rows = []
    for place, headline in enumerate(opened.headlines):
        attributes = opened.results.groups[headline.path][headline.name].attrs
        units = str(attributes.get("units", ""))
        label = f"{headline.label} ({units})" if units not in ("", "1") else headline.label
        cells = "".join(
            f'<td class="value">{html.escape(moment.numbers[place].say(moment.epoch)) if moment else ""}</td>'
            for moment in moments
        )
        definition = html.escape(str(attributes.get("description", "")))
        rows.append(f'<tr><th scope="row" title="{definition}"><code>{html.escape(label)}</code></th>{cells}</tr>')
    return (
        '<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">number</th>'
        f"{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def render_match(view: View, match: EqualLoss | None, opened: OpenedExperiment) -> str:
    """Returns where the second run has the test loss of the first; empty where that was not asked for."""
    if not view.is_matched:
        return ""
    unit = describe_unit(opened.results)
    if match is None:
        return "<p>The test loss of both is not known there, so B is shown at the same epoch.</p>"
    nearest = "B is nearest" if match.is_near else "B never comes near, and is nearest"
    return (
        f"<p>A at {unit} {view.epoch} has test loss {say_number(match.target, 4)}; {nearest} at {unit}"
        f" {match.epoch}, with {say_number(match.loss, 4)}.</p>"
    )


def render_problems(opened: OpenedExperiment) -> str:
    """Returns what failed and what else should be known."""
    failures = [
        f'<div class="failure"><p><strong>{failure.count} failed: <code>{html.escape(failure.group)}</code></strong>'
        f"</p><p>{html.escape(failure.reason)}</p><details><summary>Where</summary><ul>"
        f"{''.join(f'<li>{html.escape(where)}</li>' for where in failure.where)}</ul></details></div>"
        for failure in opened.failures
    ]
    warnings = [f'<p class="warning">{html.escape(warning)}</p>' for warning in opened.warnings]
    if opened.left_out:
        more = html.escape("; ".join(opened.left_out))
        count = say_count(len(opened.left_out), "panel")
        warnings.append(f'<p class="warning">{count} not shown, the figures have them: {more}</p>')
    return "".join([*failures, *warnings]) or "<p>None.</p>"


def render_fault(text: str) -> str:
    """Returns a warning; empty for nothing."""
    return f'<p class="warning" role="status">{html.escape(text)}</p>' if text else ""


def _head(name: str, moment: Moment | None, unit: str) -> str:
    words = "" if moment is None else f": {_name_run(moment.run)}, {unit} {moment.epoch}"
    return f'<th scope="col"><span class="key {name.lower()}" aria-hidden="true"></span>{name}{words}</th>'


def _name_run(run: Run) -> str:
    return f"init_scale {scale_label(run[1])}, seed {run[0]}"
