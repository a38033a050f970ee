"""A computation is recorded once and replayed, and what cannot be recorded is called."""

import contextlib
from collections.abc import Iterator

import pytest
import torch

from grokprobe.training import recorded
from grokprobe.training.recorded import Recorded


class Steps:
    """Counts how often it is called, and takes a step on a tensor of its own."""

    def __init__(self, device: str = "cpu") -> None:
        self.num_calls = 0
        self.value = torch.zeros(3, device=device)

    def __call__(self) -> torch.Tensor:
        self.num_calls += 1
        self.value += 1
        return self.value


def test_on_a_processor_it_is_the_function() -> None:
    steps = Steps()
    take = Recorded(steps, torch.device("cpu"))
    assert [float(take()[0]) for _ in range(4)] == [1, 2, 3, 4]
    assert steps.num_calls == 4


class FakeStream:
    """Stands where a CUDA stream would."""

    def __init__(self, *_: object) -> None:
        self.waited_for: list[object] = []

    def wait_stream(self, other: object) -> None:
        self.waited_for.append(other)


class FakeGraph:
    """Replays nothing."""

    num_replays = 0

    def replay(self) -> None:
        FakeGraph.num_replays += 1


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def enter(*_: object, **__: object) -> Iterator[None]:
        yield

    FakeGraph.num_replays = 0
    present = FakeStream()
    for name, fake in {
        "Stream": FakeStream,
        "CUDAGraph": FakeGraph,
        "stream": enter,
        "graph": enter,
        "current_stream": lambda _: present,
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)


@pytest.mark.usefixtures("fake_cuda")
def test_on_cuda_the_second_call_is_recorded_and_replayed() -> None:
    steps = Steps()
    take = Recorded(steps, torch.device("cuda"))
    results = [take() for _ in range(5)]
    assert steps.num_calls == 2  # a warm-up and the recording
    assert FakeGraph.num_replays == 4
    assert all(result is steps.value for result in results)


@pytest.mark.usefixtures("fake_cuda")
def test_what_cannot_be_recorded_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recorded, "_record", refuse)
    steps = Steps()
    take = Recorded(steps, torch.device("cuda"))
    assert [float(take()[0]) for _ in range(4)] == [1, 2, 3, 4]
    assert (steps.num_calls, FakeGraph.num_replays) == (4, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_a_graph_takes_the_steps_that_the_function_takes() -> None:
    steps = Steps("cuda")
    take = Recorded(steps, torch.device("cuda"))
    assert [float(take()[0]) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert steps.num_calls == 2
