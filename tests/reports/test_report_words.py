"""What a report says is what the run's last figures mean."""

import json

import pytest

from sparring.reports import words
from sparring.reports.record import read_runs
from sparring.reports.tiles import tiles


@pytest.fixture
def read(fake_run):
    return lambda *args, **kwargs: read_runs([fake_run(*args, **kwargs)])[0]


def test_the_verdict_names_the_parts_and_the_last_figure(read):
    text = " ".join(words.verdict(read())).replace("\u00a0", " ")
    assert "The method simsiam trains the encoder resnet12 (width 0.25) on sample against the adversary learned" in text
    assert "learned, which changes views by the transform colour (space mix)." in text
    assert "47.4 % at the last evaluation (epoch 10): 25.9 points more than the untrained encoder's 21.5 %" in text
    assert "61.8" not in text
    assert "The run is finished (10 epochs)." in text


LEARNED = {"name": "learned", "transform": {"name": "colour", "space": "grey"}}
TOLD = '{name = "learned", transform = {name = "colour", space = "grey"}}'


@pytest.mark.parametrize(
    ("opponents", "told"),
    [
        ([LEARNED, LEARNED], f"blend (opponents {TOLD}, {TOLD})."),  # the recipe's own changes nothing
        (
            [LEARNED, "random"],
            f"blend (opponents {TOLD}, random), whose opponents without a transform of their own change views by the "
            "transform colour (space mix).",
        ),
        (["learned", "random"], "blend (opponents learned, random), which changes views by the transform colour"),
    ],
)
def test_opponents_that_bring_their_transforms_are_told_with_them(read, opponents, told):
    run = read()
    run.recipe["adversary"] = {"name": "blend", "opponents": opponents}
    assert told in words.verdict(run)[0]


def test_a_run_of_one_epoch_is_not_of_epochs(read):
    run = read()
    run.recipe["epochs"] = 1
    assert "The run is finished (1 epoch)." in words.verdict(run)


def test_parts_of_ones_own_are_told_like_any_other(read):
    """And nothing is said of labels, of which a run's folder does not tell whether its method asked for them."""
    run = read()
    run.recipe.update(method={"name": "mine", "labelled": True}, adversary="rival")
    text = words.verdict(run)[0]
    assert text.startswith("The method mine (labelled yes) trains the encoder resnet12")
    assert "against the adversary rival, which changes views" in text
    assert "without labels" not in text


def test_of_many_settings_a_sentence_tells_none(read):
    run = read()
    run.recipe["transform"] |= {"a_max": 0.5, "b_max": 0.5, "c_max": 0.5}
    assert words.verdict(run)[0].endswith("which changes views by the transform colour.")


def test_an_unfinished_run_says_so(read):
    assert "not finished: it reached epoch 8 of 10" in " ".join(words.verdict(read(until=8)))


def test_a_run_that_was_not_measured_at_its_end_is_not_finished(fake_run):
    """Killed during its last evaluation: the last step is logged, the last accuracy is an older one."""
    folder = fake_run("killed")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = [line for line in lines if line["epoch"] < 10 or "loss" in line]
    assert words.is_finished(read_runs([folder])[0])
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    assert not words.is_finished(read_runs([folder])[0])


def test_a_run_without_adversary_says_so(read):
    run = read(adversary="none")
    assert "there is no adversary" in words.verdict(run)[0]
    assert words.hardness(run) == ""


@pytest.mark.parametrize(
    ("spread", "rankme", "signs"),
    [
        (0.8, 30.0, []),
        (0.3, 3.0, []),
        (0.29, 30.0, ["spread"]),
        (0.8, 2.9, ["RankMe"]),
        (0.1, 1.5, ["spread", "RankMe"]),
    ],
)
def test_collapse_is_warned_of_exactly_below_the_thresholds(read, spread, rankme, signs):
    warned = words.warnings(read(spread=spread, rankme=rankme))
    assert len(warned) == bool(signs)
    assert all(sign in warned[0] for sign in signs)
    assert [sign for sign in ("spread", "RankMe") if sign in "".join(warned)] == signs


def test_a_run_too_short_for_a_curve_says_why_it_is_a_dot(fake_run):
    paths = [fake_run("long"), fake_run("short")]
    lines = [json.loads(line) for line in (paths[1] / "metrics.jsonl").read_text().splitlines()]
    kept = [line for line in lines if "loss" not in line or line["step"] == 4]
    (paths[1] / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept[:3]))
    runs = read_runs(paths)
    why = "a value is logged every 10 steps (log_every) and at the end of a run, and there are 16."
    assert words.sparse(runs, "loss") == f"One dot of short: {why}"
    assert words.sparse(runs[1:], "adversary/") == f"One dot: {why}"
    assert words.sparse(runs[:1], "loss") == ""


