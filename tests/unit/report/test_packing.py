import base64
import zlib

import numpy as np
import pytest

from grokprobe.report.packing import Blob, Encoding
from unit.report.page_contents import TYPES

VALUES = np.array([0.0, 1.0, 0.3, np.nan, np.inf, -2.5])


@pytest.mark.parametrize(("encoding", "error"), [("float32", 1e-7), ("uint16", 3.5 / 131068), ("uint8", 3.5 / 508)])
def test_numbers_come_back_within_the_stated_error(encoding: Encoding, error: float) -> None:
    blob = Blob()
    blob.add(np.arange(3.0), "uint8")  # what comes before does not matter
    array = blob.add(VALUES, encoding)
    content = zlib.decompress(base64.b64decode(blob.encode()))
    dtype, undefined = TYPES[encoding]
    codes = np.frombuffer(content, dtype, array["count"], array["at"])
    values = codes if undefined is None else array["low"] + codes * (array["high"] - array["low"]) / (undefined - 1)
    is_known = np.isfinite(VALUES)
    assert np.abs(values[is_known] - VALUES[is_known]).max() <= error * (1 + 1e-9)
    if undefined is None:
        assert codes[~is_known].tolist() == pytest.approx([np.nan, np.inf], nan_ok=True)
    else:
        assert (codes == undefined).tolist() == (~is_known).tolist()


@pytest.mark.parametrize("encoding", ["float32", "uint16", "uint8"])
@pytest.mark.parametrize("values", [np.full(3, 7.0), np.full(3, np.nan), np.empty(0)])
def test_nothing_to_tell_apart(encoding: Encoding, values: np.ndarray) -> None:
    blob = Blob()
    array = blob.add(values, encoding)
    assert array["low"] == array["high"]
    assert array["count"] == len(values)
