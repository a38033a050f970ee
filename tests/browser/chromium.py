"""Chromium without a window, as the tests drive it: what it shows, what it logs and what it asks the network for."""

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal, NamedTuple

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

#: Names of the browser: of Debian, of other systems.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
#: A page that takes longer hangs.
TIMEOUT_SECONDS = 60
FLAGS = (
    "--headless",
    "--no-sandbox",  # of a container's root; every page here is our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    # nothing but the pages may ask for anything, and only this machine answers
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--force-device-scale-factor=1",
    "--window-size=1280,900",
)


class Programs(NamedTuple):
    """Where the browser and its driver are."""

    browser: str
    driver: str


def find_programs() -> Programs | None:
    """Returns the browser and its driver, both found on PATH; None where either is not there."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which(DRIVER)
    return Programs(browser, driver) if browser and driver else None


class Browser:
    """One browser with one page."""

    def __init__(self, programs: Programs, profile: Path) -> None:
        """Starts the browser.

        Args:
            programs: as of :func:`find_programs`.
            profile: an empty directory for all that the browser writes.
        """
        options = ChromeOptions()
        options.binary_location = programs.browser
        for flag in (*FLAGS, f"--user-data-dir={profile / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        # a given driver keeps Selenium from looking for one to download
        service = Service(executable_path=programs.driver, env={**os.environ, "TMPDIR": str(profile)})
        self.driver = Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(TIMEOUT_SECONDS)
        self.driver.set_script_timeout(TIMEOUT_SECONDS)
        self._console: list[str] = []
        self._requests: list[str] = []

    def reset(self) -> None:
        """Leaves the page, and undoes what was emulated."""
        self.driver.get("about:blank")
        self.resize(1280, 900)
        self.show_as()
        self.enable_scripts(True)
        self._drain()
        self._console.clear()
        self._requests.clear()

    def quit(self) -> None:
        self.driver.quit()

    def open(self, page: Path | str) -> None:
        """Opens a file, or an address such as ``http://127.0.0.1:5006/``, and waits until it has loaded."""
        self.driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)

    def console(self) -> list[str]:
        """Returns what the page has logged so far as a warning or an error, exceptions and refused loads included."""
        self._drain()
        return list(self._console)

    def requests(self) -> list[str]:
        """Returns every address asked for so far, in order; data within the page itself is no request."""
        self._drain()
        return list(self._requests)

    def find(self, selector: str) -> WebElement:
        """Returns the first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs the body of a JavaScript function in the page and returns what it returns."""
        return self.driver.execute_script(script, *arguments)

    def wait_for(self, script: str, *arguments: Any) -> Any:
        """Waits until a script returns something true, and returns it."""
        return WebDriverWait(self.driver, TIMEOUT_SECONDS, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(script, *arguments), f"never true: {script}"
        )

    def resize(self, width: int, height: int) -> None:
        """Gives the page a size in CSS pixels; below 500 that of a phone, whose pages have no scroll bar."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._emulate("setDeviceMetricsOverride", **size)

    def show_as(
        self, *, color_scheme: Literal["light", "dark"] = "light", medium: Literal["screen", "print"] = "screen"
    ) -> None:
        """Says to the page what its reader prefers, and where it is shown."""
        scheme = {"name": "prefers-color-scheme", "value": color_scheme}
        self._emulate("setEmulatedMedia", media=medium, features=[scheme])

    def enable_scripts(self, is_enabled: bool) -> None:
        """Says whether the next page may run scripts of its own; those of :meth:`run` always run."""
        self._emulate("setScriptExecutionDisabled", value=not is_enabled)

    def print_pdf(self) -> bytes:
        """Returns the page as printed on paper."""
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", {})["data"])

    def screenshot(self, path: Path, *, whole: bool = True) -> Path:
        """Writes a picture of the page in PNG, of all of it or of what the window shows."""
        options = {"captureBeyondViewport": whole}
        if whole:
            size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        path.write_bytes(base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"]))
        return path

    def _emulate(self, method: str, **arguments: Any) -> None:
        self.driver.execute_cdp_cmd(f"Emulation.{method}", arguments)

    def _drain(self) -> None:
        self._console += [
            entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")
        ]
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                url = event["params"]["request"]["url"]
                if not url.startswith("data:"):
                    self._requests.append(url)
