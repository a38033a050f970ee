"""A server that speaks S3, in this process, and the environment in which programs find it."""

import contextlib
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: What could point elsewhere.
FOREIGN = ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_NO_SIGN_REQUEST", "http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """An empty bucket of its own for each test."""

    name: str
    #: What a process needs to reach it.
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"s3://{self.name}/of/mine.zarr"

    def put(self, name: str, content: bytes) -> None:
        self.client().put_object(Bucket=self.name, Key=name, Body=content)

    def object_names(self) -> set[str]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def client(self) -> Any:
        import boto3

        return boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], region_name="us-east-1")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line a request otherwise
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket, and a user whose cache directory holds nothing yet."""
    for name in (*FOREIGN, *(name.upper() for name in FOREIGN)):
        monkeypatch.delenv(name, raising=False)
    environment = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "anybody",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_EC2_METADATA_DISABLED": "true",
        "GROKPROBE_CACHE": str(tmp_path / "cache"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex}"
    bucket = Bucket(name=name, environment=environment)
    bucket.client().create_bucket(Bucket=name)
    return bucket


@contextlib.contextmanager
def elsewhere(machine: Path) -> Iterator[None]:
    """The user sits at another machine meanwhile: another cache directory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("GROKPROBE_CACHE", str(machine))
        yield
