"""What a report says in plain words: the verdict, the warnings, and what hardness means."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparring.alarms import LEAST, STATES, signs_of_collapse, state_of
from sparring.part import all_bring_transforms, brings_transform
from sparring.reports import tables
from sparring.reports.record import Record, is_number

MEASURES = ("knn", "rankme")
"""What every evaluation has: groups are compared by the first that was measured."""
UNLIKE = "on other data, or by another k or temperature: not compared"
NARROW = "how varied features are, not what they still tell apart"
SCALE = (
    "From easy to hard: idle (no harder than clean views), dead (harder than those, but not seen to be harder than "
    "chance makes them), alive, run away."
)
MOST_SETTINGS = 3
"""Of a part, in a sentence: more are read in the recipe's own table."""


def verdict(run: Record) -> list[str]:
    """Sentences: what was trained, what it reached, and whether it is finished."""
    return [sentence for sentence in (_trained(run), _accuracy(run), _progress(run)) if sentence]


def comparison(runs: Sequence[Record]) -> list[str]:
    """Sentences on several runs: who ends where, at the last evaluation of each."""
    measured = [run for run in runs if run.last("knn") is not None]
    ends = sorted((run.require("knn"), run.label) for run in measured)
    unfinished = [run.label for run in runs if not is_finished(run)]
    sentences = [f"{len(runs)} runs beside each other; every figure is from a run's last evaluation, never its best."]
    if len({measured_on(run, "knn") for run in measured}) > 1:
        sentences.append(f"kNN accuracies are {UNLIKE}.")
    elif len(ends) > 1:
        (low, lowest), (high, highest) = ends[0], ends[-1]
        sentences.append(f"kNN accuracy ends between {low:.1f}\u00a0% ({lowest}) and {high:.1f}\u00a0% ({highest}).")
    if unfinished:
        sentences.append(f"Not finished: {', '.join(unfinished)}.")
    return sentences


def warnings(run: Record) -> list[str]:
    """What a reader must know before believing the figures."""
    return [*_collapse(run), *_diverged(run)]


def is_played(run: Record) -> bool:
    """Whether there is an adversary."""
    return run.recipe.get("strength") != 0 and bool(name(run.recipe, "adversary"))


def is_chance(run: Record) -> bool:
    """Whether the adversary is chance itself, which has no random control to be held against."""
    losses = _losses(run)
    own = name(run.recipe, "adversary") == "random"  # some runs of old measured a control of it nevertheless
    return is_played(run) and (own or ("adversary" in losses and "random" not in losses))


def _losses(run: Record) -> dict[str, float]:
    """The last look at hardness: losses by who made the view, and the `epoch`; empty if there was none."""
    return {key.removeprefix("hardness/"): value for key, value in run.together("hardness/").items()}


def hardness(run: Record) -> str:
    """One sentence on whether the adversary earns its place; empty if there is none or it was not measured."""
    if not is_played(run):
        return ""
    losses = _losses(run)
    against = {"random": "with random parameters", "clean": "clean"}
    others = [f"{losses[key]:.3f} {words}" for key, words in against.items() if key in losses]
    if "adversary" not in losses or not others:
        return ""
    figures = true_minus(f"loss per image {losses['adversary']:.3f}, against {' and '.join(others)}")
    return f"{judged(run)} (epoch {losses['epoch']:.4g}: {figures})."


def is_finished(run: Record) -> bool:
    """Whether training reached the recipe's last epoch, and measured the encoder there if it ever did."""
    measured = [series.epochs[-1] for key in MEASURES if (series := run.series(key))]
    return max(measured, default=run.reached) >= run.recipe.get("epochs", 0) - 0.005


def neighbours(runs: Sequence[Record]) -> str:
    """What runs were told of their number of neighbours: too many for the smallest class, perhaps; of which runs."""
    told: dict[str, list[str]] = {}
    for run in runs:
        told.setdefault(str(run.environment.get("knn_note") or ""), []).append(run.label)
    named = {note: f"{', '.join(own)}: " if len(own) < len(runs) else "" for note, own in told.items()}
    return "".join(f" {named[note]}{note}." for note in sorted(told.keys() - {""}))


def sparse(runs: Sequence[Record], beginning: str) -> str:
    """Why there is one dot where a curve was expected: runs that end before a second line of the log."""
    told: dict[str, list[str]] = {}
    for run in runs:
        if any(len(run.series(key).values) == 1 for key in run.keys(beginning)):
            steps = int(max(line.get("step", 0) for line in run.lines))
            every = tables.played(run)["log_every"]
            why = f"a value is logged every {every} steps (log_every) and at the end of a run, and there are {steps}"
            told.setdefault(why, []).append(run.label)
    who = {why: f" of {', '.join(own)}" if len(runs) > 1 else "" for why, own in told.items()}
    return " ".join(f"One dot{who[why]}: {why}." for why in told)


