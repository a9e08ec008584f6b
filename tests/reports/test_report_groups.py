"""Groups of runs bear the name that their sweep gave them."""

import pytest

from sparring.reports import compare, write_report
from sparring.reports.record import read_runs


def test_groups_of_a_sweep_bear_its_names_beside_their_settings(fake_run, tmp_path, table_of):
    played = {"vanilla": "none", "chance": "random", "grey": "learned"}
    runs = [
        fake_run(f"sw/{arm},seed={seed}", adversary=own, seed=seed) for arm, own in played.items() for seed in range(2)
    ]
    page = write_report(runs, tmp_path / "page.html")
    last, each = table_of(page, 0), table_of(page, 1)
    assert [row[:3] for row in last] == [
        ["Group", "adversary", "Seeds"],
        ["vanilla", "none", "2"],
        ["chance", "random", "2"],
        ["grey", "learned", "2"],
    ]
    assert [row[:2] for row in each[1:]] == [["1. vanilla", "none"], ["2. chance", "random"], ["3. grey", "learned"]]
    assert "in the baseline (vanilla: adversary none)" in page.read_text()


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (("x=1,seed=0", "x=1,seed=1", "b,seed=0"), ["x=1", "b"]),
        (("a,seed=0", "c,seed=1", "b,seed=0"), ["", "b"]),  # two names in one group
        (("a,seed=0", "first", "b,seed=0"), ["", "b"]),  # one folder of it is no sweep's
        (("one/a,seed=0", "one/a,seed=1", "two/a,seed=0"), ["", ""]),  # one name for two groups
        (("seed=0", "seed=1", "b-seed=0"), ["", ""]),
    ],
)
def test_a_group_is_named_by_folders_that_agree_and_by_no_name_of_anothers(fake_run, folders, names):
    players = ("learned", "learned", "none")
    runs = [
        fake_run(name, adversary=player, seed=i) for i, (name, player) in enumerate(zip(folders, players, strict=True))
    ]
    assert compare.group_names(compare.grouped(read_runs(runs))) == names
