"""Measure a trained encoder by several evaluations, each part of the work done once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Int
from rich.console import Console
from torch import Tensor

from sparring.errors import InputError
from sparring.evaluations import Inspection, Judge, Subject
from sparring.evaluations.confusion import MOST_CLASSES, class_accuracies, confusion
from sparring.parts import build
from sparring.recipe import Part

Evaluations = Mapping[str, Callable[..., dict[str, float]]]


@dataclass
class Findings:
    """What was measured."""

    figures: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """Evaluations that need labels, where there are none."""
    refused: InputError | None = None
    """Why an evaluation could not be made; the others are, nevertheless."""
    judge: str = ""
    """Whose predictions the confusion matrix shows: `linear`'s, or else those of the last that names classes."""
    matrix: Int[Tensor, "c c"] | None = None
    classes: tuple[str, ...] = ()

    def per_class(self) -> dict[str, float]:
        """Percent of each class's test images that were recognised; without classes that have none."""
        if self.matrix is None:
            return {}
        accuracies = zip(self.classes, class_accuracies(self.matrix).tolist(), strict=True)
        return {name: value for name, value in accuracies if value == value}

    def details(self) -> dict[str, dict[str, Any]]:
        """Per class, as JSON holds it; empty without labels."""
        if self.matrix is None:
            return {}
        counts = {"counts": self.matrix.tolist()} if len(self.classes) <= MOST_CLASSES else {}
        about = {"by": self.judge, "classes": list(self.classes)}
        return {"per_class": self.per_class(), "confusion": about | counts}


def build_evaluations(parts: Sequence[Part]) -> dict[str, Callable[..., dict[str, float]]]:
    """The evaluations that were asked for, by name."""
    names = [part.name for part in parts]
    if twice := [name for name in names if names.count(name) > 1]:
        got = f"got it {names.count(twice[0])} times"
        raise InputError(f"--probe {twice[0]}: expected each evaluation once, {got}; give all settings to one")
    return {part.name: build("evaluation", part, {}) for part in parts}


def measure(subject: Subject, evaluations: Evaluations) -> Findings:
    """Run all evaluations on one subject; a spinner tells a person at a terminal which."""
    findings = Findings()
    with Console(stderr=True).status("reading features") as status:
        if not (subject.features.bank.isfinite().all() and subject.features.queries.isfinite().all()):
            raise InputError(
                "expected an encoder whose features are finite, got one that has diverged; train another run"
            )
        for name, evaluation in evaluations.items():
            status.update(f"measuring {name}")
            try:
                found = _judged(name, evaluation, subject, findings)
            except InputError as error:
                findings.refused = findings.refused or error
                continue
            if not isinstance(found, Mapping):
                raise InputError(f"evaluation {name}: expected figures by name, got {type(found).__name__}")
            findings.left_out += [] if found else [name]
            findings.figures |= found
    return findings


def _judged(
    name: str, evaluation: Callable[..., dict[str, float]], subject: Subject, findings: Findings
) -> dict[str, float]:
    if isinstance(evaluation, Judge) and subject.labelled:
        figures, classes = evaluation.judge(subject)
        _judge(findings, name, subject, classes)
        return figures
    return evaluation(subject if isinstance(evaluation, Inspection) else subject.features)


def _judge(findings: Findings, name: str, subject: Subject, predicted: Int[Tensor, " m"]) -> None:
    """Keep whose answers were what; those of the linear probe rather than the neighbours'."""
    labels, names = subject.features.query_labels, subject.shown.classes
    if findings.judge == "linear" or labels is None:
        return
    classes = max(len(names), int(labels.max()) + 1, int(predicted.max()) + 1)
    findings.classes = names if len(names) == classes else tuple(map(str, range(classes)))
    findings.judge, findings.matrix = name, confusion(labels, predicted, classes)
