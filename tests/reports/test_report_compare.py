"""Statistics over seeds against closed forms and loops; what is taken at equal epochs and at equal cost."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from sparring.reports import compare, spending, write_report
from sparring.reports.record import Record, read_runs


def test_runs_are_grouped_by_all_but_seed_and_place(fake_run):
    paths = [fake_run("a"), fake_run("b", adversary="none"), fake_run("c", seed=1), fake_run("d", seed=2)]
    recipe = paths[3] / "recipe.toml"
    recipe.write_text('data_root = "/elsewhere"\ndevices = 2\naccelerator = "cuda"\n' + recipe.read_text())
    groups = compare.grouped(read_runs(paths))
    assert [[run.label for run in runs] for runs in groups] == [["a", "c", "d"], ["b"]]
    assert compare.baseline_of(groups) == 1
    assert compare.baseline_of(groups[:1]) == 0


def test_a_difference_is_paired_by_seed():
    # seeds 1, 2 and 3 are common: 1 - 10, 5 - 20, 9 - 40
    found = compare.difference({0: 77.0, 1: 1.0, 2: 5.0, 3: 9.0}, {3: 40.0, 2: 20.0, 1: 10.0, 8: 0.0})
    assert found is not None
    assert (found.mean, found.seeds) == (pytest.approx(-55 / 3), 3)
    assert compare.difference({0: 1.0}, {1: 1.0}) is None


def test_a_seed_that_was_trained_twice_counts_once():
    assert compare.by_seed([(0, 2.0), (1, 7.0), (0, 4.0)]) == {0: 3.0, 1: 7.0}


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0]])
def test_below_three_values_there_is_no_interval(values):
    assert compare.bootstrap_interval(values) is None


def test_the_interval_of_three_values_spans_them():
    # all three draws are the least with a chance of 1/27, more than 2.5 %
    assert compare.bootstrap_interval([3.0, -1.0, 2.0]) == (-1.0, 3.0)


def test_students_interval_is_scipys():
    values = [3.0, -1.0, 2.0, 0.5]
    expected = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert compare.t_interval(values) == pytest.approx((expected.low, expected.high))
    assert compare.t_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)
    assert compare.t_interval([1.0, 2.0]) is None


def test_the_interval_of_equal_values_is_a_point():
    assert compare.bootstrap_interval([2.0] * 5) == (2.0, 2.0)


def test_the_interval_equals_a_loop_over_resamples():
    values = np.random.default_rng(7).normal(size=9)
    draw, means = np.random.default_rng(1), []
    for _ in range(20_000):
        means.append(sum(values[int(draw.integers(9))] for _ in range(9)) / 9)
    means.sort()
    low, high = compare.bootstrap_interval(list(values))
    assert low == pytest.approx(means[500], abs=0.03)  # of a standard error of about 0.3
    assert high == pytest.approx(means[19_500], abs=0.03)
    assert compare.bootstrap_interval(list(values)) == (low, high)


def test_the_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    low, high = compare.bootstrap_interval(list(values))
    half = 1.96 * values.std() / 20
    assert (low, high) == (pytest.approx(values.mean() - half, abs=0.02), pytest.approx(values.mean() + half, abs=0.02))


def spend(folder: Path, units: float, every: int = 4) -> Path:
    """The run with a cost on every logged step that `every` divides, as if it was logged so."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if "loss" in line and line["step"] % every == 0:
            line["cost"] = units
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = folder / "recipe.toml"
    recipe.write_text("batch_size = 100\n" + recipe.read_text())
    return folder


def one(folder: Path) -> Record:
    return read_runs([folder])[0]


def test_a_logged_step_stands_for_all_since_the_line_before(fake_run):
    run = one(spend(fake_run(), 6.0))
    assert spending.total_cost(run) == 6 * 40 * 100  # 40 steps of 100 images
    [line for line in run.lines if "cost" in line][-1]["cost"] = 16.0
    steps, spent = spending.spending(run)
    by_step = {int(step): value for step, value in zip(steps, spent, strict=True)}
    total = 0.0
    for step in range(1, 41):
        total += 100 * (16.0 if step > 36 else 6.0)
        assert step % 4 or by_step[step] == total


