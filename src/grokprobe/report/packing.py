"""Numbers for the page: rounded to what a picture shows, compressed, and in text that a script can read."""

import base64
import zlib
from typing import Final, Literal

import numpy as np

Encoding = Literal["float32", "uint16", "uint8"]
#: The code of an undefined number, the largest of the type.
_UNDEFINED: Final[dict[Encoding, int]] = {"uint16": 65535, "uint8": 255}


class Blob:
    """Arrays of numbers, one after the other."""

    def __init__(self) -> None:
        """Starts empty."""
        self._parts: list[bytes] = []
        self._length = 0

    def add(self, values: np.ndarray, encoding: Encoding) -> dict[str, object]:
        """Appends an array and returns where it is and how to read it.

        Integers are ``low + code · (high − low) / (largest code − 1)``, so a value is off by at most half a step: by
        1/131 068 of the range for ``uint16`` and by 1/508 for ``uint8``. The largest code itself is NaN, and so are
        infinities, which no picture has a place for. ``float32`` keeps them, and has them for what is too large for it.
        """
        finite = np.where(np.isfinite(values), values, np.nan)
        known = finite[~np.isnan(finite)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        if encoding == "float32":
            with np.errstate(over="ignore"):
                codes = values.astype("<f4")
        else:
            undefined = _UNDEFINED[encoding]
            unit = (high - low) / (undefined - 1) or 1.0
            scaled = np.where(np.isnan(finite), undefined, np.rint((finite - low) / unit))
            codes = scaled.astype("<u2" if encoding == "uint16" else "u1")
        content = codes.tobytes()
        place = self._length
        padding = -len(content) % 4  # typed arrays start at multiples of their size
        self._parts.append(content + b"\0" * padding)
        self._length += len(content) + padding
        return {"at": place, "count": int(finite.size), "type": encoding, "low": low, "high": high}

    def encode(self) -> str:
        """Returns all of it, compressed by zlib, in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._parts), 9)).decode("ascii")
