"""The small store, published in an object store."""

import json
from typing import Any

import numpy as np

from grokprobe.store import open_place
from grokprobe.store.object_store import ObjectStore
from grokprobe.store.urls import ObjectUrl
from object_store_server import Bucket
from unit.store.small_store import build_row, write_store

ROWS = {(0, 1.0): {epoch: build_row(epoch) for epoch in range(40)}}


def publish_small(url: str) -> None:
    with open_place(url) as place:
        write_store(place.path, ROWS)
        place.on_publish()


def publish_root(bucket: Bucket, attributes: dict[str, Any]) -> None:
    """Publishes a group with these attributes and nothing else, as another program would."""
    edit = ObjectStore(ObjectUrl(bucket=bucket.name, prefix="of/mine.zarr")).begin(None)
    assert edit is not None
    content = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    edit.put([("zarr.json", json.dumps(content).encode())])
    assert edit.commit("somebody") is not None


def measured_numbers(tree: Any) -> list[float]:
    return np.asarray(tree["small/probes/p/x"]).ravel().tolist()
