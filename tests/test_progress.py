"""What training says while it runs."""

import pytest

from sparring.progress import Display


def test_of_the_adversary_only_what_two_looks_in_a_row_have_found_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    display, dead, collapsed = Display(9, 90, 0, visible=True), {"dead": "it is dead"}, {"collapsed": "it collapsed"}

    def said(alarms: dict[str, str]) -> list[str]:
        display.warn(alarms)
        return capsys.readouterr().err.splitlines()

    looks = [dead, {}, dead, dead, dead | collapsed, collapsed, dead, dead]
    heard = [[], [], [], ["warning: it is dead"], ["warning: it collapsed"], [], [], ["warning: it is dead"]]
    assert [said(look) for look in looks] == heard
