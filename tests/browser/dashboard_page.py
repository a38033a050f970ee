"""The dashboard as a reader uses it: what it shows, in numbers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver.remote.webelement import WebElement

from browser.chromium import TIMEOUT_SECONDS, Browser

#: Every part of the page is in a shadow tree of its own: ``all(selector)`` finds in all of them.
FIND = """const all = (selector, root = document) => [
  ...root.querySelectorAll(selector),
  ...Array.from(root.querySelectorAll('*')).flatMap((node) => node.shadowRoot ? all(selector, node.shadowRoot) : []),
];
const text = (selector) => all(selector).map((node) => node.textContent);
"""
#: Title, picture and note of every linked panel.
PANELS = """return all('.bk-Figure').map((figure) => {
  const panel = figure.getRootNode();
  return {
    title: all('h3', panel)[0].textContent,
    picture: all('canvas', figure.shadowRoot)[0].toDataURL(),
    note: all('.bk-clearfix', all('.note', panel)[0].shadowRoot)[0].textContent,
  };
})"""
TABLE = "return all('table tr').map((row) => Array.from(row.cells, (cell) => cell.textContent))"


@contextmanager
def serving(store: Path) -> Iterator[str]:
    """Serves a store as a user does, and yields the address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "grokprobe", "dashboard", store, "--port", "0", "--no-browser", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, f"the server ended: {process.communicate()[1]}"
            said += line
        yield json.loads(said)["url"]
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT_SECONDS)


class DashboardPage:
    """The page in a browser, all of it drawn."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        browser.open(address)
        self.wait_for("return all('.picture img').length && all('.bk-Figure').length")
        self.settle()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.run(FIND + script, *arguments)

    def wait_for(self, script: str, *arguments: Any) -> Any:
        return self.browser.wait_for(FIND + script, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.wait_for("return all(arguments[0])[0]", selector)

    def button(self, label: str) -> WebElement:
        return self.wait_for("return all('button').find((b) => b.textContent.trim() === arguments[0])", label)

    def choose(self, label: str, option: str) -> None:
        """Chooses an option of the selection with a label."""
        script = """const input = all('label').find((l) => l.textContent.trim() === arguments[0])
          .getRootNode().querySelector('select');
        input.value = Array.from(input.options).find((o) => o.textContent.trim() === arguments[1]).value;
        input.dispatchEvent(new Event('change'))"""
        self.run(script, label, option)

    def epoch(self) -> str:
        return self.run("return text('output')[0]")

    def wait_epoch(self, epoch: int) -> None:
        """Waits until the slider, the table and the address are at an epoch."""
        self.wait_for(
            """return text('output')[0] === arguments[0] && text('thead th')[1].endsWith(arguments[0])
              && location.search.includes(arguments[1])""",
            f"epoch {epoch}",
            f"epoch={epoch}&",
        )
        self.settle()

    def settle(self) -> None:
        """Waits until the panels have not been drawn again for a while."""
        self.browser.driver.execute_async_script(
            FIND
            + """const done = arguments[0], look = () => all('canvas').map((c) => c.toDataURL()).join();
            let before = look();
            const check = () => { const now = look(); if (now === before) done(); else { before = now; wait(); } };
            const wait = () => setTimeout(check, 300);
            wait();"""
        )

    def panels(self) -> list[dict[str, str]]:
        return self.run(PANELS)

    def table(self) -> list[list[str]]:
        return self.run(TABLE)
