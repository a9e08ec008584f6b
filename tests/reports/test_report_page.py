"""The page: one file, complete, escaped, with nothing shown that was not measured."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from sparring.errors import InputError
from sparring.reports import charts, curves, gallery, write_report
from sparring.reports.record import read_runs


class Outline(HTMLParser):
    """Headings, tags and addresses of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("h1", "h2") and data.strip():
            self.headings.append(data)


def text_of(page: Path) -> str:
    body = page.read_text(encoding="utf-8").split("</style>")[1]
    return re.sub(r"<[^>]*>", " ", body).replace("\u00a0", " ")


def is_picture(path: Path) -> bool:
    with Image.open(path) as picture:
        low, high = np.asarray(picture.convert("L")).min(), np.asarray(picture.convert("L")).max()
        return picture.format == "PNG" and high - low > 100


def test_a_single_run_has_its_page_and_figures_in_its_folder(fake_run):
    run = fake_run(gallery=True)
    assert write_report([run]) == run / "report.html"
    figures = {path.name: path for path in (run / "figures").iterdir()}
    assert set(figures) == {f"{n}.png" for n in ("knn", "loss", "parameters", "hardness", "collapse", "gallery")}
    assert all(map(is_picture, figures.values()))


@pytest.mark.parametrize(("adversary", "said"), [("learned", True), ("random", False), ("none", False)])
def test_the_verdicts_on_an_adversary_are_explained_where_one_is_given(fake_run, adversary, said):
    text = text_of(write_report([fake_run(adversary=adversary)]))
    assert ("From easy to hard: idle (no harder than clean views), dead" in text) is said


def test_pictures_of_several_runs_are_numbered_by_run(fake_run, tmp_path):
    """A run without pictures keeps its number: figures of one number are of one run."""
    runs = [fake_run("a"), fake_run("b", adversary="none", gallery=True)]
    (runs[1] / "nearest").mkdir()
    shares = {"classes": ["cat", "dog"], "views": [1, 1], "shares": [[1, 0], [0, 1]], "chance": [0.5, 0.5]}
    (runs[1] / "nearest" / "after.json").write_text(json.dumps(shares))
    write_report(runs, tmp_path / "both.html")
    figures = {path.name for path in (tmp_path / "both-figures").iterdir()}
    assert {name for name in figures if name.startswith(("gallery", "nearest"))} == {
        "gallery-2.png",
        "nearest-2-after.png",
    }


