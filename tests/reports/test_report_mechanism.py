"""Curves of the mechanism show what was recorded, before and after the adversary, and only where it was."""

import json
from collections.abc import Callable
from pathlib import Path

from sparring.reports import curves
from sparring.reports.record import read_runs


def test_curves_of_the_negatives_and_of_the_choices(fake_run: Callable[..., Path]) -> None:
    folder = fake_run()
    (run,) = read_runs([folder])
    assert curves.negatives([run]) == curves.choices([run]) == []
    with (folder / "metrics.jsonl").open("a") as file:
        for epoch in (11, 12):
            figures = {
                f"negatives/{view}/{key}": start + epoch
                for view, start in (("clean", 0.1), ("adversary", 0.2))
                for key in ("pull", "push", "false_weight")
            }
            line = {"step": 4 * epoch, "epoch": epoch, "knn": 1.0, **figures, "parameters/spread": epoch / 20}
            file.write(json.dumps(line) + "\n")
    (run,) = read_runs([folder])
    share, sizes = curves.negatives([run])
    assert {curve.label: list(curve.values) for curve in share.curves} == {
        "the clean view": [11.1, 12.1],
        "the hard view": [11.2, 12.2],
    }
    expected = [f"{part}, {view}" for part in ("pull", "push") for view in ("the clean view", "the hard view")]
    assert [curve.label for curve in sizes.curves] == expected
    (choices,) = curves.choices([run])
    assert [(curve.label, list(curve.values)) for curve in choices.curves] == [("spread", [0.55, 0.6])]