def test_costs_that_were_not_logged_are_none(fake_run):
    assert spending.total_cost(one(fake_run())) == 0


@pytest.mark.parametrize(
    ("share", "epoch", "knn"), [(1, 10, 47.375), (0.99, 8, 58.25), (0.8, 8, 58.25), (0.5, 4, 61.75)]
)
def test_at_equal_cost_the_last_evaluation_within_the_budget_is_taken(fake_run, share, epoch, knn):
    run = one(spend(fake_run(), 6.0, every=8))
    assert spending.at_cost(run, "knn", share * 24_000) == (epoch, knn)


def test_nothing_was_evaluated_within_no_budget(fake_run):
    run = one(spend(fake_run(), 6.0))
    assert spending.at_cost(run, "knn", -1.0) is None
    assert spending.at_epoch(run, "knn", 7.9) == (4, 61.75)


def test_the_page_says_what_an_equal_cost_means(fake_run, tmp_path, table_of):
    runs = [spend(fake_run(f"none{seed}", adversary="none", seed=seed), 6.0) for seed in range(3)]
    runs += [spend(fake_run(f"learned{seed}", seed=seed), 9.0) for seed in range(3)]
    page = write_report(runs, tmp_path / "page.html")
    last, equal_cost = table_of(page, 0), table_of(page, 1)
    measured = ["adversary", "Seeds", "kNN, %", "Deviation", "Difference", "95\u00a0% interval", "Epoch"]
    assert last == [
        [*measured, "Cost, M", "Bootstrap"],
        ["none", "3", "47.4", "0.0", "baseline", "", "10", "0.024", ""],
        ["learned", "3", "47.4", "0.0", "+0.0", "+0.0 to +0.0", "10", "0.036", "+0.0 to +0.0"],
    ]
    assert equal_cost[0][-2:] == ["Fair epochs", "Bootstrap"]
    # 24,000 of 36,000 passes are spent at epoch 6.67; the last evaluation before is at 4; 6 of 10 epochs are affordable
    assert equal_cost[2] == ["learned", "3", "61.8", "0.0", "+14.4", "+14.4 to +14.4", "4", "6", "+14.4 to +14.4"]
    text = page.read_text()
    assert "not a fair comparison by itself" in text
    assert "0.024 million encoder passes" in text
    assert "At equal epochs" not in text


def test_a_run_that_is_far_too_dear_is_affordable_for_less_than_an_epoch(fake_run, tmp_path, table_of):
    runs = [spend(fake_run("cheap", adversary="none"), 6.0), spend(fake_run("dear"), 61.0)]
    rows = table_of(write_report(runs, tmp_path / "page.html"), 1)
    assert [row[-2] for row in rows] == ["Fair epochs", "10", "less than 1"]


def test_three_groups_are_held_against_each_other(fake_run, tmp_path, table_of):
    """So that learning can be told from chance, not from vanilla alone."""
    gains = {"none": (0.0, 0.0, 0.0), "random": (1.0, 2.0, 3.0), "learned": (4.0, 4.0, 7.0)}
    runs = []
    for adversary, own in gains.items():
        for seed, gain in enumerate(own):
            run = fake_run(f"{adversary}{seed}", adversary=adversary, seed=seed)
            with (run / "metrics.jsonl").open("a") as file:
                file.write(f'{{"step": 44, "epoch": 10, "knn": {50 + gain}}}\n')
            runs.append(run)
    rows = table_of(write_report(runs, tmp_path / "page.html"), 1)
    assert rows[0] == ["adversary", "Over 1.", "Over 2.", "Over 3."]
    low, high = compare.t_interval([3.0, 2.0, 4.0])
    assert [row[0] for row in rows[1:]] == ["1. none", "2. random", "3. learned"]
    assert rows[3] == ["3. learned", "+5.0 [+0.7, +9.3]", f"+3.0 [+{low:.1f}, +{high:.1f}]", ""]
    assert rows[2][3] == f"\u22123.0 [\u2212{high:.1f}, \u2212{low:.1f}]"


