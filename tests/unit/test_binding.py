import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import grokprobe
from grokprobe.analysis import AnalysisReport
from grokprobe.errors import UsageError
from grokprobe.evaluation import FormEvaluator
from grokprobe.interfaces import Context, Evaluation, Parameters, Requirement, Samples
from grokprobe.splits import split_samples
from unit.foreign_network import HIDDEN, SETTINGS, TASK, P, build_network, write_foreign_run
from unit.made_probes import MadeProbe, install_plugin

MODEL = frozenset({Requirement.MODEL})
ONE = torch.eye(2 * P)[:1]


def first_logit(context: Context) -> float:
    return context.apply(context.parameters, ONE)[0, 0].item()


class Bench:
    """Checkpoints of a foreign network, and one probe."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.monkeypatch = root, monkeypatch
        write_foreign_run(root / "run", [0, 10])

    def analyze(self, probe: MadeProbe, *settings: str, **options: Any) -> AnalysisReport:
        selection = install_plugin(self.monkeypatch, "bench_plugin", probe)
        return grokprobe.analyze(
            self.root / "run", out=self.root / "r.zarr", plugins=selection, probes=[probe.name], layout="{epoch}.pt",
            name="foreign", settings=settings, **options,
        )  # fmt: skip

    def values(self, name: str = "logit") -> list[float]:
        return grokprobe.open_results(self.root / "r.zarr")[f"foreign/probes/{name}"].value.to_numpy().ravel().tolist()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def expected_logits() -> list[float]:
    return [build_network(epoch)(ONE)[0, 0].item() for epoch in (0, 10)]


def test_a_foreign_network_is_mapped_onto_the_task(bench: Bench) -> None:
    report = bench.analyze(MadeProbe("logit", first_logit, requires=MODEL), *SETTINGS, task="modular_addition")
    assert report.exit_code == 0
    assert bench.values() == pytest.approx(expected_logits(), rel=1e-6)


def test_a_network_of_ones_own_needs_no_task(bench: Bench) -> None:
    module = ModuleType("my_networks")

    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch.nn.Sequential(
                torch.nn.Linear(2 * P, HIDDEN), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(HIDDEN, P)
            )
            self.model = torch.nn.ModuleDict({"0": self.model[0], "2": self.model[3]})

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model["2"](torch.nn.functional.dropout(self.model["0"](x).relu(), 0.5, self.training))

    vars(module)["build"] = Wrapped
    bench.monkeypatch.setitem(sys.modules, "my_networks", module)
    probe = MadeProbe("logit", first_logit, requires=MODEL)
    assert bench.analyze(probe, model="my_networks:build").exit_code == 0
    assert bench.values() == pytest.approx(expected_logits(), rel=1e-6)


@pytest.mark.parametrize("is_own", [True, False])
def test_evaluation_is_that_of_the_network_in_use(bench: Bench, is_own: bool) -> None:
    class Negated(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = build_network(0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -self.model(x)

    module = ModuleType("my_networks")
    vars(module)["build"] = Negated
    bench.monkeypatch.setitem(sys.modules, "my_networks", module)
    fast: list[Samples] = []
    plain = FormEvaluator.evaluate

    def evaluate(self: FormEvaluator, parameters: Parameters, samples: Samples) -> Evaluation:
        fast.append(samples)
        return plain(self, parameters, samples)

    bench.monkeypatch.setattr(FormEvaluator, "evaluate", evaluate)

    def test_loss(context: Context) -> float:
        subset = context.test.at(torch.arange(len(context.test)))  # equal samples, evaluated by the network itself
        assert context.evaluate(context.parameters, context.test).loss == pytest.approx(
            context.evaluate(context.parameters, subset).loss, rel=1e-6
        )
        return context.evaluate(context.parameters, context.test).loss

    probe = MadeProbe("loss", test_loss, requires=frozenset({Requirement.MODEL, Requirement.TEST_SPLIT}))
    settings = (*SETTINGS, "task.split=seed:0")
    model = {} if is_own else {"model": "my_networks:build"}
    assert bench.analyze(probe, *settings, task="modular_addition", **model).exit_code == 0
    test = split_samples(TASK, "seed:0", "")[1]
    sign = 1 if is_own else -1
    outputs = [sign * build_network(epoch)(test.inputs).detach() for epoch in (0, 10)]
    expected = [float(TASK.loss(one, test.targets)) for one in outputs]
    assert bool(fast) is is_own
    assert bench.values("loss") == pytest.approx(expected, rel=1e-6)


def test_samples_of_the_measure_need_no_split(bench: Bench) -> None:
    samples = Samples(inputs=torch.eye(2 * P)[:3], targets=torch.arange(3))
    probe = MadeProbe("loss", lambda context: context.evaluate(context.parameters, samples).loss, requires=MODEL)
    assert bench.analyze(probe, *SETTINGS, task="modular_addition").exit_code == 0
    outputs = [build_network(epoch)(samples.inputs).detach() for epoch in (0, 10)]
    assert bench.values("loss") == pytest.approx([float(TASK.loss(one, samples.targets)) for one in outputs], rel=1e-6)


@pytest.mark.parametrize("factory", ["no_such_module:build", "json:absent", "json", ":build", "json:"])
def test_a_factory_that_cannot_be_had_is_refused(bench: Bench, factory: str) -> None:
    with pytest.raises(UsageError, match=r"--model: .*(cannot be loaded|has no)"):
        bench.analyze(MadeProbe("logit", first_logit, requires=MODEL), model=factory)


def test_a_factory_whose_network_does_not_fit_is_refused(bench: Bench) -> None:
    module = ModuleType("my_networks")
    vars(module)["build"] = lambda: torch.nn.Linear(3, 2)
    bench.monkeypatch.setitem(sys.modules, "my_networks", module)
    with pytest.raises(UsageError, match=r"weight \(2, 3\).*are not the checkpoint's model\.0\.weight \(8, 10\)"):
        bench.analyze(MadeProbe("logit", first_logit, requires=MODEL), model="my_networks:build")


def test_an_explicit_map_that_does_not_fit_is_refused(bench: Bench) -> None:
    with pytest.raises(UsageError, match=r"task\.map\.input\.weight"):
        bench.analyze(
            MadeProbe("logit", first_logit, requires=MODEL), *SETTINGS, "task.map.input.weight=model.2.weight",
            task="modular_addition",
        )  # fmt: skip


def test_a_network_that_fits_nothing_costs_what_needs_it(bench: Bench) -> None:
    probe = MadeProbe("logit", first_logit, requires=MODEL)
    report = bench.analyze(probe, "task.p=7", task="modular_addition")
    assert "no model fits: expected a tensor of shape" in report.experiments[0].not_applicable["probes/logit"]


SPLITS = {
    "seed": "seed:N", "seed:x": "seed:N", "seed:²": "seed:N", "all:1": "seed:N", "everything": "seed:N",
    "indices:": "seed:N", "indices:absent.json": r"absent\.json",
}  # fmt: skip


@pytest.mark.parametrize("split", list(SPLITS))
def test_a_split_that_is_none_is_refused(bench: Bench, split: str) -> None:
    with pytest.raises(UsageError, match=rf"task\.split: expected .*{SPLITS[split]}"):
        bench.analyze(MadeProbe("one", lambda context: 1.0), *SETTINGS, f"task.split={split}", task="modular_addition")


@pytest.mark.parametrize(
    "content",
    [
        "no JSON", "[1, 2]", '{"train": [0]}', '{"train": [0], "test": "x"}', '{"train": [0], "test": [25]}',
        '{"train": [-1], "test": [1]}', '{"train": [[0, 1]], "test": [2]}', '{"train": [0.5], "test": [2]}',
        '{"train": [0, 1], "test": [1, 2]}', '{"train": [0, 0], "test": [2]}',
    ],
    ids=[
        "no JSON", "a list", "no test", "no numbers", "too high", "negative", "nested", "fractions", "overlapping",
        "twice",
    ],
)  # fmt: skip
def test_indices_that_are_no_split_are_refused(bench: Bench, content: str) -> None:
    path = bench.root / "split.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"task\.split: .*split\.json"):
        bench.analyze(
            MadeProbe("one", lambda context: 1.0), *SETTINGS, f"task.split=indices:{path}", task="modular_addition"
        )


def test_probes_see_the_split_in_the_order_given(bench: Bench) -> None:
    path = bench.root / "split.json"
    path.write_text(json.dumps({"train": [7, 3], "test": [0]}))

    def first_target(context: Context) -> float:
        assert (len(context.train), len(context.test)) == (2, 1)
        return 10 * context.train.targets[0].item() + context.train.targets[1].item()

    probe = MadeProbe("target", first_target, requires=frozenset({Requirement.TRAIN_SPLIT, Requirement.TEST_SPLIT}))
    bench.analyze(probe, *SETTINGS, f"task.split=indices:{path}", task="modular_addition")
    assert bench.values("target") == [33.0, 33.0]  # 7 = (1, 2), 3 = (0, 3)


def test_tensors_that_never_change_are_no_weights(bench: Bench) -> None:
    for epoch in (0, 10):
        state = torch.load(bench.root / "run" / f"{epoch}.pt", weights_only=True)
        torch.save(state | {"model.mask": torch.ones(3, 3)}, bench.root / "run" / f"{epoch}.pt")
    found: list[frozenset[str]] = []

    def constant(context: Context) -> float:
        found.append(context.subject.constant)
        return 1.0

    bench.analyze(MadeProbe("constant", constant))
    assert set(found) == {frozenset({"model.mask"})}


def test_equal_checkpoints_say_nothing_about_constants(bench: Bench) -> None:
    (bench.root / "run" / "10.pt").write_bytes((bench.root / "run" / "0.pt").read_bytes())
    found: list[frozenset[str]] = []

    def constant(context: Context) -> float:
        found.append(context.subject.constant)
        return 1.0

    bench.analyze(MadeProbe("constant", constant))
    assert set(found) == {frozenset()}
