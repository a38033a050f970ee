"""Where results are written: a directory, or an object store by way of a working copy."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grokprobe.store.urls import find_url
from grokprobe.store.working_copy import WorkingCopy


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place for results."""

    #: How a user names it.
    name: str | Path
    #: The directory in which they are written.
    path: Path
    #: What is to be done after each publication.
    on_publish: Callable[[], None]


@contextlib.contextmanager
def open_place(out: str | Path) -> Iterator[Place]:
    """Yields the place of results, ready to be written; a directory need not exist.

    Args:
        out: a path, or ``s3://BUCKET/PREFIX``.

    Raises:
        UsageError: a URL of another kind, or icechunk is not installed.
        StoreError: the working copy is in use, or it and the object store have both changed.
        StoreWriteError: the object store cannot be reached.
    """
    url = find_url(out)
    if url is None:
        yield Place(name=Path(out), path=Path(out), on_publish=lambda: None)
        return
    with WorkingCopy.open(url) as copy:
        yield Place(name=str(url), path=copy.path, on_publish=copy.publish)
