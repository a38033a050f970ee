"""The server behind a URL, as the environment names it to every tool for S3."""

import os
import socket
import urllib.parse
import urllib.request
from typing import Any, Final

#: Seconds until a server that does not answer is given up.
CONNECT_SECONDS: Final = 10.0
#: Where nobody says it: S3 itself reads it from elsewhere, other servers have one region.
DEFAULT_REGION: Final = "us-east-1"


def find_endpoint() -> str:
    """Returns the address of the server; empty for S3 itself."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def endpoint_options() -> dict[str, Any]:
    """Returns how the server is reached: options of ``icechunk.s3_storage``.

    Credentials are found where the tools of AWS find them; ``AWS_NO_SIGN_REQUEST`` asks without any, which is enough to
    read a public bucket. What is reached without encryption is only a server whose address begins with ``http://``.
    """
    endpoint = find_endpoint()
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    is_public = os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in ("1", "yes", "true")
    return {
        "region": region or (DEFAULT_REGION if endpoint else None),
        "endpoint_url": endpoint or None,
        "allow_http": endpoint.startswith("http://"),
        "force_path_style": bool(endpoint),
        "anonymous" if is_public else "from_env": True,
    }


def check_endpoint() -> None:
    """Fails at once where nobody listens; icechunk tries for half a minute.

    Raises:
        OSError: nobody does.
    """
    endpoint = urllib.parse.urlsplit(find_endpoint())
    if not endpoint.hostname or urllib.request.getproxies():
        return
    port = endpoint.port or (80 if endpoint.scheme == "http" else 443)
    socket.create_connection((endpoint.hostname, port), CONNECT_SECONDS).close()
