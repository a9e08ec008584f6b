"""The page: one HTML file that holds all of a report, and its figures as PNG beside it."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import groupby, starmap
from pathlib import Path
from string import Template

from sparring.alarms import LEAST
from sparring.files import check_writable, write_text
from sparring.reports import charts, curves, evaluation_tables, gallery, nearest, seeds, tables, words
from sparring.reports.compare import grouped
from sparring.reports.panels import VARIABLES, Panel
from sparring.reports.pictures import Picture, beside
from sparring.reports.record import Record, read_runs
from sparring.reports.tiles import tiles

CHARTS: dict[str, Callable[[Sequence[Record]], list[Panel]]] = {
    "knn": curves.knn,
    "parameters": curves.parameters,
    "loss": curves.loss,
    "collapse": curves.collapse,
    "hardness": curves.hardness,
    "choices": curves.choices,
    "negatives": curves.negatives,
}
ONE_EACH = ("parameters", "hardness", "choices", "negatives")
"""Drawn for one seed of each group: more would be a long page that says the same."""
KNN = "Nearest-neighbour accuracy on {} images, from the encoder's features alone; epoch 0 is the untrained encoder."
PARAMETERS = "Its parameters over training: the mean over images, shaded by their standard deviation to either side."
CHOICES = (
    "Of the parameters in their unit box: spread 0 is one constant for all images, entropy 1 is as varied as chance, "
    "and what the image does not explain comes from its random views and from noise."
)
NEGATIVES = (
    "The gradient on a view's projection has a part from its positive (pull) and one from its negatives (push). A "
    "false negative is another image of the same class: weight on those teaches the encoder to tell equals apart."
)
NEAREST = (
    "The nearest negative of a hard view is the view of another image in its batch that is most like it. Rows are the "
    "hard view's class, columns that negative's; on the diagonal both are of one class: the negative is a false one."
)
SPREAD = (
    "Both fall towards their least when an encoder maps all images to the same place. It is warned of below "
    f"{' and '.join(f'{name} {least:g}' for name, _, least in LEAST.values())}, or below half the untrained encoder's "
    "where that is less."
)

Drawn = dict[str, tuple[list[Picture], str]]
"""Of each run, by label: heat maps, and what they say."""


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page and return its path: a single run's own report.html by default, ./report.html for several.

    The figures go to the folder `figures` of a single run, and to `<page>-figures` beside the page of several.
    """
    shown = read_runs(runs)
    single = shown[0].path if len(shown) == 1 else None
    page = Path(out) if out else (single or Path()) / "report.html"
    one_each = [members[0] for members in grouped(shown)]
    panels = {name: draw(one_each if name in ONE_EACH else shown) for name, draw in CHARTS.items()}
    pictures = {run.label: gallery.rows(run.path) for run in one_each}
    classes = _nearest(one_each)
    text = _page(shown, panels, pictures, classes)  # before anything is written: a damaged file leaves all as it was
    page.parent.mkdir(parents=True, exist_ok=True)
    check_writable(page)
    figures = single / "figures" if single else page.with_name(f"{page.stem}-figures")
    _write_figures(panels, pictures, figures)
    for picture in (picture for drawn, _ in classes.values() for picture in drawn):
        (figures / f"{picture.name}.png").write_bytes(picture.png)
    write_text(page, text)
    return page


def _nearest(runs: Sequence[Record]) -> Drawn:
    found = {run.label: nearest.tables(run.path) for run in runs}
    return {
        label: (nearest.pictures(own, name), nearest.sentence(own))
        for name, (label, own) in zip(_numbered("nearest", len(runs)), found.items(), strict=True)
        if own
    }


def _numbered(name: str, runs: int) -> list[str]:
    """What each run's picture of this name is called: by the run's place, whether or not those before it have one."""
    return [f"{name}-{place + 1}" for place in range(runs)] if runs > 1 else [name]


