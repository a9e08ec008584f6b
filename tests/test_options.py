"""Options that can be said in more than one way."""

from pathlib import Path

import pytest

from sparring.cli import parse


def test_this_folder_is_a_folder() -> None:
    assert parse(["train", "--run", "."]).run == parse(["evaluate", "."]).run == Path()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--dual-norms"], True),
        (["--dual-norms", "true"], True),
        (["--dual-norms=false"], False),
        (["--recipe", "acl"], True),
        (["--recipe", "acl", "--dual-norms"], True),
        (["--recipe", "acl", "--dual-norms", "false"], False),
        (["--recipe", "acl", "--no-dual-norms"], False),
    ],
    ids=str,
)
def test_what_is_true_or_false_can_be_said_either_way(words: list[str], wanted: bool) -> None:
    assert parse(["train", *words]).settings.dual_norms is wanted
