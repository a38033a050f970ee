"""What happened at one coordinate of the dataset: tells "not measured" from "undefined"."""

from enum import IntEnum


class Status(IntEnum):
    """CF flag values of the variable ``status``. A value of a measure is meaningful only where it is ``OK``."""

    #: Never measured, or measured from inputs that have changed since.
    MISSING = 0
    #: Measured. NaN here means undefined.
    OK = 1
    #: The checkpoint could not be read, or the measure raised; the reason is in the ledger.
    FAILED = 2
    #: Left out on request.
    SKIPPED = 3
    #: The checkpoint was refused as unsafe.
    REFUSED = 4
