"""Bad input: one clear line that says what was expected, what came, and what to do."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

LISTED = 30  # names that still make one readable line
LONGEST = 80  # letters of a value that is shown
MOST_NEAR = 3  # of several that share a word, as many as one reads


class InputError(ValueError):
    """Something the user gave cannot be used; its text is one line, and the command line exits with code 2."""


def unknown(kind: str, got: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist: names the nearest one, or all of them if none is near."""
    names = sorted(known)
    near = nearest(got, names)
    listed = (
        f"expected one of: {', '.join(names)}" if len(names) <= LISTED else f"none of the {len(names)} known is near"
    )
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else listed
    return InputError(f"unknown {kind} {got!r}; {hint}")


def nearest(got: str, known: Iterable[str]) -> list[str]:
    """The names that may have been meant, if any is near: by a word, by initials, by spelling."""
    names, word = sorted(known), got.strip("-")
    begun = [name for name in names if any(_begins(each, word) for each in _words(name))]
    short = [name for name in names if len(word) > 1 and "".join(each[0] for each in _words(name)) == word]
    bare = {name.strip("-"): name for name in names}
    return begun[:MOST_NEAR] or short or [bare[each] for each in get_close_matches(word, bare, n=1, cutoff=0.65)]


def with_article(noun: str) -> str:
    """A noun as it is expected: `an Encoder`, `a Method`."""
    return f"an {noun}" if noun[0] in "AEIOaeio" else f"a {noun}"


def check_is(name: str, value: object, contract: type, such_as: str) -> None:
    """Refuse what does not keep a contract, in one line that says how a thing that does is made."""
    if not isinstance(value, contract):
        told = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
        got = told if len(told) <= LONGEST and "\n" not in told else with_article(type(value).__name__)
        raise InputError(f"{name}: expected {with_article(contract.__name__)}, such as {such_as}, got {got}")


def first_line(error: Exception) -> str:
    """What an error of a library says first; the rest would not be one clear line."""
    return str(error).partition("\n")[0]


def _begins(whole: str, word: str) -> bool:
    return whole == word or (len(word) > 1 and whole.startswith(word))


def _words(name: str) -> list[str]:
    """Of a name, which may be known by one of them (`--size`), or by their initials (`--lr`)."""
    return re.findall(r"[^\W_]+", name)
