"""What a pickle says, read without executing or importing anything it names.

A pickle is a program for a stack machine. This package is that machine with the dangerous half left out: it looks up no
name and calls nothing that the file chooses. A class or function stays a :class:`Global`, two strings; what would be
made by calling it stays an :class:`Inert`, the record of that call. It does not build on :class:`pickle.Unpickler`,
which resolves registered extensions, takes memory for lengths a file only claims, and hashes whatever is used as a key.
"""

from grokprobe.inert_pickle.arrays import as_array
from grokprobe.inert_pickle.loading import MAX_OPERATIONS, load_inert
from grokprobe.inert_pickle.records import Global, Inert

__all__ = ["MAX_OPERATIONS", "Global", "Inert", "as_array", "load_inert"]
