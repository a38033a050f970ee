"""Writes happen in order, behind the training, and an error is not lost."""

import functools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from grokprobe.training.writer import BackgroundWriter


def test_writes_keep_their_order() -> None:
    done: list[int] = []
    with BackgroundWriter() as writer:
        for number in range(50):
            writer.submit(done.append, number)
    assert done == list(range(50))


def test_the_caller_goes_on_while_a_write_is_slow() -> None:
    gate, done = threading.Event(), []
    with BackgroundWriter() as writer:
        writer.submit(gate.wait)
        writer.submit(done.append, 1)
        assert done == []
        gate.set()
        writer.flush()
        assert done == [1]


def write_all(*writes: Callable[[], object], then: BaseException | None = None) -> None:
    with BackgroundWriter() as writer:
        for write in writes:
            writer.submit(write)
        if then is not None:
            raise then


def test_nothing_is_written_after_a_failure_and_the_error_is_raised(tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(FileNotFoundError):
        write_all((tmp_path / "absent").read_text, functools.partial(done.append, 1))
    assert done == []


def test_the_error_ends_the_training_at_the_next_write(tmp_path: Path) -> None:
    with BackgroundWriter() as writer:
        writer.submit((tmp_path / "absent").read_text)
        with pytest.raises(FileNotFoundError):
            writer.flush()


def test_what_was_given_is_written_before_an_interruption_leaves() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        write_all(*(functools.partial(done.append, number) for number in range(5)), then=KeyboardInterrupt())
    assert done == list(range(5))