def test_a_warning_of_collapse_says_no_more_than_was_measured(read):
    (warned,) = words.warnings(read(spread=0.2996))
    assert warned.replace("\u00a0", " ") == (
        "Signs of collapse: feature spread is 0.2996 (below 0.3000). This says how varied features "
        "are, not what they still tell apart: kNN accuracy is 47.4 %, the untrained encoder's 21.5 %."
    )
    assert words.warnings(read("other", spread=0.2, labelled=False))[0].endswith("what they still tell apart.")


def test_an_untrained_encoder_is_not_called_collapsed(read):
    assert words.warnings(read(spread=0.1, rankme=1.5, until=0)) == []


def test_a_loss_that_is_not_finite_is_warned_of(fake_run):
    path = fake_run()
    with (path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 44, "epoch": 11, "loss": float("nan")}) + "\n")
    assert words.warnings(read_runs([path])[0]) == ["The loss was not a finite number on 1 logged steps."]


@pytest.mark.parametrize(
    ("adversary", "hardness", "judged"),
    [
        ("learned", (-0.4, -0.7, -0.9), "alive"),
        ("learned", (-0.69, -0.7, -0.9), "dead"),  # an advantage of 0.01 against chance's own 0.2
        ("learned", (-0.8, -0.7, -0.9), "dead"),
        ("learned", (-0.95, -0.7, -0.9), "idle"),
        ("random", (-0.7, -0.7, -0.9), "chance itself"),
    ],
)
def test_hardness_is_judged_against_chance_and_clean_views(read, adversary, hardness, judged):
    sentence = words.hardness(read(adversary=adversary, hardness=hardness))
    assert judged in sentence
    assert f"{hardness[0]:.3f}".replace("-", "\u2212") in sentence


def test_chance_is_known_by_what_was_measured_and_not_by_its_name(fake_run):
    path = fake_run(adversary="randaugment", hardness=(-0.95, -0.7, -0.9))  # easier than clean views: not idle
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    (path / "metrics.jsonl").write_text(
        "".join(json.dumps({k: v for k, v in line.items() if k != "hardness/random"}) + "\n" for line in lines)
    )
    (run,) = read_runs([path])
    assert words.hardness(run).startswith("The adversary is chance itself (epoch 10")
    assert "beyond chance" not in tiles(run)


@pytest.mark.parametrize(("margin", "judged"), [(0.4, "dead"), (0.2, "alive")])
def test_a_lead_is_held_against_its_margin(fake_run, margin, judged):
    path = fake_run(hardness=(-0.4, -0.7, -0.9))
    with (path / "metrics.jsonl").open("a") as file:
        look = {"hardness/adversary": -0.4, "hardness/random": -0.7, "hardness/clean": -0.9}
        file.write(json.dumps({"step": 42, "epoch": 10.5, **look, "hardness/lead_margin": margin}) + "\n")
    (run,) = read_runs([path])
    assert judged in words.hardness(run)
    assert f"loss beyond chance ± {margin:.3f}" in tiles(run)


def test_hardness_is_judged_by_the_last_whole_line_even_if_it_is_no_evaluation(fake_run):
    path = fake_run()  # alive at its last evaluation
    look = {"hardness/adversary": -0.95, "hardness/random": -0.7, "hardness/clean": -0.9}
    broken = {"hardness/adversary": 5.0, "hardness/random": float("nan"), "hardness/clean": -0.9}
    with (path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 42, "epoch": 10.5, **look}) + "\n")
        file.write(json.dumps({"step": 44, "epoch": 11.0, **broken}) + "\n")
    (run,) = read_runs([path])
    sentence = words.hardness(run)
    assert "idle" in sentence
    assert "epoch 10.5: loss per image \u22120.950, against \u22120.700 with random parameters" in sentence
    assert "47.4" in words.verdict(run)[1]  # the evaluation's own figure, and its epoch
    assert "(epoch 10)" in words.verdict(run)[1]
    assert "\u22120.250" in tiles(run)
    assert run.series("hardness/adversary").epochs == [0, 4, 8, 10, 10.5, 11]


def test_figures_that_were_never_measured_together_are_not_judged(fake_run):
    path = fake_run(adversary="none")
    with (path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 41, "epoch": 10.25, "hardness/adversary": 1.0}) + "\n")
        file.write(json.dumps({"step": 42, "epoch": 10.5, "hardness/clean": 0.5}) + "\n")
    (run,) = read_runs([path])
    assert run.together("hardness/") == {}
    assert words.hardness(run) == ""
    assert run.together("nothing/") == {}


def test_an_accuracy_has_a_standard_error(fake_run):
    path = fake_run()
    (path / "environment.json").write_text(json.dumps({"test_images": 100}))
    told = " ".join(words.verdict(read_runs([path])[0]))
    assert f"Of 100 images an accuracy has a standard error of {(47.375 * 52.625 / 100) ** 0.5:.1f} points." in told
