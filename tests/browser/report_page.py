"""The report as a reader uses it: what it shows, in numbers."""

import re
from typing import Any

import numpy as np
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from browser.chromium import Browser

#: What a linked panel has drawn: its marks, and the line below it.
PANELS = """return Array.from(document.querySelectorAll('.panel'), (panel) => ({
  title: panel.querySelector('h4').textContent,
  marks: panel.querySelector('svg > g').innerHTML,
  at: panel.querySelector('.at').textContent,
}))"""
#: Texts and places of the labels along both axes of a panel, and the points of its lines.
DRAWING = """const panel = Array.from(document.querySelectorAll('.panel'))
  .find((p) => p.querySelector('h4').textContent === arguments[0]);
const labels = (anchor) => Array.from(panel.querySelectorAll(`text[text-anchor=${anchor}]:not([transform])`),
  (t) => [t.textContent, Number(t.getAttribute('x')), Number(t.getAttribute('y'))]);
return {
  x: labels('middle'), y: labels('end'),
  lines: Array.from(panel.querySelectorAll('path.line, path.dots'),
    (p) => [p.getAttribute('class'), p.getAttribute('d')]),
}"""
#: Texts of the cells of the table of numbers, row by row.
TABLE = """return Array.from(document.querySelectorAll('#numbers tbody tr'),
  (row) => Array.from(row.cells, (cell) => cell.textContent))"""


class ReportPage:
    """The page in a browser, with its slider ready."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        browser.wait_for("return !document.getElementById('slider').hidden")

    @property
    def now(self) -> str:
        """What stands beside the slider."""
        return self.browser.find("#now").text

    def press(self, *keys: str) -> None:
        """Sends keys to the slider."""
        self.browser.find("#epoch").send_keys(*keys)

    def go_to(self, place: int) -> None:
        """Moves the slider to an epoch, counted from 0, by keys."""
        self.press(Keys.HOME, *[Keys.ARROW_RIGHT] * place)

    def drag(self, start: float, end: float) -> None:
        """Drags along the slider, both places as shares of its length."""
        slider = self.browser.find("#epoch")
        width = slider.size["width"]
        actions = ActionChains(self.browser.driver, duration=0)
        actions.move_to_element_with_offset(slider, int((start - 0.5) * width), 0).click_and_hold()
        actions.move_to_element_with_offset(slider, int((end - 0.5) * width), 0).release().perform()

    def choose(self, run: str, label: str) -> None:
        """Chooses run ``a`` or ``b`` by its label."""
        Select(self.browser.find(f"#run-{run}")).select_by_visible_text(label)

    def panels(self) -> dict[str, tuple[str, str]]:
        """Returns what every panel shows, by its title: the marks, and the words below."""
        return {panel["title"]: (panel["marks"], panel["at"]) for panel in self.browser.run(PANELS)}

    def table(self) -> dict[str, list[str]]:
        """Returns the numbers at this epoch: label → the cells of A and B."""
        return {label: cells for label, *cells in self.browser.run(TABLE)}

    def points(self, title: str, line: str) -> np.ndarray:
        """Returns the (x, y) of a line of a panel, read as a reader does: by the labels of its axes.

        Args:
            title: of the panel.
            line: its classes, such as ``line a``.
        """
        drawing: dict[str, Any] = self.browser.run(DRAWING, title)
        (path,) = [path for classes, path in drawing["lines"] if classes == line]
        pixels = np.array([[float(x), float(y)] for x, y in re.findall(r"([-\d.]+) ([-\d.]+)", path)])
        axes = []
        for place, axis in enumerate("xy"):
            labels = [(float(text), at) for text, *at in drawing[axis] if re.fullmatch(r"-?[\d.]+", text)]
            values, at = np.array([label[0] for label in labels]), np.array([label[1][place] for label in labels])
            axes.append(np.polyval(np.polyfit(at - (4 if axis == "y" else 0), values, 1), pixels[:, place]))
        return np.column_stack(axes)


def read_cell(text: str) -> float:
    """Returns the number of a cell; what it says besides, such as another epoch, is left out."""
    return float("nan") if text.startswith("undefined") else float(text.partition(" (")[0])
