"""Options of the Ising task."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from grokprobe_tasks.ising.snapshot_file import digest_snapshot_file


class IsingOptions(BaseModel):
    """Which snapshots there are, and which are drawn for a seed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Linear size L of the lattice; the network pools it twice, so it is a multiple of 4.
    size: int = Field(default=16, ge=4, multiple_of=4)
    #: Temperatures, evenly from T_c − 1 to T_c + 1; an even number has none at T_c.
    num_temperatures: int = Field(default=50, ge=2, multiple_of=2)
    #: Snapshots at each temperature.
    num_snapshots: int = Field(default=1000, ge=1)
    #: Updates of a snapshot from infinite temperature, in sweeps of L² single-site updates.
    num_sweeps: int = Field(default=100, ge=1)
    #: Seed of the snapshots, which are the same for every run.
    snapshot_seed: int = Field(default=0, ge=0)
    #: Snapshots of somebody else, ``[description, [(spins, label, temperature), …]]`` as a pickle; empty to simulate.
    snapshot_file: str = ""
    #: SHA-256 of that file, which identifies the data whatever the path; empty to take it from the file.
    snapshot_sha256: str = ""
    #: Training snapshots of a seed.
    num_train: int = Field(default=300, ge=1)
    #: Test snapshots of a seed.
    num_test: int = Field(default=1000, ge=0)
    #: ``balanced``: half of each part is ordered, as the paper says. ``shuffled``: as the authors' code draws it.
    draw: Literal["balanced", "shuffled"] = "balanced"

    @model_validator(mode="before")
    @classmethod
    def _knows_the_file(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("snapshot_file") and not values.get("snapshot_sha256"):
            return values | {"snapshot_sha256": digest_snapshot_file(str(values["snapshot_file"]))}
        return values

    @model_validator(mode="after")
    def _has_enough_snapshots(self) -> Self:
        wanted, found = self.num_train + self.num_test, self.num_temperatures * self.num_snapshots
        if not self.snapshot_file and wanted > found:
            raise ValueError(
                f"expected at least num_train + num_test = {wanted} snapshots, found num_temperatures · num_snapshots"
                f" = {found}; raise num_snapshots"
            )
        return self


class IsingModelOptions(BaseModel):
    """The size of the network."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Channels of the two convolutions.
    channels: tuple[PositiveInt, PositiveInt] = (2, 4)
    #: Neurons of the hidden linear layer.
    hidden: int = Field(default=100, ge=1)
