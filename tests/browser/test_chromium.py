"""The browser of the tests sees what they rely on it to see."""

from pathlib import Path

from browser.chromium import Browser

PAGE = """<!DOCTYPE html><title>made</title><style>p {{ color: #000001 }}
@media (prefers-color-scheme: dark) {{ p {{ color: #fefefe }} }}</style><p>text</p><noscript>off</noscript>{rest}"""


def write(path: Path, rest: str = "") -> Path:
    path.write_text(PAGE.format(rest=rest))
    return path


def test_an_innocent_page_logs_nothing_and_asks_for_itself_alone(browser: Browser, tmp_path: Path) -> None:
    page = write(tmp_path / "page.html", "<script>console.log('no fault')</script>")
    browser.open(page)
    assert browser.console() == []
    assert browser.requests() == [page.as_uri()]


def test_errors_and_requests_are_seen(browser: Browser, tmp_path: Path) -> None:
    rest = "<img src='http://nowhere.invalid/x.png'><script>throw new Error('made')</script>"
    browser.open(write(tmp_path / "page.html", rest))
    assert "http://nowhere.invalid/x.png" in browser.requests()
    assert any("made" in line for line in browser.console())
    assert any("ERR_NAME_NOT_RESOLVED" in line for line in browser.console())


def test_what_is_emulated_is_undone(browser: Browser, tmp_path: Path) -> None:
    page = write(tmp_path / "page.html", "<script>document.title = 'run'</script>")

    def look() -> tuple[object, ...]:
        browser.open(page)
        return browser.driver.title, browser.find("p").value_of_css_property("color"), browser.run("return innerWidth")

    first = look()
    browser.resize(390, 844)
    browser.show_as(color_scheme="dark")
    browser.enable_scripts(False)
    assert look() == ("made", "rgba(254, 254, 254, 1)", 980)
    browser.reset()
    assert look() == first == ("run", "rgba(0, 0, 1, 1)", 1280)
