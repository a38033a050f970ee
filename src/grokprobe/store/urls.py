"""URLs of results in an object store."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grokprobe.errors import UsageError

#: Two letters at least: one is a drive of Windows. One slash is left of two after ``pathlib``.
_URL: Final = re.compile(r"([a-z][a-z0-9+.-]+(?=://)|s3|gs|az|https?|file):/+(.*)", re.IGNORECASE)
#: What a bucket of S3 may be called.
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
SCHEME: Final = "s3"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectUrl:
    """``s3://bucket/prefix``."""

    #: The bucket.
    bucket: str
    #: What the keys of all objects begin with, up to a slash.
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}://{self.bucket}/{self.prefix}"


def find_url(location: str | Path) -> ObjectUrl | None:
    """Returns the URL that a location is, or None for a path.

    A URL that went through :class:`pathlib.Path`, which makes ``s3:/`` of ``s3://``, is one still.

    Raises:
        UsageError: a URL of another kind, or one without a bucket or a prefix.
    """
    text = location.as_posix() if isinstance(location, Path) else location
    match = _URL.fullmatch(text)
    if match is None:
        return None
    scheme, rest = match.groups()
    bucket, _, prefix = rest.partition("/")
    prefix = "/".join(part for part in prefix.split("/") if part)
    if scheme != SCHEME or not _BUCKET.fullmatch(bucket) or not prefix:
        raise UsageError(
            f"expected a path, or {SCHEME}://BUCKET/PREFIX of an object store, found {scheme}://{rest};"
            " other stores are reached through their S3 interface: AWS_ENDPOINT_URL names its address"
        )
    return ObjectUrl(bucket=bucket, prefix=prefix)
