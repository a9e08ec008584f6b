"""Figures of an evaluation as a reader knows them: names, units, digits, and which of them stand by themselves."""

import re
from collections.abc import Mapping

PERCENT = ("knn", "linear", "low_label", "few_shot", "robustness", "corruptions", "finetune")
NO_PERCENT = ("linear/c", "linear/unconverged", "low_label/unconverged")
MARGINS = ("std", "ci95")
"""Last parts of the names of figures that are shown behind the figure they belong to."""
NAMES = {
    "knn": "kNN accuracy",
    "feature_spread": "Feature spread",
    "rankme": "RankMe (effective rank)",
    "uniformity": "Uniformity",
    "alignment": "Alignment of two views",
    "lidar": "LiDAR (effective rank)",
    "linear": "Linear probe",
    "linear/c": "Linear probe: C",
    "linear/unconverged": "Linear probe: fits that stopped early",
    "low_label/unconverged": "Few labels: draws that stopped early",
    "robustness/clean": "Linear probe, attacked images before the attack",
    "robustness/noise": "Linear probe, random noise of the attack's size",
    "robustness/pgd": "Linear probe, under PGD",
    "corruptions": "Linear probe, mean over corruptions",
    "corruptions/clean": "Linear probe, corrupted images before",
}
SHARED = {"low_label": "Linear probe", "finetune": "Fine-tuned network"}
PATTERNS = (
    (r"knn/k=(.*),t=(.*)", r"kNN accuracy, k = \1, t = \2"),
    (r"low_label/per_class=1", "Linear probe, 1 label a class"),
    (r"low_label/per_class=(.*)", r"Linear probe, \1 labels a class"),
    (r"few_shot/ways=(.*),shots=1", r"Few-shot, \1 classes, 1 image each"),
    (r"few_shot/ways=(.*),shots=(.*)", r"Few-shot, \1 classes, \2 images each"),
    (r"corruptions/(.*)", r"Linear probe under \1"),
)


def label(key: str, k: int | None = None) -> str:
    """A figure's name and unit; that of an unknown one is made of its own. `k`: the neighbours of `knn`, if known."""
    neighbours = f", k = {k}" if key == "knn" and k else ""
    return _name(key) + neighbours + (", %" if is_percent(key) else "")


def _name(key: str) -> str:
    if key in NAMES:
        return NAMES[key]
    if share := re.fullmatch(r"(.*)/share=(.*)", key):
        return f"{SHARED.get(share[1], _name(share[1]))}, {100 * float(share[2]):g} % of the labels"
    for pattern, words in PATTERNS:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, words, key).replace("_", " ")
    return key.replace("/", ": ").replace("_", " ")


def is_percent(key: str) -> bool:
    """Whether a figure is in percent."""
    return key.partition("/")[0] in PERCENT and key not in NO_PERCENT


def margins(figures: Mapping[str, float], key: str) -> list[float]:
    """What is shown behind a figure."""
    return [figures[name] for margin in MARGINS if (name := f"{key}/{margin}") in figures]


def digits(key: str) -> str:
    """How a figure is written."""
    return "g" if key in NO_PERCENT else ".1f" if is_percent(key) else ".2f"


def is_shown(key: str) -> bool:
    """Whether a figure has a row of its own: no margin does, and no single severity of a corruption."""
    last = key.rpartition("/")[2]
    return last not in MARGINS and not (key.startswith("corruptions/") and last.isdigit())
