"""The split that a file with a whole run holds: indices into the population, or the samples themselves."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from grokprobe.errors import UsageError
from grokprobe.interfaces import Task
from grokprobe.plugins import PluginSelection, load_plugins
from grokprobe.splits import draw_split, split_content, split_samples
from unit.checkpoints.authors_blob import write_blob


def build_task(name: str, **options: Any) -> Task:
    task = load_plugins(PluginSelection()).find_task(name)
    return task(task.task_options(**options), task.model_options())


def test_stored_indices(tmp_path: Path) -> None:
    truth = write_blob(tmp_path / "save.pt", "modular_addition", num_epochs=1)
    text = f"stored:{tmp_path / 'save.pt'}"
    split = draw_split(build_task("modular_addition", p=5), text, "")
    assert split.train.tolist() == truth["run"].train_loader.dataset.indices
    assert split.test.tolist() == truth["run"].test_loader.dataset.indices
    train, _ = split_samples(build_task("modular_addition", p=5), text, split_content(text))
    assert torch.equal(train.inputs, truth["run"].train_loader.dataset.dataset.data[split.train])
    with pytest.raises(UsageError, match="expected indices below 9, found"):
        draw_split(build_task("modular_addition", p=3), text, "")


def test_stored_samples(tmp_path: Path) -> None:
    truth = write_blob(tmp_path / "save.pt", "ising", num_epochs=1)
    text, task = f"stored:{tmp_path / 'save.pt'}", build_task("ising", size=8, num_train=30, num_test=20)
    split = draw_split(task, text, "")
    assert (split.train.tolist(), split.test.tolist()) == (list(range(30)), list(range(30, 50)))
    for samples, loader in zip(
        split_samples(task, text, split_content(text)),
        (truth["run"].train_loader, truth["run"].test_loader),
        strict=True,
    ):
        inputs, classes = loader.dataset.tensors
        assert torch.equal(samples.inputs, inputs)
        assert torch.equal(samples.targets, classes.argmax(1))


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    assert split_content(f"stored:{tmp_path / 'x'}") == split_content(f"indices:{tmp_path / 'x'}") != ""
    assert split_content("seed:1") == ""


@pytest.mark.parametrize("name", ["missing", "weights", "table", ""])
def test_a_file_without_samples(tmp_path: Path, name: str) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "weights")
    save_file({"train_inputs": torch.ones(2)}, tmp_path / "table")
    text = f"stored:{tmp_path / name}" if name else "stored:"
    with pytest.raises(UsageError, match=r"^task\.split: [^\n]*expected|^task\.split: \S+ cannot be opened"):
        draw_split(build_task("modular_addition", p=5), text, "")
