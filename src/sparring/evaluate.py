"""`sparring evaluate`: measure, print, keep, draw."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file

from sparring.datasets import load_dataset
from sparring.errors import InputError
from sparring.evaluations import Knn, Linear, Subject
from sparring.evaluations.knn import about_k
from sparring.files import check_writable, replace_file
from sparring.measure import Findings, build_evaluations, measure
from sparring.options import Evaluate
from sparring.parts import load_parts, resolved
from sparring.placement import located
from sparring.precision import fabric_on, precision_of
from sparring.recipe import Recipe
from sparring.reports import evaluation_plots
from sparring.reports.evaluation_tables import suffix_of
from sparring.reports.measures import NO_PERCENT, is_percent, is_shown, margins
from sparring.run import Run
from sparring.saved import image_size_of, load_encoder

CONSOLE = Console(highlight=False, markup=False)


def evaluate(asked: Evaluate) -> None:
    """Measure a run's encoder on its own data set or on another, print the figures, and keep them in the run.

    Raises:
        InputError: if something cannot be used; if only one evaluation cannot, after the others were made and kept.
    """
    run = Run.open(asked.run)
    recipe = run.recipe()
    parts = asked.probes(recipe)
    load_parts([*recipe.parts, *asked.parts])
    evaluations = build_evaluations(parts)
    _check_file(asked.features)
    evaluation_plots.check_layout(asked.projection)
    name = located(replace(recipe, data=asked.data)).data if asked.data else recipe.data
    subject = _subject(asked, recipe, name, evaluations.get("linear"))
    findings = measure(subject, evaluations)
    if not findings.figures:
        raise findings.refused or InputError(
            f"{name}: expected labels for {', '.join(findings.left_out)}, found none; try --probe collapse"
        )
    _warn(findings, subject, [each for each in evaluations.values() if isinstance(each, Knn)])
    if asked.per_class and subject.labelled and findings.matrix is None:
        print(f"--per-class: none of {', '.join(evaluations)} names classes; add knn or linear", file=sys.stderr)
    _print(findings, asked, name, subject)
    _save_features(asked.features, subject)
    try:
        settings = {"settings": {part.name: resolved("evaluation", part).settings for part in parts}}
        run.save_evaluation(name, {"figures": findings.figures, **findings.details(), **settings})
        _draw(findings, subject, run.path / "figures", suffix_of(name, recipe.data), asked.projection)
    except OSError as error:
        raise InputError(
            f"{run.path}: expected a folder to keep figures in, got one that refuses; {error.strerror}"
        ) from None
    if not asked.json:
        CONSOLE.print(f"figures       {run.path / 'evaluation.json'}", soft_wrap=True)
        CONSOLE.print(f"pictures      {run.path / 'figures'}", soft_wrap=True)
        if asked.features:
            CONSOLE.print(f"features      {asked.features}", soft_wrap=True)
    if findings.refused:
        raise findings.refused


def _subject(asked: Evaluate, recipe: Recipe, name: str, linear: object) -> Subject:
    """The run's encoder on the images of this name, where they are measured; `linear` fits its probe if asked for."""
    encoder, root = load_encoder(asked.run), asked.data_root or recipe.data_root
    labels = recipe.labels if name == recipe.data else "folders"  # the recipe's are of its own images
    images = load_dataset(
        name, image_size=image_size_of(asked.run), root=root, max_broken=recipe.max_broken, labels=labels
    )
    device = fabric_on(asked.accelerator or recipe.accelerator, devices=1).device
    fit = (linear if isinstance(linear, Linear) else Linear()).fit
    return Subject(encoder.to(device), images, recipe.views, fit, device, precision_of(recipe, device))


def _check_file(features: Path | None) -> None:
    if features and features.suffix != ".safetensors":
        raise InputError(f"--features {features}: expected a name that ends in .safetensors")
    if features:
        check_writable(features)


def _warn(findings: Findings, subject: Subject, neighbours: Sequence[Knn]) -> None:
    """A line for each thing that went otherwise than asked, and what is to be known of the images."""
    if subject.data.note:
        print(subject.data.note, file=sys.stderr)
    if findings.left_out:
        print(f"no labels for both training and test images: left out {', '.join(findings.left_out)}", file=sys.stderr)
    ks = [k for knn in neighbours for k, _ in knn.settings]
    if subject.labelled and ks and (note := about_k(ks, subject.features.bank_labels)):
        print(note, file=sys.stderr)
    for name in (name for name in findings.figures if name.endswith("/unconverged")):
        print(f"{name.partition('/')[0]}: a fit stopped before it converged; set more iterations", file=sys.stderr)


def _print(findings: Findings, asked: Evaluate, data: str, subject: Subject) -> None:
    images = len(subject.shown)
    if asked.json:
        print(
            json.dumps(
                {"run": str(asked.run), "data": data, "images": images, **findings.figures, **findings.details()}
            )
        )
        return
    CONSOLE.print(f"{asked.run} on {images:,} {_kind(subject)} of {data}", soft_wrap=True)
    table = Table("measure", "value")
    for name, value in table_rows(findings.figures):
        table.add_row(name, value)
    CONSOLE.print(table)
    if asked.per_class and findings.matrix is not None:
        classes = Table("class", "recognised", title=f"by {findings.judge}")
        for name, accuracy in findings.per_class().items():
            classes.add_row(name, f"{accuracy:.1f} %")
        CONSOLE.print(classes)


def table_rows(figures: dict[str, float]) -> list[tuple[str, str]]:
    """Names and values as a table shows them: margins behind their figure, single severities left out."""
    rows = []
    for name, value in figures.items():
        if not is_shown(name):
            continue
        behind = [f" ± {margin:.2f}" for margin in margins(figures, name)]
        number, unit = f"{value:{'g' if name in NO_PERCENT else '.2f'}}", " %" if is_percent(name) else ""
        rows.append((name, number + "".join(behind) + unit))
    return rows


def _kind(subject: Subject) -> str:
    return f"{'test' if subject.data.test else 'training'} images"


def _save_features(path: Path | None, subject: Subject) -> None:
    """Features of training images (`bank`) and of test images (`queries`), labels, names of files and of classes."""
    if path is None:
        return
    known, splits = subject.features, {"bank": subject.data.train, "queries": subject.data.test}
    tensors = {
        "bank": known.bank if subject.labelled else subject.extract(subject.data.train.pixels),
        "queries": known.queries if subject.data.test else None,
        "bank_labels": subject.data.train.labels,
        "query_labels": subject.data.test.labels if subject.data.test else None,
    }
    kept = {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}
    about = {f"{name}_files": json.dumps(images.files) for name, images in splits.items() if images and images.files}
    about["classes"] = json.dumps(subject.data.train.classes)
    replace_file(path, lambda temporary: save_file(kept, temporary, about))


def _draw(findings: Findings, subject: Subject, folder: Path, suffix: str, projection: str) -> None:
    folder.mkdir(exist_ok=True)
    if findings.matrix is not None:
        title = f"Confusion, by {findings.judge}"
        evaluation_plots.save_confusion(
            findings.matrix.numpy(), findings.classes, folder / f"confusion{suffix}.png", title
        )
    if "corruptions" in findings.figures:
        evaluation_plots.save_corruptions(findings.figures, folder / f"corruptions{suffix}.png")
    labels = subject.features.query_labels
    evaluation_plots.save_scatter(
        subject.features.queries.numpy(),
        None if labels is None else labels.numpy(),
        subject.shown.classes,
        folder / f"features{suffix}.png",
        projection,
        _kind(subject),
    )
