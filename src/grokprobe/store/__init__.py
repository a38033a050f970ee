"""Results on disk: the only package that touches zarr."""

from grokprobe.store.compaction import Compaction, compact
from grokprobe.store.cube import Cube
from grokprobe.store.exchange import SEEDS_FILE
from grokprobe.store.fault import Fault
from grokprobe.store.ledger import WHOLE_RUN, Coordinate, Entry, LedgerWriter, next_generation, read_ledger
from grokprobe.store.places import open_place
from grokprobe.store.reading import open_results, read_entries, read_group
from grokprobe.store.results import BLOCK, PRIVATE_DIRECTORY, ResultsStore, check_format
from grokprobe.store.row import Row
from grokprobe.store.urls import find_url
from grokprobe.store.verification import Verification, verify
from grokprobe.store.writers import Shard

__all__ = [
    "BLOCK",
    "PRIVATE_DIRECTORY",
    "SEEDS_FILE",
    "WHOLE_RUN",
    "Compaction",
    "Coordinate",
    "Cube",
    "Entry",
    "Fault",
    "LedgerWriter",
    "ResultsStore",
    "Row",
    "Shard",
    "Verification",
    "check_format",
    "compact",
    "find_url",
    "next_generation",
    "open_place",
    "open_results",
    "read_entries",
    "read_group",
    "read_ledger",
    "verify",
]
