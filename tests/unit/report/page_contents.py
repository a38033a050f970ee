"""A page as a browser takes it apart."""

import base64
import json
import zlib
from html.parser import HTMLParser
from typing import Any

import numpy as np

#: Elements that have no end.
VOID = {"meta", "img", "input", "br", "link"}
TYPES = {"float32": ("<f4", None), "uint16": ("<u2", 65535), "uint8": ("u1", 255)}


class Page(HTMLParser):
    """Parses a page; every element must be closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._open: list[str] = []
        self._text: list[str] = []
        self._script = ""
        self.feed(source)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        return " ".join("".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        self._script = dict(attrs).get("id") or "code"

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[self._script] = data
        elif self._open and self._open[-1] != "style":
            self._text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def index(self) -> list[dict[str, Any]]:
        return json.loads(self.scripts["slider-index"])

    def numbers(self, array: dict[str, Any]) -> np.ndarray:
        """Returns an array of the slider, as the script reads it."""
        blob = zlib.decompress(base64.b64decode(self.scripts["slider-numbers"]))
        dtype, undefined = TYPES[array["type"]]
        codes = np.frombuffer(blob, dtype, array["count"], array["at"])
        if undefined is None:
            return codes.astype(float)
        values = array["low"] + codes * (array["high"] - array["low"]) / (undefined - 1)
        return np.where(codes == undefined, np.nan, values)
