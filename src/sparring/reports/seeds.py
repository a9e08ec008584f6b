"""Sections of a page that put groups of runs beside each other: over seeds, at equal epochs, at equal cost."""

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from statistics import mean, stdev

from sparring.reports.compare import (
    IGNORED,
    LEAST_SEEDS,
    MOST_GROUPS,
    RESAMPLES,
    UNLABELLED,
    Difference,
    baseline_of,
    by_seed,
    difference,
    group_names,
    grouped,
    with_interval,
)
from sparring.reports.record import Record
from sparring.reports.spending import at_cost, at_epoch, total_cost
from sparring.reports.tables import ABSENT, FIGURES, differing, heading, recipe_cells, row, table
from sparring.reports.words import MEASURES, UNLIKE, is_finished, measured_on, true_minus

ALIKE = 0.01  # costs this near are equal
LEARNING = " A learned adversary against the same transform at random says whether it is the learning that helps."
Section = tuple[str, str, str]
"""Heading, body (HTML) and the note under the heading."""
Taken = Callable[[Record], tuple[float, float] | None]
"""The epoch and the value that stand for a run."""
Shown = tuple[str, Callable[[Record], str]]
"""One more column: its heading and its cell."""


def sections(runs: Sequence[Record]) -> list[Section]:
    """What can be said over seeds; nothing without two finished runs that were measured."""
    key = next((key for key in MEASURES if any(run.last(key) is not None for run in runs)), "")
    finished = [run for run in runs if is_finished(run) and run.last(key) is not None]
    if len(finished) < 2:
        return []
    unfinished = [run.label for run in runs if run not in finished]
    left_out = f" Left out, as not finished or not measured: {', '.join(unfinished)}." if unfinished else ""
    at_last = partial(at_epoch, key=key, epoch=float("inf"))
    caveat = "" if key == "knn" else f" {UNLABELLED}"
    last = "Over seeds", _table(finished, key, at_last, COST), _over_seeds(finished) + caveat + left_out
    found = [last, *_each_against_each(finished, key), *_equal_epochs(finished, key), *_equal_cost(finished, key)]
    unlike = f" {ABSENT}: {UNLIKE}." if len({measured_on(run, key) for run in finished}) > 1 else ""
    return [(title, body, note + unlike) for title, body, note in found]


def _each_against_each(runs: Sequence[Record], key: str) -> list[Section]:
    groups = grouped(runs)
    if not 3 <= len(groups) <= MOST_GROUPS:  # of two the table above says all
        return []
    found = [_Group(members, partial(at_epoch, key=key, epoch=float("inf")), key) for members in groups]
    (head, cells), form, rows = described(groups), FIGURES[key][1], []
    for number, (own, (first, *others)) in enumerate(zip(found, cells, strict=True)):
        against = [_cell(own, other, form) if own is not other else "" for other in found]
        rows.append(row(escape(f"{number + 1}. {first}"), others, against))
    note = (
        "The mean difference of a row's group to another's over the seeds that both have, at the last epoch, and its "
        f"95\u00a0% interval by Student's t from {LEAST_SEEDS} seeds on."
    )
    note += LEARNING if key == "knn" else ""
    over = [f"Over {number + 1}." for number in range(len(found))]
    return [("Each against each", table([*head, *over], len(head), rows), note)]


def _cell(own: "_Group", other: "_Group", form: str) -> str:
    found = own.over(other)
    return ABSENT if found is None else true_minus(with_interval(found.mean, found.interval, form))


def _equal_epochs(runs: Sequence[Record], key: str) -> list[Section]:
    planned = {run.recipe["epochs"] for run in runs}
    if len(planned) == 1:
        return []
    note = (
        f"The last evaluation of each run until epoch {min(planned)}, where the shortest ends. The learning rate falls "
        "to 0 at a run's own last epoch, so a figure from the middle of a longer run is not what a run of this length "
        "would reach."
    )
    return [("At equal epochs", _table(runs, key, partial(at_epoch, key=key, epoch=min(planned))), note)]


def _equal_cost(runs: Sequence[Record], key: str) -> list[Section]:
    costs = [total_cost(run) for run in runs]
    budget = min(costs)
    if not budget or max(costs) <= budget * (1 + ALIKE):
        return []
    fair: Shown = "Fair epochs", partial(_fair_epochs, budget=budget)
    note = (
        "The last evaluation of each run until it had spent what the cheapest run spent in all, "
        f"{_millions(budget)} million encoder passes of one image (a backward pass counts as two; a logged step stands "
        "for all since the line before). This is not a fair comparison by itself: the learning rate falls to 0 at a "
        "run's own last epoch, so a dearer run is caught in the middle of its schedule. A fair one trains it anew for "
        "the number of epochs in the last column, at which it costs the same."
    )
    return [("At equal cost", _table(runs, key, partial(at_cost, key=key, budget=budget), fair), note)]