def test_small_views_stand_below_their_images(tmp_path):
    (tmp_path / "gallery").mkdir()
    images = np.zeros((2, 3, 32, 32), dtype=np.uint8)
    base = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 24), dtype=np.uint8)
    save_file({"images": images, "base": base, "hard": base // 2}, tmp_path / "gallery" / "after.safetensors")
    _, shown, hard = gallery.rows(tmp_path)
    assert np.array_equal(shown.pictures[:, :, ::2, [0, 2, 3, 4]], base[:, :, :, [0, 1, 2, 3]])
    assert shown.pictures.shape == hard.pictures.shape == images.shape


def test_the_sections_follow_the_story(fake_run):
    page = Outline(write_report([fake_run(gallery=True)]))
    assert page.headings == [
        "first",
        "kNN accuracy",
        "What the adversary chooses",
        "What the views look like",
        "Loss",
        "Collapse",
        "Is the adversary harder than chance?",
        "Recipe and environment",
    ]


def test_parts_in_a_list_are_written_as_in_a_recipe(fake_run):
    run = fake_run()
    penalties = 'penalties = [{name = "darkness"}, {name = "teacher", weight = 0.5, on = ["a", true]}]\n'
    (run / "recipe.toml").write_text(penalties + (run / "recipe.toml").read_text())
    told = unescape(write_report([run]).read_text())
    assert 'darkness, {name = "teacher", weight = 0.5, on = ["a", true]}' in told


def test_the_figure_shown_is_the_last_not_the_best(fake_run):
    text = text_of(write_report([fake_run()]))
    assert "47.4" in text
    assert "61.8" not in text
    assert "99.0" not in text


def test_an_unlabelled_run_without_adversary_shows_only_what_it_has(fake_run):
    run = fake_run(labelled=False, adversary="none", gallery=True)
    page = write_report([run])
    assert Outline(page).headings == ["first", "What the views look like", "Loss", "Collapse", "Recipe and environment"]
    assert "kNN" not in text_of(page)
    assert "Hard view" not in text_of(page)
    assert {path.name for path in (run / "figures").iterdir()} == {"loss.png", "collapse.png", "gallery.png"}


def test_a_run_that_has_not_begun_still_has_a_page(fake_run):
    run = fake_run()
    (run / "metrics.jsonl").write_text("")
    (run / "environment.json").unlink()
    assert Outline(write_report([run])).headings == ["first", "Recipe and environment"]
    assert list((run / "figures").iterdir()) == []


@pytest.mark.parametrize(("spread", "collapsed"), [(0.8, False), (0.12, True)])
def test_the_warning_box_appears_exactly_when_features_collapse(fake_run, spread, collapsed):
    page = Outline(write_report([fake_run(spread=spread)]))
    assert (("p", {"class": "warning", "role": "note"}) in page.tags) is collapsed


def test_what_files_say_is_escaped(fake_run):
    run = fake_run("a&b", data="<script>alert(1)</script>")
    (run / "environment.json").write_text('{"<img src=x>": "<i>\\"quoted\\"</i>"}')
    tags = Outline(page := write_report([run, fake_run("<b>bold")], run / "both.html")).tags
    assert not {"i", "b"} & {tag for tag, _ in tags}
    assert [tag for tag, _ in tags].count("script") == 1  # the page's own
    assert all(attributes.get("src", "data:").startswith("data:") for _, attributes in tags)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.read_text()
    assert "&lt;i&gt;&quot;quoted&quot;&lt;/i&gt;" in page.read_text()


def test_the_page_is_one_file_that_asks_nothing_of_the_network(fake_run):
    page = write_report([fake_run(gallery=True)])
    addresses = [a[key] for _, a in Outline(page).tags for key in ("src", "href", "xlink:href") if key in a]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"https?://|@import|url\((?!#)", page.read_text())


def test_every_picture_has_words(fake_run):
    tags = Outline(write_report([fake_run(gallery=True)])).tags
    assert [a for tag, a in tags if tag == "img"]
    assert all(a["alt"] for tag, a in tags if tag == "img")
    assert all(a["role"] == "img" and a["aria-label"] for tag, a in tags if tag == "svg")


def test_identifiers_are_unique_in_the_page(fake_run):
    tags = Outline(write_report([fake_run("a"), fake_run("b")], fake_run("c") / "out.html")).tags
    marks = [a["id"] for _, a in tags if a.get("id")]
    assert len(marks) == len(set(marks))


def test_several_runs_are_compared_by_what_differs(fake_run, tmp_path, table_of):
    runs = [fake_run("x/run"), fake_run("y/run", seed=1), fake_run("none", adversary="none", until=8)]
    page = write_report(runs, tmp_path / "out" / "compared.html")
    head, *rows = table_of(page, 1)
    assert head == ["Run", "seed", "adversary", "Epoch", "kNN, %", "RankMe", "Feature spread"]
    assert [re.sub("<[^>]*>", "", row[0]).strip() for row in rows] == ["x/run", "y/run", "none"]
    assert [row[1:5] for row in rows] == [
        ["0", "learned", "10", "47.4"],
        ["1", "learned", "10", "47.4"],
        ["0", "none", "8", "58.2"],
    ]
    assert is_picture(tmp_path / "out" / "compared-figures" / "knn.png")


def test_runs_that_differ_in_their_seed_are_averaged(fake_run, tmp_path, table_of):
    runs = [fake_run("a"), fake_run("b", seed=1), fake_run("c", adversary="none")]
    for path, knn in ((runs[1], 58.25), (runs[2], 40.0)):
        lines = (path / "metrics.jsonl").read_text()
        (path / "metrics.jsonl").write_text(lines.replace("47.375", str(knn)))
    rows = table_of(write_report(runs, tmp_path / "r.html"), 0)
    # 47.375 and 58.25: mean 52.8125, deviation 10.875 / sqrt(2); of the common seed, 47.375 - 40
    assert rows[1][:6] == ["learned", "2", "52.8", "7.7", "+7.4", "none: 1 seed"]
    assert rows[2][:5] == ["none", "1", "40.0", "—", "baseline"]


def test_only_the_pages_own_script_may_run(fake_run, tmp_path):
    page = write_report([fake_run("a"), fake_run("b", seed=1)], tmp_path / "r.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'\"" in page
    assert "<script" not in write_report([fake_run("alone")]).read_text()


def test_a_gallery_of_one_stage_and_of_large_pictures(fake_run):
    run = fake_run(gallery=True)
    (run / "gallery" / "before.safetensors").unlink()
    views = {name: np.full((2, 3, 200, 100), 90, np.uint8) for name in ("images", "base", "hard")}
    save_file({**views, "hard": views["hard"] + 9}, run / "gallery" / "after.safetensors")
    assert re.findall(r'alt="([^"]*)"', write_report([run]).read_text()) == [
        f"{name}: 2 pictures side by side" for name in ("Image", "Base view", "Hard view, after training")
    ]
    with Image.open(run / "figures" / "gallery.png") as sheet:
        assert sheet.height == 3 * (96 + 4) * 2


def test_base_views_that_differ_between_the_stages_are_shown_twice(fake_run):
    run = fake_run(gallery=True)
    after = run / "gallery" / "after.safetensors"
    save_file({**load_file(after), "base": load_file(after)["images"]}, after)
    assert "Base view, before training" in (text := text_of(write_report([run])))
    assert "Base view, after training" in text


def test_a_damaged_gallery_is_named(fake_run):
    run = fake_run(gallery=True)
    (run / "gallery" / "after.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"after\.safetensors to hold pictures"):
        write_report([run])


def test_every_seed_that_is_judged_otherwise_is_named(fake_run, tmp_path):
    for seed in range(3):
        fake_run(f"seed-{seed}", seed=seed, hardness=(-0.95, -0.7, -0.9) if seed == 2 else (-0.4, -0.7, -0.9))
    text = write_report([tmp_path / f"seed-{seed}" for seed in range(3)], tmp_path / "page.html").read_text()
    assert "seed-0: The adversary is alive" in text
    assert "seed-1: The adversary" not in text
    assert "seed-2: The adversary is idle" in text


def test_titles_of_several_runs_stay_within_their_panels(fake_run):
    runs = read_runs([fake_run("a-run-with-quite-a-long-name-of-its-own,seed=0"), fake_run("short")])
    titles = [charts._title(panel) for panel in curves.parameters(runs)]
    assert titles
    assert all(len(line) <= 32 for title in titles for line in title.splitlines())
    assert titles[0].replace("\n", "").startswith("a-run-with-quite-a-long-name-of-its-own,seed=0Red")
