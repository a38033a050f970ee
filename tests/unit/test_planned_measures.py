from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.planned_measures import build_all_requests, build_requests, check_tables, plan_measures
from grokprobe.planning import check_unchanged
from grokprobe.plugins import Plugins, load_plugins
from unit.made_probes import MadeProbe, install_plugin


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    size: int = Field(default=1, ge=1)
    kind: str = "plain"


class Sized(MadeProbe):
    options: Any = Options

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.variants: Mapping[str, Mapping[str, Any]] = {"big": {"size": 7, "kind": "wide"}}


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    cheap = Sized("sized", lambda context: 1.0)
    cheap.is_cheap = True
    return load_plugins(install_plugin(monkeypatch, "planned", cheap, MadeProbe("dear", lambda context: 1.0)))


def labels(plugins: Plugins, chosen: list[str] | None) -> list[str]:
    return [request.label for request in build_requests(names.PROBES, chosen, plugins, {})]


def test_nothing_named_is_the_cheap_ones(plugins: Plugins) -> None:
    assert "sized" in labels(plugins, None)
    assert "dear" not in labels(plugins, None)
    assert {"sized", "dear"} <= set(labels(plugins, ["all"]))
    assert labels(plugins, ["dear", "sized@b", "dear"]) == ["dear", "sized@b"]
    with pytest.raises(UsageError, match="expected at least one name among"):
        labels(plugins, [])


def test_a_label_has_its_own_options(plugins: Plugins) -> None:
    settings = {"sized": {"size": 2}, "sized@mine": {"size": 9}}
    requests = build_requests(names.PROBES, ["sized", "sized@mine", "sized@other"], plugins, settings)
    planned = plan_measures(requests, plugins)
    assert [measure.group for measure in planned] == ["probes/sized", "probes/sized@mine", "probes/sized@other"]
    assert [measure.options.model_dump()["size"] for measure in planned] == [2, 9, 1]
    assert planned[0].attributes()["options"] == {"size": 2, "kind": "plain"}
    assert planned[0].attributes()["distribution"] == "planned"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"size": 0}, r"sized\.size: .*greater than or equal to 1.*found 0"),
        ({"size": "x"}, r"sized\.size: .*found ['\"]x"),
        ({"sise": 2}, r"sized\.sise: .*size"),
        ({"size": 0, "kind": 3}, r"sized\.size.*; sized\.kind"),
    ],
)
def test_every_fault_of_the_options_is_named(plugins: Plugins, options: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        plan_measures(build_requests(names.PROBES, ["sized"], plugins, {"sized": options}), plugins)


def test_a_variant_stands_for_options_that_settings_override(plugins: Plugins) -> None:
    settings = {"sized@big": {"size": 3}}
    (measure,) = plan_measures(build_requests(names.PROBES, ["sized@big"], plugins, settings), plugins)
    assert measure.options.model_dump() == {"size": 3, "kind": "wide"}
    (measure,) = plan_measures(build_requests(names.PROBES, ["sized@big"], plugins, {}), plugins)
    assert measure.options.model_dump() == {"size": 7, "kind": "wide"}


def test_a_misspelt_variant_is_no_silent_default(plugins: Plugins) -> None:
    def plan(label: str, **options: Any) -> Any:
        return plan_measures(build_requests(names.PROBES, [label], plugins, {label: options}), plugins)[0].options

    with pytest.raises(UsageError, match=r"sized@null-reinitialized: .*did you mean sized@null-reinitialised\?"):
        plan("sized@null-reinitialized")
    assert plan("sized@null-reinitialized", size=2).model_dump()["copies"] == "permuted"  # somebody means it
    assert plan("sized@mine").model_dump() == {"size": 1, "kind": "plain"}


def test_naming_one_kind_leaves_out_the_others(plugins: Plugins) -> None:
    def groups(probes: list[str] | None, geometry: list[str] | None) -> list[str]:
        labels = {names.PROBES: probes, names.GEOMETRY: geometry}
        return [f"{request.kind}/{request.label}" for request in build_all_requests(labels, plugins, {})]

    assert groups(["dear"], None) == ["probes/dear"]
    assert "probes/sized" in groups(None, None)
    assert "probes/dear" not in groups(None, None)


def test_one_label_in_two_kinds_is_told_apart_by_the_kind(plugins: Plugins) -> None:
    (probe,) = build_requests(names.PROBES, ["sized"], plugins, {"probes/sized": {"size": 4}})
    assert probe.options == {"size": 4}
    other = type(probe)(kind=names.COMPRESSORS, name="sized", label="sized")
    check_tables({"probes/sized": {}, "compressors/sized": {}}, [probe, other])
    with pytest.raises(UsageError, match="say which measure is meant: probes/sized or compressors/sized"):
        check_tables({"sized": {}}, [probe, other])


def test_a_group_measured_otherwise_is_refused(plugins: Plugins) -> None:
    (first, second) = plan_measures(
        build_requests(names.PROBES, ["sized", "sized@b"], plugins, {"sized@b": {"size": 2}}), plugins
    )
    check_unchanged(first, first.attributes(), "e/probes/sized")
    with pytest.raises(UsageError, match=r"e/probes/sized was measured with options .*'size': 1.*label \(sized@…\)"):
        check_unchanged(second, first.attributes(), "e/probes/sized")