def test_runs_of_different_lengths_are_compared_where_the_shortest_ends(fake_run, tmp_path, table_of):
    short = fake_run("short", adversary="none", until=8)
    (short / "recipe.toml").write_text((short / "recipe.toml").read_text().replace("epochs = 10", "epochs = 8"))
    page = write_report([short, fake_run("long")], tmp_path / "page.html")
    assert [row[:3] for row in table_of(page, 0)[1:]] == [["8", "none", "1"], ["10", "learned", "1"]]
    rows = table_of(page, 1)
    assert [row[3] for row in rows[1:]] == ["58.2", "58.2"]
    assert rows[2][5:] == ["+0.0", "none: 1 seed", "8", ""]
    assert "until epoch 8, where the shortest ends" in page.read_text()


def test_unfinished_runs_are_left_out_and_named(fake_run, tmp_path, table_of):
    runs = [fake_run("a"), fake_run("b", seed=1), fake_run("c", seed=2, until=8)]
    page = write_report(runs, tmp_path / "page.html")
    assert table_of(page, 0)[1][:2] == ["simsiam", "2"]
    assert "Left out, as not finished or not measured: c." in page.read_text()


def test_what_a_run_was_told_of_k_stands_with_its_accuracy(fake_run, tmp_path):
    run = fake_run("a")
    (run / "environment.json").write_text(json.dumps({"knn_note": "k = 200 is more than the 12 training images"}))
    assert "k = 200 is more than the 12 training images." in write_report([run]).read_text()


def told(run: Path, settings: str) -> Path:
    """The run with these settings instead of its own."""
    recipe = run / "recipe.toml"
    kept = [line for line in recipe.read_text().splitlines() if line.partition(" ")[0] != settings.partition(" ")[0]]
    recipe.write_text("\n".join([settings, *kept]))
    return run


@pytest.mark.parametrize("other", ['data = "cifar10"', "knn_k = [5]", "knn_t = [0.5]", 'evaluate_on = "validation"'])
def test_figures_on_other_data_or_of_another_k_are_not_compared(fake_run, tmp_path, table_of, other):
    costs = {"none": 6.0, "learned": 9.0, "random": 9.0}
    runs = [spend(fake_run(name, adversary=name), units) for name, units in costs.items()]
    told(runs[1], other)
    page = write_report(runs, tmp_path / "page.html")
    last, each, equal_cost = (table_of(page, number) for number in range(3))
    assert last[2][5:7] == ["—", "—"]
    assert last[3][5:7] == ["+0.0", "none: 1 seed"]
    assert [row[2:] for row in each[1:]] == [["", "—", "+0.0"], ["—", "", "—"], ["+0.0", "—", ""]]
    assert equal_cost[2][5:7] == ["—", "—"]
    text = page.read_text()
    assert text.count("—: on other data, or by another k or temperature: not compared.") == 3
    assert "kNN accuracies are on other data, or by another k or temperature: not compared." in text
    assert "ends between" not in text


def test_without_labels_groups_are_compared_by_rankme(fake_run, tmp_path, table_of):
    runs = [fake_run("a", labelled=False), fake_run("b", labelled=False, adversary="none", rankme=20.0)]
    page = write_report(runs, tmp_path / "page.html")
    head, *rows = table_of(page, 0)
    assert head[2] == "RankMe"
    assert rows[0][2:6] == ["30.0", "—", "+10.0", "none: 1 seed"]
    assert "Without labels groups are compared by RankMe" in page.read_text()
