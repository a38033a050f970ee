from pathlib import Path

import pytest

from grokprobe.errors import UsageError
from grokprobe.store.urls import ObjectUrl, find_url


@pytest.mark.parametrize("text", ["s3://my-bucket/a/b.zarr", "s3://my-bucket//a/b.zarr/", "s3:/my-bucket/a/b.zarr"])
def test_one_url(text):
    url = ObjectUrl(bucket="my-bucket", prefix="a/b.zarr")
    assert find_url(text) == url
    assert find_url(Path(text)) == url  # which makes one slash of two
    assert str(url) == "s3://my-bucket/a/b.zarr"


@pytest.mark.parametrize("path", ["results.zarr", "/a/s3://b/c", "a:/b", "C:/results", "p=[512]:x/y", "./s3:/b/c", ""])
def test_paths(path):
    assert find_url(path) is None


@pytest.mark.parametrize(
    "text", ["gs://b/c", "az://b/c", "gs:/b/c", "http://h/b/c", "s3://", "s3://bucket", "s3://A b/c"]
)
def test_other_urls_are_refused(text):
    with pytest.raises(UsageError, match="expected a path, or s3://BUCKET/PREFIX"):
        find_url(text)
