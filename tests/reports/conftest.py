"""Run folders as the trainer writes them, made by hand."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

RECIPE = """\
data = "{data}"
epochs = 10
seed = {seed}
[encoder]
name = "resnet12"
width = 0.25
[method]
name = "simsiam"
[adversary]
name = "{adversary}"
[transform]
name = "colour"
space = "mix"
"""
KNN = {0: 21.5, 4: 61.75, 8: 58.25, 10: 47.375}
"""Best in the middle: the last figure is not the best."""
FakeRun = Callable[..., Path]


def evaluation(
    epoch: float, labelled: bool, spread: float, rankme: float, hardness: dict[str, float]
) -> dict[str, Any]:
    if epoch == 0:
        spread, rankme = 0.8, 30.0  # the untrained encoder's
    measured = {f"hardness/{player}": value for player, value in hardness.items()}
    line = {"step": int(epoch * 4), "epoch": epoch, "feature_spread": spread, "rankme": rankme, **measured}
    return {**line, "knn": KNN[int(epoch)], "knn/k=20,t=0.07": 99.0} if labelled else line


def training(step: int, adversary: str) -> dict[str, Any]:
    line = {
        "step": step,
        "epoch": step / 4,
        "loss": -0.5 - step / 100,
        "images_per_second": 1000.0,
        "feature_spread": 0.77,
    }
    if adversary == "none":
        return line
    entries = {
        f"adversary/colour/{row}_from_{column}": 0.2 + 0.6 * (row == column) for row in "rgb" for column in "rgb"
    }
    return {**line, **entries, "adversary/colour/mix": step / 100, "adversary/rotation/degrees": -step / 4}


def save_gallery(folder: Path, hard: bool) -> None:
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), dtype=np.uint8)
    base = np.ascontiguousarray(images[..., ::-1])
    for stage, factor in (("before", 2), ("after", 3)):
        views = {"images": images, "base": base, "hard": base // factor if hard else base}
        save_file(views, folder / f"{stage}.safetensors")


@pytest.fixture
def table_of() -> Callable[[Path, int], list[list[str]]]:
    """The cells of a page's table, by its number, row by row."""

    def read(page: Path, number: int) -> list[list[str]]:
        table = re.findall(r'<table class="sortable">.*?</table>', page.read_text())[number]
        rows = re.findall(r"<tr>.*?</tr>", table)
        return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]

    return read


@pytest.fixture
def fake_run(tmp_path: Path) -> FakeRun:
    """Makes a run folder of 10 epochs, evaluated at 0, 4, 8 and 10 (or up to `until`)."""

    def make(
        name: str = "first",
        *,
        adversary: str = "learned",
        data: str = "sample",
        seed: int = 0,
        labelled: bool = True,
        gallery: bool = False,
        spread: float = 0.8,
        rankme: float = 30.0,
        hardness: tuple[float, float, float] = (-0.4, -0.7, -0.9),
        until: int = 10,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text(RECIPE.format(data=data, seed=seed, adversary=adversary))
        (folder / "environment.json").write_text(json.dumps({"torch": "2.8.0", "cores": 2}))
        players = dict(zip(("adversary", "random", "clean"), hardness, strict=True)) if adversary != "none" else {}
        lines = [training(step, adversary) for step in range(1, 4 * until + 1)]
        lines += [evaluation(epoch, labelled, spread, rankme, players) for epoch in KNN if epoch <= until]
        lines.sort(key=lambda line: line["step"])
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if gallery:
            save_gallery(folder / "gallery", hard=adversary != "none")
        return folder

    return make
