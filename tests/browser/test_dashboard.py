"""The dashboard in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

import grokprobe
from browser.chromium import Browser
from browser.dashboard_page import DashboardPage, serving
from unit.made_results import Sweep, write_results

EPOCHS = (0, 10, 20, 30, 40)
SWEEP = Sweep(seeds=(0, 1), epochs=EPOCHS, without=("geometry/fisher", "probes/energy"))


@pytest.fixture(scope="module")
def store(started_browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("dashboard") / "r.zarr", SWEEP)


@pytest.fixture(scope="module")
def address(store: Path) -> Iterator[str]:
    with serving(store) as url:
        yield url


@pytest.fixture
def page(browser: Browser, address: str) -> DashboardPage:
    return DashboardPage(browser, address)


def test_page_is_whole_and_asks_nobody_else(page: DashboardPage, address: str) -> None:
    titles = [panel["title"] for panel in page.panels()]
    assert titles == ["accuracy", "loss", "accuracy, magnitude", *_by_layer("spectrum"), *_by_layer("neurons")]
    page.choose("Figure", "pruning.magnitude")
    page.wait_for("return text('figcaption')[0].includes('amount of compression')")
    assert parse_qs(urlsplit(page.browser.driver.current_url).query)["epoch"] == ["40"]
    assert page.browser.console() == []
    hosts = {urlsplit(url.removeprefix("blob:")).netloc for url in page.browser.requests() if url != "about:blank"}
    assert hosts == {urlsplit(address).netloc}


def _by_layer(kind: str) -> list[str]:
    return [f"{kind}, fourier, {layer}" for layer in ("input", "output")]


def test_slider_moves_with_the_keyboard_and_changes_every_panel(page: DashboardPage) -> None:
    handle = page.find(".noUi-handle")
    before = page.panels()
    for key, epoch in ((Keys.HOME, 0), (Keys.ARROW_RIGHT, 10), (Keys.ARROW_RIGHT, 20), (Keys.END, 40), (Keys.LEFT, 30)):
        handle.send_keys(key)
        page.wait_epoch(epoch)
    after = page.panels()
    assert [a["title"] for a in after] == [b["title"] for b in before]
    assert all(a["picture"] != b["picture"] for a, b in zip(after, before, strict=True))
    handle.send_keys(Keys.END)
    page.wait_epoch(40)
    assert page.table()[0][1].endswith("epoch 40")


def test_slider_moves_with_the_mouse_and_changes_every_panel(page: DashboardPage) -> None:
    before = page.panels()
    width = page.find(".noUi-base").rect["width"]
    chain = ActionChains(page.browser.driver).click_and_hold(page.find(".noUi-handle"))
    for _ in range(5):
        chain = chain.move_by_offset(round(-width / 10), 0)
    chain.release().perform()
    page.wait_epoch(20)
    assert all(a["picture"] != b["picture"] for a, b in zip(page.panels(), before, strict=True))


def test_values_are_those_of_the_store(page: DashboardPage, store: Path) -> None:
    page.find(".noUi-handle").send_keys(Keys.LEFT)
    page.wait_epoch(30)
    page.choose("A: seed", "1")
    page.wait_for("return text('thead th')[1].includes('seed 1')")
    head, *rows = page.table()
    assert head == ["number", "A: init_scale 1, seed 1, epoch 30", "B: init_scale 10, seed 0, epoch 30"]
    assert len(rows) == 4
    tree = grokprobe.open_results(store)["made"]
    for label, *shown in rows:
        place, _, layer = label.partition(" ")[0].rstrip("]").partition("[")
        for text, run in zip(shown, ({"seed": 1, "init_scale": 1.0}, {"seed": 0, "init_scale": 10.0}), strict=True):
            values = tree[place].sel(epoch=30, **run)
            assert text == f"{float(values.sel(layer=layer) if layer else values):.6g}"
    history = tree["history"].to_dataset().sel(epoch=30)
    train, test = (f"{float(history[name].sel(seed=1, init_scale=1.0)):.4g}" for name in ("train_loss", "test_loss"))
    assert page.panels()[1]["note"].startswith(f"A: training {train}, test {test}; B: ")


def test_copied_code_gives_what_is_shown(page: DashboardPage, address: str) -> None:
    permissions = {"origin": address.rstrip("/"), "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.browser.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)
    page.find(".noUi-handle").send_keys(Keys.LEFT)
    page.wait_epoch(30)
    page.button("Copy Python").click()
    script = "const done = arguments[0]; navigator.clipboard.readText().then(done, (e) => done(String(e)))"
    copied = page.browser.driver.execute_async_script(script)
    assert copied == page.run("return text('pre')[0]")
    found: dict = {}
    exec(copied, found)  # noqa: S102 - the code is what is tested
    for label, *shown in page.table()[1:]:
        place, _, layer = label.partition(" ")[0].rstrip("]").partition("[")
        for name, text in zip("AB", shown, strict=True):
            values = found["numbers"][name][f"made/{place}"]
            assert text == f"{float(values.sel(layer=layer) if layer else values):.6g}"
    assert found["figure"].axes


def test_address_is_the_view(page: DashboardPage, browser: Browser) -> None:
    page.find(".noUi-handle").send_keys(Keys.HOME)
    page.wait_epoch(0)
    page.choose("Figure", "probes/strange/height")
    page.choose("A: init_scale", "10")
    page.wait_for("return text('thead th')[1].includes('init_scale 10') && location.search.includes('strange')")
    address, table, notes = browser.driver.current_url, page.table(), [panel["note"] for panel in page.panels()]
    assert {"init_scale": ["10.0"], "epoch": ["0"]}.items() <= parse_qs(urlsplit(address).query).items()
    again = DashboardPage(browser, address)
    assert again.table() == table
    assert [panel["note"] for panel in again.panels()] == notes
    assert browser.driver.current_url == address
    assert browser.console() == []


def test_play_goes_through_the_epochs(page: DashboardPage) -> None:
    page.button("Play").click()
    page.wait_for("return text('output')[0] === 'epoch 10'")  # from the beginning, since it was at the end
    page.wait_epoch(40)
    page.wait_for("return !all('button').find((b) => b.textContent.trim() === 'Play').classList.contains('bk-active')")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_fits_and_follows_the_scheme(browser: Browser, address: str, width: int, scheme: str) -> None:
    browser.resize(width, 900)
    browser.show_as(color_scheme="dark" if scheme == "dark" else "light")
    page = DashboardPage(browser, address)
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")
    shades = page.run(
        """return all('.bk-Figure').map((f) => all('canvas', f.shadowRoot)[0])
          .map((c) => c.getContext('2d').getImageData(c.width >> 1, 5, 1, 1).data[0])"""
    )
    assert len(shades) == 7
    assert all((shade < 60) if scheme == "dark" else (shade > 240) for shade in shades)
    assert browser.console() == []


def test_reload_shows_what_was_published_since(browser: Browser, store: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(store, tmp_path / "r.zarr"))
    with serving(path) as address:
        page = DashboardPage(browser, address)
        shutil.rmtree(path)
        write_results(path, Sweep(seeds=(0,), epochs=(*EPOCHS, 50), without=("geometry/fisher", "probes/energy")))
        page.button("Reload").click()
        page.wait_for("return Number(all('.noUi-handle')[0].getAttribute('aria-valuemax')) === 5")
        page.settle()
        page.find(".noUi-handle").send_keys(Keys.END)
        page.wait_epoch(50)
        assert browser.console() == []