def _write_figures(panels: dict[str, list[Panel]], pictures: dict[str, list[gallery.Row]], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, drawn in panels.items():
        if drawn:
            charts.save_png(drawn, folder / f"{name}.png")
    for name, rows in zip(_numbered("gallery", len(pictures)), pictures.values(), strict=True):
        if rows:
            gallery.save_png(rows, folder / f"{name}.png")


def _page(
    runs: Sequence[Record], panels: dict[str, list[Panel]], pictures: dict[str, list[gallery.Row]], classes: Drawn
) -> str:
    template = Template(files("sparring.reports").joinpath("page.html").read_text(encoding="utf-8"))
    one_each = [run for run in runs if run.label in pictures]
    one = " Of each group, its first run is shown." if len(one_each) < len(runs) else ""
    sections = [
        _summary(runs),
        _section("kNN accuracy", _charts("knn", panels), KNN.format(_evaluated_on(runs)) + words.neighbours(runs)),
        _section(*evaluation_tables.section(runs)),
        _section("What the adversary chooses", _charts("parameters", panels), _parameters(one_each) + one),
        _section("Does it choose for each image?", _charts("choices", panels), CHOICES),
        _section("What the views look like", _galleries(pictures), one),
        _section("Loss", _charts("loss", panels), _loss(runs)),
        _section("Collapse", _charts("collapse", panels), SPREAD),
        _section("Is the adversary harder than chance?", _charts("hardness", panels), _hardness(runs) + one),
        _section("What pulls and pushes the views", _charts("negatives", panels), NEGATIVES + one),
        _section("Which class the nearest negatives are of", _heat_maps(classes, len(pictures) > 1), NEAREST + one),
        _section("Recipe and environment", "".join(_details(run, len(runs) > 1) for run in runs)),
    ]
    title = runs[0].label if len(runs) == 1 else f"{len(runs)} runs compared"
    policy, script = _sorting() if len(runs) > 1 else ("", "")
    return template.substitute(
        title=escape(title), verdict=_verdict(runs), sections="\n".join(sections), policy=policy, script=script
    )


def _sorting() -> tuple[str, str]:
    """The script that sorts tables, and the page's leave to run it and no other."""
    script = files("sparring.reports").joinpath("sort.js").read_text(encoding="utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return f"; script-src 'sha256-{digest}'", f"<script>{script}</script>\n"


def _verdict(runs: Sequence[Record]) -> str:
    sentences = words.verdict(runs[0]) if len(runs) == 1 else words.comparison(runs)
    boxes = [(_named(run, runs) + warning) for run in runs for warning in words.warnings(run)]
    return f'<p class="verdict">{escape(" ".join(sentences))}</p>' + "".join(
        f'<p class="warning" role="note"><strong>Warning.</strong>{escape(text)}</p>' for text in boxes
    )


def _summary(runs: Sequence[Record]) -> str:
    if len(runs) == 1:
        return tiles(runs[0])
    beside = tables.compared(runs, [_mark(colour) for colour, _ in curves.styles(runs)])
    return "".join(starmap(_section, [*seeds.sections(runs), ("Runs", beside)]))


def _section(heading: str, body: str, note: str = "") -> str:
    """A section, or nothing where there is nothing to show."""
    under = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(heading)}</h2>{under}{body}</section>" if body else ""


def _charts(name: str, panels: dict[str, list[Panel]]) -> str:
    parts = []
    for group, members in groupby(enumerate(panels[name]), lambda member: member[1].group):
        drawn = list(members)
        parts += [f"<h3>{escape(group)}</h3>"] if group else []
        body = "".join(_chart(panel, f"{name}-{number}") for number, panel in drawn)
        parts += [f'<div class="across-{drawn[0][1].across}">{body}</div>']
    return "".join(parts)


def _chart(panel: Panel, name: str) -> str:
    return f'<figure class="chart"><figcaption>{escape(panel.title)}</figcaption>{charts.svg(panel, name)}</figure>'


def _galleries(pictures: dict[str, list[gallery.Row]]) -> str:
    shown = {label: rows for label, rows in pictures.items() if rows}
    return "".join(
        (f"<h3>{escape(label)}</h3>" if len(pictures) > 1 else "") + "".join(map(_strip, rows))
        for label, rows in shown.items()
    )


def _strip(row: gallery.Row) -> str:
    words = f"{row.title}: {len(row.pictures)} pictures side by side"
    picture = f'<img alt="{escape(words)}" src="{row.data_url()}">'
    return f'<figure class="strip"><figcaption>{escape(row.title)}</figcaption>{picture}</figure>'


def _heat_maps(classes: Drawn, several: bool) -> str:
    return "".join(
        (f"<h3>{escape(label)}</h3>" if several else "") + f'<p class="note">{escape(sentence)}</p>{beside(drawn)}'
        for label, (drawn, sentence) in classes.items()
    )


def _evaluated_on(runs: Sequence[Record]) -> str:
    return " or ".join(sorted({run.recipe.get("evaluate_on", "test") for run in runs}))


def _hardness(runs: Sequence[Record]) -> str:
    """A sentence on the first run of each group, and on those that are judged otherwise."""
    sentences = []
    for members in grouped(runs):
        first = words.judged(members[0])
        shown = [members[0], *(run for run in members[1:] if words.judged(run) != first)]
        sentences += [_named(run, runs) + sentence for run in shown if (sentence := words.hardness(run))]
    learned = any(words.is_played(run) and not words.is_chance(run) for run in runs)
    return " ".join([*sentences, words.SCALE] if sentences and learned else sentences)


def _loss(runs: Sequence[Record]) -> str:
    """What else moves it."""
    grows = any(len(set(run.recipe.get("views", {}).get("sides", ()))) > 1 for run in runs)
    jumps = "It jumps where the views' side changes." if grows else ""
    return " ".join(filter(None, (jumps, words.sparse(runs, "loss"))))


def _parameters(runs: Sequence[Record]) -> str:
    shown = [run for run in runs if not words.is_chance(run)]
    return " ".join(filter(None, (PARAMETERS, words.sparse(shown, "adversary/"))))


def _named(run: Record, runs: Sequence[Record]) -> str:
    return f"{run.label}: " if len(runs) > 1 else ""


def _mark(colour: str) -> str:
    return f'<span class="mark" style="background: {VARIABLES[colour]}"></span>'


def _details(run: Record, several: bool) -> str:
    about = f" of {run.label}" if several else ""
    tabled = {f"Recipe{about}": tables.settings(run.recipe), f"Environment{about}": tables.settings(run.environment)}
    return "".join(
        f"<details><summary>{escape(name)}</summary>{table}</details>" for name, table in tabled.items() if table
    )
