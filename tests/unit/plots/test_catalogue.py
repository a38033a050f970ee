from pathlib import Path

import pytest
from click.testing import CliRunner

from grokprobe.cli import main
from grokprobe.plots import FAMILIES, ExperimentResults, list_figures
from unit.made_results import Sweep, write_results


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_families_and_variables_are_listed(made: ExperimentResults) -> None:
    catalogue = list_figures(made)
    families = {name.partition(".")[0] for name in catalogue.figures if "/" not in name}
    assert families | set(catalogue.not_applicable) >= {family.name for family in FAMILIES}
    assert catalogue.not_applicable["fisher"] == "needs the probe fisher"
    assert "several dimensions" in catalogue.not_applicable["probes/strange/sheet"]
    assert catalogue.figures["probes/fourier/ipr"].copy_of == "ipr.fourier"
    assert "probes/fourier/ipr" not in catalogue.without_copies().figures
    assert catalogue.figures["probes/strange/height"].caption == "<b>Made</b> height."
    assert not any("status" in name or "digest" in name for name in catalogue.figures)


def test_a_store_without_history_says_what_is_missing(tmp_path: Path) -> None:
    result = run("plot", write_results(tmp_path / "r.zarr", Sweep(without=("history",))), "--list")
    rows = {line.split()[1]: line for line in result.stdout.splitlines()[1:]}
    assert "no   " in rows["training"]
    assert "needs the group history" in rows["training"]


@pytest.mark.parametrize(
    ("figures", "files"),
    [
        (["training"], {"training.svg"}),
        (["steps", "ipr.fourier"], {"steps.fisher.svg", "ipr.fourier.svg"}),
        (["probes/energy"], {"probes.energy.weighted_correlation.svg"}),
    ],
)
def test_figures_by_name(made_store: Path, tmp_path: Path, figures: list[str], files: set[str]) -> None:
    result = run("plot", made_store, *figures, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    written = list((tmp_path / "out" / "made").iterdir())
    assert {path.name for path in written} == files
    assert set(result.stdout.split()) == {str(path) for path in written}


def test_png(made_store: Path, tmp_path: Path) -> None:
    assert run("plot", made_store, "probes/strange/height", "--out", tmp_path, "--format", "png").exit_code == 0
    assert (tmp_path / "made" / "probes.strange.height.png").read_bytes().startswith(b"\x89PNG")


def test_what_does_not_apply_is_said_and_is_no_failure(made_store: Path, tmp_path: Path) -> None:
    result = run("plot", made_store, "fisher", "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no figure: made fisher: needs the probe fisher\n"


def test_an_unknown_figure_is_a_usage_error(made_store: Path) -> None:
    result = run("plot", made_store, "trainin")
    assert result.exit_code == 2
    assert "trainin: no such figure; did you mean 'training'?" in result.stderr


def test_no_store_is_a_usage_error(tmp_path: Path) -> None:
    for command in ("plot", "report"):
        assert run(command, tmp_path / "nothing").exit_code == 2


def test_a_figure_that_cannot_be_drawn_costs_itself(
    made_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("made")

    monkeypatch.setattr("grokprobe.plots.plans.plot_training", fail)
    result = run("plot", made_store, "training", "probes/strange/height", "--out", tmp_path)
    assert result.exit_code == 3
    assert "failed: made training: RuntimeError: made" in result.stderr
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["probes.strange.height.svg"]


def test_writing_that_fails_ends_with_6(made_store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (("plot", made_store, "probes/strange/height"), ("report", made_store)):
        assert run(*command, "--out", tmp_path / "file" / "x").exit_code == 6
