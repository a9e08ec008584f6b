"""A browser shows the page: whole, quietly, in light and dark, and on paper."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparring.reports import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=2000 --enable-logging=stderr"""
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs a headless Chromium")]


@pytest.fixture
def page(fake_run) -> Path:
    return write_report([fake_run(gallery=True, data="<script>console.error('ran')</script>")])


def browse(page: Path, *flags: str) -> str:
    """What the browser prints about the page, after a check that its console stayed empty."""
    profile = page.parent / "profile"
    command = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={profile}", *flags, page.as_uri()]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in finished.stderr
    return finished.stdout


def screenshot(page: Path, scheme: int) -> np.ndarray:
    path = page.parent / f"{scheme}.png"
    browse(page, f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1000,2400", f"--screenshot={path}")
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def test_the_document_holds_the_last_figure_and_no_outside_address(page):
    document = browse(page, "--dump-dom")
    assert 'class="figure">47.4<' in document
    assert document.count("<svg") == 10  # kNN, five parameters, loss, spread, RankMe, hardness
    assert not any(f'{key}="http' in document for key in ("src", "href"))


def test_light_and_dark_are_both_drawn(page):
    dark, light = screenshot(page, 0), screenshot(page, 1)
    assert np.median(light) > 200
    assert np.median(dark) < 60
    for picture in (light, dark):
        assert picture.std() > 10
        # Its upper, middle and lower thirds all show something.
        assert all(np.ptp(third.astype(int)) > 120 for third in np.array_split(picture, 3))


def test_paper_gets_the_page_with_its_pictures(page):
    paper = page.parent / "page.pdf"
    browse(page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    printed = paper.read_bytes()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Subtype /Image") >= 4  # the gallery's rows


def test_tables_of_long_words_fit_the_page(fake_run, tmp_path):
    runs = [fake_run(f"{name}-{'long' * 8}", adversary=name) for name in ("random", "learned")]
    for recipe in (run / "recipe.toml" for run in runs):
        recipe.write_text(recipe.read_text().replace("mix", f"{recipe.parent.name[0]}{'long' * 40}"))
    assert "too wide: 0" in browse(measuring(write_report(runs, tmp_path / "page.html")), "--dump-dom")


def measuring(page: Path) -> Path:
    """A copy of the page that says how many tables are wider than their places."""
    tables = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth)"
    text = re.sub(r"; script-src 'sha256-[^']*'", "; script-src 'unsafe-inline'", page.read_text())
    copy = page.with_name("measured.html")
    script = f"<script>document.body.append(`too wide: ${{{tables}.length}}`)</script>"
    copy.write_text(text.replace("</body>", f"{script}</body>"))
    return copy


def test_a_click_on_a_heading_sorts_the_table(fake_run, tmp_path):
    runs = [fake_run(name, seed=seed, rankme=rankme) for seed, (name, rankme) in enumerate(RANKED)]
    page = write_report(runs, tmp_path / "runs.html")
    assert order(page, clicks=0) == ["b", "c", "a"]
    assert order(page, clicks=1) == ["c", "a", "b"]  # 9, 30.5 and 112: numbers, not words
    assert order(page, clicks=2) == ["b", "a", "c"]


RANKED = (("b", 112.0), ("c", 9.0), ("a", 30.5))


def order(page: Path, clicks: int) -> list[str]:
    """The names of the runs' table after so many clicks on RankMe, in a copy of the page that lets a script click."""
    click = "[...document.querySelectorAll('th')].filter(th => th.textContent == 'RankMe').at(-1).click();"
    text = re.sub(r"; script-src 'sha256-[^']*'", "; script-src 'unsafe-inline'", page.read_text())
    copy = page.with_name(f"clicked-{clicks}.html")
    copy.write_text(text.replace("</body>", f"<script>{click * clicks}</script></body>"))
    table = re.findall(r'<table class="sortable">.*?</table>', browse(copy, "--dump-dom"))[-1]
    return re.findall(r"</span> (\w+)</th>", table)
