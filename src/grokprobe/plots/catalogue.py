"""Every figure that the results of an experiment give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from grokprobe import names
from grokprobe.faults import suggest
from grokprobe.plots.families import FAMILIES, PlannedFigure
from grokprobe.plots.provided import full_name, list_provided, plan_provided
from grokprobe.plots.results import ExperimentResults
from grokprobe.plots.variable import draw_variable, explain_undrawable
from grokprobe.plugins import Plugins

#: Variables that every group has and that are no results.
_BOOKKEEPING = frozenset({names.STATUS, names.CHECKPOINT_DIGEST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The figures of one experiment."""

    #: Figures of the families, then those of plugins, then the default figure of every variable, by name.
    figures: Mapping[str, PlannedFigure]
    #: Family, figure of a plugin or variable → why there is no figure.
    not_applicable: Mapping[str, str]
    #: ``DISTRIBUTION:NAME`` of every figure of a plugin → the name it goes by, which may be shorter.
    full_names: Mapping[str, str] = field(default_factory=dict)

    def knows(self, name: str) -> bool:
        """Says whether a name stands for a figure, a family, a group or a variable of this experiment."""
        return any(self._stands_for(name, other) for other in (*self.figures, *self.not_applicable))

    def choose(self, wanted: Sequence[str]) -> "Catalogue":
        """Returns the figures, and the reasons for none, that some names stand for."""

        def is_wanted(figure: str) -> bool:
            return any(self._stands_for(name, figure) for name in wanted)

        return replace(
            self,
            figures={name: figure for name, figure in self.figures.items() if is_wanted(name)},
            not_applicable={name: why for name, why in self.not_applicable.items() if is_wanted(name)},
        )

    def without_copies(self) -> "Catalogue":
        """Returns the same without the figures that show what another one shows."""
        figures = {name: figure for name, figure in self.figures.items() if not figure.copy_of}
        return replace(self, figures=figures)

    def explain_unknown(self, name: str) -> str:
        """Returns the message about a name that stands for nothing."""
        families = [family.name for family in FAMILIES]
        if claims := [full for full, used in self.full_names.items() if full == used and full.endswith(f":{name}")]:
            return f"figure {name!r} is provided by several plugins; say which one: {', '.join(claims)}"
        near = suggest(name, [*families, *self.figures, *self.not_applicable])
        if "did you mean" not in near:
            near = f"; families: {', '.join(families)}"
        return f"{name}: no such figure{near}; grokprobe plot --list lists them all"

    def _stands_for(self, name: str, figure: str) -> bool:
        name = self.full_names.get(name, name)
        return figure == name or figure.startswith((f"{name}.", f"{name}/"))


def list_figures(results: ExperimentResults, plugins: Plugins | None = None) -> Catalogue:
    """Returns every figure of an experiment.

    A family gives one figure for each group that has what it needs, and so does a figure that a plugin brings. Every
    variable of a probe, compressor or metric has a default figure, named by its place as ``probes/weights/norm``; so
    the measures of a plugin have figures too.

    Args:
        results: of the experiment.
        plugins: whose own figures are listed too.
    """
    figures: dict[str, PlannedFigure] = {}
    reasons: dict[str, str] = {}
    shown: dict[str, str] = {}
    for family in FAMILIES:
        planned = {f"{family.name}.{plan.label}" if plan.label else family.name: plan for plan in family.plan(results)}
        for name, plan in planned.items():
            figures[name] = PlannedFigure(name=name, caption=family.caption, draw=plan.draw)
        shown |= {plan.shows: name for name, plan in planned.items()}
        if not planned:
            reasons[family.name] = f"needs {family.needs}"
    provided = list_provided(plugins) if plugins is not None else {}
    for name, entry in provided.items():
        own, why_none = plan_provided(name, entry, results)
        figures |= {figure.name: figure for figure in own}
        reasons |= {name: why_none} if why_none else {}
    for path, group in results.groups.items():
        if path in (names.HISTORY, names.SUMMARY):
            continue
        for variable in sorted(set(map(str, group.data_vars)) - _BOOKKEEPING):
            name = f"{path}/{variable}"
            if reason := explain_undrawable(group, variable):
                reasons[name] = reason
            else:
                caption = str(group[variable].attrs.get("description", ""))
                figures[name] = PlannedFigure(
                    name=name,
                    caption=caption,
                    draw=lambda g=group, v=variable: draw_variable(g, v, summary=results.summary),
                    copy_of=shown.get(name, ""),
                )
    full_names = {full_name(entry): name for name, entry in provided.items()}
    return Catalogue(figures=figures, not_applicable=reasons, full_names=full_names)
