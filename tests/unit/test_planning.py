from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

import grokprobe
from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.planning import (
    build_requests,
    check_unchanged,
    epochs_by_run,
    find_wanted,
    leading_order,
    plan_measures,
)
from grokprobe.plugins import Plugins, load_plugins
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry
from strangers import write_stranger_run
from unit.made_probes import MadeProbe, install_plugin


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    size: int = Field(default=1, ge=1)
    kind: str = "plain"


class Sized(MadeProbe):
    options: Any = Options


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
    settings = {"sized": {"size": 2}, "sized@big": {"size": 9}}
    requests = build_requests(names.PROBES, ["sized", "sized@big", "sized@other"], plugins, settings)
    planned = plan_measures(requests, plugins)
    assert [measure.group for measure in planned] == ["probes/sized", "probes/sized@big", "probes/sized@other"]
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


def test_a_group_measured_otherwise_is_refused(plugins: Plugins) -> None:
    (first, second) = plan_measures(
        build_requests(names.PROBES, ["sized", "sized@b"], plugins, {"sized@b": {"size": 2}}), plugins
    )
    check_unchanged(first, first.attributes(), "e/probes/sized")
    with pytest.raises(UsageError, match=r"e/probes/sized was measured with options .*'size': 1.*label \(sized@…\)"):
        check_unchanged(second, first.attributes(), "e/probes/sized")


AT = Coordinate("e/probes/p", 0, 1.0, 0)


@pytest.mark.parametrize(
    ("entry", "retry_failed", "is_wanted"),
    [
        (None, False, True),
        (Entry(status=Status.OK, inputs="now"), False, False),
        (Entry(status=Status.OK, inputs="now"), True, False),
        (Entry(status=Status.OK, inputs="before"), False, True),
        (Entry(status=Status.FAILED, inputs="now"), False, False),
        (Entry(status=Status.FAILED, inputs="now"), True, True),
        (Entry(status=Status.REFUSED, inputs="now"), True, True),
        (Entry(status=Status.FAILED, inputs="before"), False, True),
        (Entry(status=Status.MISSING, inputs="now"), False, True),
    ],
)
def test_what_is_left_to_do(entry: Entry | None, *, retry_failed: bool, is_wanted: bool) -> None:
    entries = {} if entry is None else {AT: entry}
    found = find_wanted(entries, {AT: "now"}, retry_failed=retry_failed, recompute=False)
    assert found == ({AT} if is_wanted else set())
    assert find_wanted(entries, {AT: "now"}, retry_failed=retry_failed, recompute=True) == {AT}
    assert find_wanted(entries, {}, retry_failed=True, recompute=True) == set()


def test_epochs_by_run() -> None:
    other = Coordinate("e/probes/p", 1, 1.0, 5)
    assert epochs_by_run([AT, AT._replace(epoch=3), other]) == {
        ("e/probes/p", (0, 1.0)): {0, 3}, ("e/probes/p", (1, 1.0)): {5}
    }  # fmt: skip


def test_known_coordinates_keep_their_order() -> None:
    order = leading_order({"epoch": [30, 10]}, {"seed": [1, 0, 1], "init_scale": [2.0], "epoch": [20, 10, 5]})
    assert order == {"seed": [0, 1], "init_scale": [2.0], "epoch": [30, 10, 5, 20]}


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stranger_run(tmp_path / "run", [0, 1])

    def never(context: Any) -> float:
        raise AssertionError("measured in a dry run")

    selection = install_plugin(monkeypatch, "planned", MadeProbe("dear", never))
    report = grokprobe.analyze(
        tmp_path / "run", out=tmp_path / "r.zarr", probes=["dear"], plugins=selection, dry_run=True
    )
    assert report.experiments[0].measured == {"probes/dear": (2, 2)}
    assert not (tmp_path / "r.zarr").exists()


def test_unknown_options_of_analyze_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected options among .*probes.*, found 'prober'"):
        grokprobe.analyze(tmp_path, prober=["weights"])
