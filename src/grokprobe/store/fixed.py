"""A group whose structure must stay, because other processes write into it at this moment.

A worker keeps the positions of the coordinates as they were when it began, and writes whole chunks. So nobody may give
out new positions, resize an array or add one meanwhile.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grokprobe import names
from grokprobe.errors import StoreError
from grokprobe.store.cube import Cube
from grokprobe.variables import Coordinate, VariableSpec


class FixedCube(Cube):
    """Does what a :class:`~grokprobe.store.cube.Cube` does, as long as that leaves the structure as it is."""

    def create(self, attributes: Mapping[str, Any], epoch_units: str) -> None:
        """Checks that the group is there, with these attributes.

        Raises:
            StoreError: it is not.
        """
        del epoch_units
        self._require(self.exists and self.attributes == dict(attributes))

    def grow(self, coordinates: Mapping[str, Sequence[Any]]) -> None:
        """Checks that every value has its position.

        Raises:
            StoreError: one is new.
        """
        self._require(all(set(coordinates.get(dim, ())) <= set(self.positions(dim)) for dim in self._leading))

    def write_steps(self, steps: Mapping[int, int]) -> None:
        """Checks that the steps are known.

        Raises:
            StoreError: one is new or another one.
        """
        self._require(names.STEP in self._member_names())
        stored, positions = np.asarray(self._array(names.STEP)[:]), self.positions(names.EPOCH)
        self._require(all(stored[positions[epoch]] == step for epoch, step in steps.items()))

    def create_variables(self, specs: Sequence[VariableSpec], coordinates: Mapping[str, Coordinate]) -> None:
        """Checks that the variables are there.

        Raises:
            StoreError: one is not.
        """
        del coordinates
        self._require(self.has_variables(specs))

    def _require(self, is_so: bool) -> None:
        if not is_so:
            raise structure_error(self._root)


def structure_error(path: Path) -> StoreError:
    """Returns what is raised where the structure would have to change and must not."""
    return StoreError(
        f"{path}: other shards are measuring into it, and this command needs runs, epochs or measures that it has no"
        " place for yet; give the command again when they have ended"
    )
