"""The report of a finished run, opened in a browser as its reader does."""

import base64
import shutil

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from workflows import FIGURES, snakemake, tiny

from patchsep.files.versions import WARNING

pytestmark = pytest.mark.workflow

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# A browser of its own, without windows, that asks nothing of a network.
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
]
# Seconds for what a page shows, and for loading it again where it shows nothing.
SOON, PATIENCE = 15, 180
# Of method names and numbers as they are in text, not in reStructuredText or HTML.
ALARM = "unseen, my_fields_: r may be biased by beta_synch of -0.1 +- 0.02, for <p> < 1 %"
FOLDERS = "1 Sky and patches", "2 Fits", "4 Residual spectra", "5 r"


@pytest.fixture(scope="module")
def report(finished, tmp_path_factory):
    """The report, written for a copy of the run, of which r is not to be trusted."""
    folder = tmp_path_factory.mktemp("report") / "finished"
    shutil.copytree(finished[0], folder)
    # As of a run that warns; no method of this one is tested.
    summary = folder / "results/tiny/tables/summary.txt"
    text = summary.read_text(encoding="utf-8")
    summary.write_text(f"{text}\n{WARNING}{ALARM}\n", encoding="utf-8")
    snakemake(folder, tiny(), "--report", "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    if not (BROWSER and DRIVER):
        pytest.skip("needs Debian's chromium and chromium-driver, which are not here")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(SOON)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, report):
    page = Page(browser, report.as_uri())
    page.repeated(page.loaded)
    return page


class Page:
    """What a reader sees and clicks."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address

    def loaded(self):
        self.browser.get(self.address)
        return self.until(lambda: self.all("a"))

    def until(self, condition):
        """What a condition gives once it is true; the page may still be moving."""
        moving = StaleElementReferenceException, ElementClickInterceptedException
        waiting = WebDriverWait(self.browser, SOON, ignored_exceptions=moving)
        return waiting.until(lambda _: condition())

    def repeated(self, attempt):
        """What an attempt gives; on a busy machine a page may stay blank, or take no click."""
        waiting = WebDriverWait(self.browser, PATIENCE, ignored_exceptions=[TimeoutException])
        return waiting.until(lambda _: attempt())

    def click(self, found, number=0):
        """Click on one of what is found, when it is there and nothing is in front of it."""

        def clicked():
            there = found()
            if len(there) > number:
                there[number].click()
                return True

        self.until(clicked)

    def links(self, text):
        return [one for one in self.all("a") if one.text == text]

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def results(self, folder, shown):
        """What every result of a folder has, one after the other, once it is shown."""
        for number in range(len(self.repeated(lambda: self.opened(folder)))):
            yield self.repeated(lambda number=number: self.result(folder, number, shown))

    def opened(self, folder):
        """Eyes of a folder on a page that is loaded anew."""
        self.loaded()
        self.browser.refresh()
        self.click(lambda: self.links(folder))
        return self.until(self.eyes)

    def result(self, folder, number, shown):
        self.opened(folder)
        self.click(self.eyes, number)
        return self.until(shown)

    def eyes(self):
        return self.all("a[iconname=eye]")

    def pictures(self):
        return [one for one in self.all("img") if self.width_of(one) > 500]

    def width_of(self, image):
        return self.browser.execute_script("return arguments[0].naturalWidth", image)


def test_every_figure_shows(page):
    shown = 0
    for folder in FOLDERS:
        shown += sum(1 for _ in page.results(folder, page.pictures))
    assert shown == len(FIGURES)


def test_every_table_has_a_page_with_rows(page, results):
    names, lines = ("selection", "spectral_model", "summary"), []
    for frames in page.results("8 Tables", lambda: page.all("iframe")):
        page.browser.switch_to.frame(frames[0])
        assert len(page.until(lambda: page.all("thead th"))) > 5
        lines.append(len(page.all("tbody tr")))
        page.browser.switch_to.default_content()
    tables = [results / "tables" / f"{name}.csv" for name in names]
    # That of the spectral model is empty: no method of the run has fields.
    assert lines == [len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in tables]


def test_the_first_page_tells_of_the_run_and_draws_the_workflow(page):
    text = page.until(lambda: [p for p in page.all("p") if "run tiny" in p.text])[0].text
    assert "nside 8, 4 noise realisations" in text
    graph = page.until(lambda: page.all("canvas"))[0]
    image = graph.screenshot_as_base64
    assert graph.size["height"] > 500 and len(base64.b64decode(image)) > 20_000


def test_the_first_page_begins_with_what_the_run_warns_of(page):
    alert = page.until(lambda: page.all("[role=alert]"))[0]
    assert "Do not trust r" in alert.text and ALARM in alert.text
    assert alert.value_of_css_property("border-top-color") == "rgba(176, 0, 32, 1)"
    about = next(p for p in page.all("p") if "run tiny" in p.text)
    assert alert.location["y"] < about.location["y"]


def test_nothing_goes_wrong_on_the_page(page):
    page.until(lambda: page.all("canvas"))
    said = [entry for entry in page.browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert said == []
