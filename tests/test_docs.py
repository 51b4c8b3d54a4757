"""README and docs: every page is reached, every link leads somewhere, no page is long."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "config" / "README.md",
    ROOT / "results" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,4} (.*)$", re.MULTILINE)


def text_of(page):
    return page.read_text(encoding="utf-8")


def links_of(page):
    """Paths and anchors of the links to other files and headings."""
    for url in LINK.findall(text_of(page)):
        if "://" not in url:
            path, _, anchor = url.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors_of(page):
    """As GitHub makes them of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in HEADING.findall(text_of(page))
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for path, anchor in links_of(page):
        assert path.exists(), path
        if anchor:
            assert anchor in anchors_of(path), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_shown_as_yaml_is(page):
    for shown in re.findall(r"^ *```yaml\n(.*?)```", text_of(page), re.DOTALL | re.MULTILINE):
        assert isinstance(yaml.safe_load(shown), dict)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_is_long(page):
    assert len(text_of(page).splitlines()) <= (150 if page == PAGES[0] else 250)


def test_the_readme_leads_to_every_page():
    assert set(PAGES[1:]) <= {path for path, _ in links_of(PAGES[0])}