def measured_on(run: Record, key: str) -> tuple[Any, ...]:
    """What figures are alike by: the images and, of a kNN accuracy, its number of neighbours and its temperature."""
    settings = tables.played(run)
    images = settings.get("data"), settings.get("evaluate_on")
    return (*images, *(settings[each].partition(", ")[0] for each in ("knn_k", "knn_t"))) if key == "knn" else images


def name(recipe: dict[str, Any], table: str) -> str:
    """A part's name; empty if there is none."""
    value = recipe.get(table, "")
    found = str(value.get("name", "") if isinstance(value, dict) else value)
    return "" if found == "none" else found


def true_minus(number: str) -> str:
    """With a true minus sign."""
    return number.replace("-", "\u2212")


def _trained(run: Record) -> str:
    encoder, data = _told(run.recipe, "encoder"), name(run.recipe, "data")
    sentence = f"The {_told(run.recipe, 'method') or 'recipe'} trains {f'the {encoder}' if encoder else 'an encoder'}"
    sentence += f" on {Path(data).name}" if data else ""
    if not is_played(run):
        return f"{sentence}; there is no adversary."
    sentence += f" against the {_told(run.recipe, 'adversary')}"
    adversary = run.recipe["adversary"]
    transform = "" if all_bring_transforms(adversary) else _told(run.recipe, "transform")
    who = "whose opponents without a transform of their own change" if brings_transform(adversary) else "which changes"
    return sentence + (f", {who} views by the {transform}." if transform else ".")


def _told(recipe: dict[str, Any], table: str) -> str:
    """A part by the name it is registered under, with its settings where they are few; empty if there is none."""
    found, value = name(recipe, table), recipe.get(table)
    settings = {key: each for key, each in value.items() if key != "name"} if isinstance(value, dict) else {}
    inner = ", ".join(f"{key} {tables.setting_text(each)}" for key, each in settings.items())
    return found and f"{table} {found}" + (f" ({inner})" if 0 < len(settings) <= MOST_SETTINGS else "")


def _accuracy(run: Record) -> str:
    series = run.series("knn")
    if not series:
        return ""
    last = f"{series.values[-1]:.1f}\u00a0% at the last evaluation (epoch {series.epochs[-1]:g})"
    if series.epochs[0] > 0:
        return f"kNN accuracy is {last}."
    if len(series.values) == 1:
        return f"kNN accuracy of the untrained encoder is {series.values[0]:.1f}\u00a0%."
    gain = round(series.values[-1], 1) - round(series.values[0], 1)  # of the figures as a reader sees them
    change = f"{abs(gain):.1f} points {'more' if gain >= 0 else 'less'} than"
    sentence = f"kNN accuracy is {last}: {change} the untrained encoder's {series.values[0]:.1f}\u00a0%."
    return sentence + _standard_error(series.values[-1] / 100, run.environment.get("test_images"))


def _standard_error(share: float, images: Any) -> str:
    """How far chance alone moves a share of so many images: binomial."""
    if not isinstance(images, int) or images < 1:
        return ""
    error = 100 * (share * (1 - share) / images) ** 0.5
    return f" Of {images:,} images an accuracy has a standard error of {error:.1f} points."


def _progress(run: Record) -> str:
    epochs = run.recipe.get("epochs")
    if epochs is None:
        return f"Training reached epoch {run.reached:g}."
    if is_finished(run):
        return f"The run is finished ({epochs:g} epoch{'' if epochs == 1 else 's'})."
    return f"The run is not finished: it reached epoch {run.reached:.4g} of {epochs:g}, so the figures are provisional."


def _collapse(run: Record) -> list[str]:
    if run.reached == 0:
        return []  # an untrained encoder's features are narrow by nature
    figures = {key: value for key in LEAST if (value := run.last(key)) is not None}
    signs = signs_of_collapse(figures, run.untrained)
    if not signs:
        return []
    says = f"Signs of collapse: {' and '.join(signs)}. This says {NARROW}"
    knn, before = run.last("knn"), run.untrained.get("knn")
    if knn is None:
        return [f"{says}."]
    untrained = "" if before is None else f", the untrained encoder's {before:.1f}\u00a0%"
    return [f"{says}: kNN accuracy is {knn:.1f}\u00a0%{untrained}."]


def _diverged(run: Record) -> list[str]:
    broken = sum("loss" in line and not is_number(line["loss"]) for line in run.lines)
    return [f"The loss was not a finite number on {broken} logged steps."] if broken else []


def judged(run: Record) -> str:
    """Whether the adversary is harder than chance, as far as it was measured."""
    if is_chance(run):
        return "The adversary is chance itself"
    if (state := state_of(_losses(run))) in STATES:
        return STATES[state][0].upper() + STATES[state][1:]
    return "The adversary is alive: it finds harder views than chance does"
