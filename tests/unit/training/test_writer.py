"""Writes happen in order, behind the training, and an error is not lost."""

import threading
from pathlib import Path

import pytest

from grokprobe.training.writer import NUM_THREADS, BackgroundWriter

HERE = Path("run-0")


class Log:
    """Remembers what was written where."""

    def __init__(self) -> None:
        self.entries: list[tuple[Path, int]] = []

    def write(self, directory: Path, number: int) -> None:
        self.entries.append((directory, number))


def fail(directory: Path) -> None:
    (directory / "absent").read_text()


def wait(directory: Path, gate: threading.Event) -> None:
    assert gate.wait(timeout=60)


def test_the_writes_of_a_directory_keep_their_order() -> None:
    log, directories = Log(), [Path(f"run-{number}") for number in range(2 * NUM_THREADS + 1)]
    with BackgroundWriter() as writer:
        for number in range(20):
            for directory in directories:
                writer.submit(directory, log.write, number)
    for directory in directories:
        assert [number for where, number in log.entries if where == directory] == list(range(20))


def test_a_slow_write_keeps_neither_the_caller_nor_other_directories() -> None:
    gate, log = threading.Event(), Log()
    with BackgroundWriter() as writer:
        writer.submit(HERE, wait, gate)
        writer.submit(HERE, log.write, 1)
        other = threading.Event()
        writer.submit(Path("run-1"), lambda _: other.set())
        assert other.wait(timeout=60)
        assert log.entries == []
        gate.set()
        writer.flush()
        assert log.entries == [(HERE, 1)]


def write_all(log: Log, *, fails: bool, then: BaseException | None = None) -> None:
    with BackgroundWriter() as writer:
        if fails:
            writer.submit(HERE, fail)
        for number in range(5):
            writer.submit(HERE, log.write, number)
        if then is not None:
            raise then


def test_nothing_is_written_after_a_failure_and_the_error_is_raised() -> None:
    log = Log()
    with pytest.raises(FileNotFoundError):
        write_all(log, fails=True)
    assert log.entries == []


def test_a_failure_ends_the_writes_of_other_directories() -> None:
    log = Log()
    with BackgroundWriter() as writer:
        writer.submit(HERE, fail)
        with pytest.raises(FileNotFoundError):
            writer.flush()
        writer.submit(Path("run-1"), log.write, 1)
        writer.flush()
    assert log.entries == []


def test_what_was_given_is_written_before_an_interruption_leaves() -> None:
    log = Log()
    with pytest.raises(KeyboardInterrupt):
        write_all(log, fails=False, then=KeyboardInterrupt())
    assert [number for _, number in log.entries] == list(range(5))
