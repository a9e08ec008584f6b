"""Which settings of runs stand in columns and tell groups apart."""

from sparring.reports import compare, write_report
from sparring.reports.record import read_runs


def test_settings_that_keep_books_split_no_group_and_are_no_column(fake_run, tmp_path, table_of):
    runs = [fake_run("a"), fake_run("b", seed=1)]
    books = "evaluate_every = 1\nlog_every = 3\nhardness_every = 7\ndevices = 2\n"
    (runs[1] / "recipe.toml").write_text(books + (runs[1] / "recipe.toml").read_text())
    page = write_report(runs, tmp_path / "page.html")
    assert table_of(page, 0)[1][:2] == ["simsiam", "2"]
    assert table_of(page, 1)[0][:3] == ["Run", "seed", "Epoch"]


def test_a_setting_that_older_runs_lack_is_at_its_default(fake_run):
    paths = [fake_run("older"), fake_run("newer", seed=1), fake_run("other", seed=2)]
    for path, said in zip(paths[1:], ("test", "validation"), strict=True):
        recipe = path / "recipe.toml"
        recipe.write_text(f'evaluate_on = "{said}"\n{recipe.read_text()}')
    assert [[run.label for run in runs] for runs in compare.grouped(read_runs(paths))] == [
        ["older", "newer"],
        ["other"],
    ]


def test_the_recipes_transform_is_no_setting_where_every_opponent_brings_its_own(fake_run, tmp_path, table_of):
    """Neither a column's nor a group's; but one opponent without plays with it."""
    colour = '{name = "learned", transform = {name = "colour"}}'
    inside = f'{{name = "replay", opponent = {colour}}}'
    adversaries = {"both": f"[{colour}, {inside}]", "one": f'[{colour}, "random"]'}
    paths = {}
    for name, opponents in adversaries.items():
        for seed, space in enumerate(("mix", "grey")):
            paths[name, space] = path = fake_run(f"{name}-{space}", seed=seed)
            recipe, blend = (path / "recipe.toml").read_text(), f'name = "blend"\nopponents = {opponents}'
            (path / "recipe.toml").write_text(recipe.replace('name = "learned"', blend).replace('"mix"', f'"{space}"'))
    groups = compare.grouped(read_runs(list(paths.values())))
    assert [[run.label for run in runs] for runs in groups] == [["both-mix", "both-grey"], ["one-mix"], ["one-grey"]]
    page = write_report([paths["both", "mix"], fake_run("plain")], tmp_path / "page.html")
    head, *rows = table_of(page, 1)
    assert head[1:5] == ["adversary", "adversary.opponents", "transform", "transform.space"]
    assert [row[3:5] for row in rows] == [["—", "—"], ["colour", "mix"]]