def _fair_epochs(run: Record, budget: float) -> str:
    epochs = int(run.recipe["epochs"] * budget / total_cost(run) + 1e-9)
    return str(epochs) if epochs else "less than 1"


def _over_seeds(runs: Sequence[Record]) -> str:
    groups = grouped(runs)
    base = titles(groups)[baseline_of(groups)]
    return (
        "Means over runs that differ in their seed only, each at its last epoch, never its best. Differences are "
        "paired: each run against the run of the same seed in the baseline "
        f"({base}). The interval of the mean difference is Student's; with fewer than "
        f"{LEAST_SEEDS} common seeds none is given. The last column is the bootstrap's ({RESAMPLES:,} resamples of the "
        "seeds), which is too narrow with few seeds (of three: from the smallest difference to the largest): if "
        "differences are normal, its 95\u00a0% are 75 for three seeds, 84 for five and 90 for ten. Cost counts encoder "
        "passes of one image, in millions, a backward pass as two."
    )


def _table(runs: Sequence[Record], key: str, taken: Taken, *shown: Shown) -> str:
    """A row a group; figures over seeds of what was taken from each run."""
    groups = [_Group(members, taken, key) for members in grouped([run for run in runs if taken(run)])]
    base = groups[baseline_of([group.runs for group in groups])]
    (head, cells), (title, form) = described([group.runs for group in groups]), FIGURES[key]
    rows = []
    for group, (first, *others) in zip(groups, cells, strict=True):
        *against, resampled = _difference(group, base, form) if group is not base else ["baseline", "", ""]
        values = list(group.values.values())
        own = [str(len(values)), f"{mean(values):{form}}", f"{stdev(values):{form}}" if len(values) > 1 else ABSENT]
        own += [*against, _span(group.epochs), *(cell(group.runs[0]) for _, cell in shown), resampled]
        rows.append(row(escape(first), others, own))
    figures = ["Seeds", title, "Deviation", "Difference", "95\u00a0% interval", "Epoch"]
    return table([*head, *figures, *(name for name, _ in shown), "Bootstrap"], len(head), rows)


class _Group:
    """Runs over seeds, with the epoch and the value that stand for each."""

    def __init__(self, runs: Sequence[Record], taken: Taken, key: str) -> None:
        pairs = [(run.recipe.get("seed", 0), point) for run in runs if (point := taken(run))]
        self.runs, self.epochs = runs, [epoch for _, (epoch, _) in pairs]
        self.values = by_seed([(seed, value) for seed, (_, value) in pairs])
        self.measured_on = measured_on(runs[0], key)

    def over(self, base: "_Group") -> Difference | None:
        """None where both share no seed, or are not measured alike."""
        return difference(self.values, base.values) if self.measured_on == base.measured_on else None


def _difference(group: _Group, base: _Group, form: str) -> list[str]:
    found = group.over(base)
    if found is None:
        return [ABSENT, "no common seed" if group.measured_on == base.measured_on else ABSENT, ""]
    apart = true_minus(f"{found.mean:+{form}}")
    if found.interval is None or found.resampled is None:
        return [apart, f"none: {found.seeds} seed{'s' if found.seeds > 1 else ''}", ""]
    intervals = (found.interval, found.resampled)
    return [apart, *(true_minus(f"{low:+{form}} to {high:+{form}}") for low, high in intervals)]


def _span(epochs: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{epoch:.4g}" for epoch in (min(epochs), max(epochs)))
    return " to ".join(ends)


def telling(groups: Sequence[Sequence[Record]]) -> list[str]:
    """The settings that tell groups apart; the method where there is one group."""
    names = [name for name in differing([runs[0] for runs in groups]) if name not in IGNORED]
    return names or ["method.name"]


def described(groups: Sequence[Sequence[Record]]) -> tuple[list[str], list[list[str]]]:
    """Headings and each group's cells: its name, where a sweep gave any, and the settings that tell it apart."""
    names, settings = group_names(groups), telling(groups)
    cells = [recipe_cells(runs[0], settings) for runs in groups]
    head = [heading(setting) for setting in settings]
    if any(names):
        return ["Group", *head], [[name or ABSENT, *own] for name, own in zip(names, cells, strict=True)]
    return head, cells


def titles(groups: Sequence[Sequence[Record]]) -> list[str]:
    """Each group in a few words: its name, where a sweep gave one, and the settings that tell it apart."""
    settings, found = telling(groups), []
    for name, runs in zip(group_names(groups), groups, strict=True):
        cells = zip(settings, recipe_cells(runs[0], settings), strict=True)
        words = ", ".join(f"{heading(setting)} {cell}" for setting, cell in cells if cell != ABSENT)
        found.append(f"{name}: {words}" if name else words)
    return found


def _millions(cost: float) -> str:
    return f"{cost / 1e6:,.3g}" if cost < 1e9 else f"{cost / 1e6:,.0f}"


COST: Shown = "Cost, M", lambda run: _millions(total_cost(run)) if total_cost(run) else ABSENT
