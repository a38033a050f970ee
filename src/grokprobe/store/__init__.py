"""Results on disk: the only package that touches zarr."""

from grokprobe.store.cube import Cube, Row
from grokprobe.store.ledger import Coordinate, Entry, LedgerWriter, next_generation, read_ledger
from grokprobe.store.reading import open_results, read_group
from grokprobe.store.results import BLOCK, PRIVATE_DIRECTORY, ResultsStore, check_format

__all__ = [
    "BLOCK",
    "PRIVATE_DIRECTORY",
    "Coordinate",
    "Cube",
    "Entry",
    "LedgerWriter",
    "ResultsStore",
    "Row",
    "check_format",
    "next_generation",
    "open_results",
    "read_group",
    "read_ledger",
]
