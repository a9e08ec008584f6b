"""The `sparring` command. Nothing heavy is imported before the command line is understood."""

import errno
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import fields, replace
from functools import partial
from importlib.metadata import version
from io import StringIO
from itertools import dropwhile, pairwise, takewhile
from pathlib import Path
from typing import Annotated, Any, NoReturn, Union

import tyro
from tyro.conf import DisallowNone, subcommand
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from sparring.errors import InputError, first_line, unknown
from sparring.grid import load_grid, with_value
from sparring.options import COMMANDS
from sparring.recipe import PARTS, Part, Recipe, Views
from sparring.recipe_files import DEFAULT, load_recipe, shipped_recipes
from sparring.schema import parse_literal

MARKERS = (DisallowNone,)
NO_PLACE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
)
IN_OUR_WORDS = {
    r"Error parsing (?:[A-Z]\w+|settings\.\w+): (.*)": r"\1",
    r"Error parsing (\S+): (expected .*)": r"\1: \2",
    r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)": r"\1: expected a whole number, got \2",
    r"Error parsing (\S+): no type matching INT .*\['(.*)'\]": r"\1: expected a whole number, got '\2'",
    r"Error parsing (\S+): could not convert string to float: (.*)": r"\1: expected a number, got \2",
    r"Error parsing (\S+): Could not .*arguments:? \[(.*?)\].*": r"\1: expected what the help shows, got \2",
    r"Missing from .*?: (\S+) (.*)\. \(required\)": r"expected \1, got none: \2",
    r"Missing value for argument '(\S+)'.*": r"\1: expected a value, got none",
    r"invalid choice (\S+) for argument '(\S+)'\. Expected one of \((.*)\)": r"\2: expected one of \3, got \1",
}
"""What tyro says of values, and what we say."""

NO_MEMORY = r"(?i)memoryerror|out ?of ?memory|(can't|cannot) allocate memory|not enough memory"
"""What Python and torch say where memory is short."""
LESS_MEMORY = "try less at a time: in training a smaller --batch-size or --image-size, or a narrower encoder"

REGISTRY = ConstructorRegistry()


@REGISTRY.primitive_rule
def _part_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """On the command line a part is its name, or an inline TOML table."""
    if info.type is not Part:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME",
        instance_from_str=lambda words: Part.of(parse_literal(words[0])),
        is_instance=lambda value: isinstance(value, Part),
        str_from_instance=lambda part: [part.name],
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; bad input is one line on stderr and exit code 2."""
    try:
        parse(list(sys.argv[1:] if argv is None else argv))()
    except InputError as error:
        _stop(f"error: {' '.join(str(error).split())}", 2)
    except (MemoryError, RuntimeError) as error:
        if not re.search(NO_MEMORY, f"{type(error).__name__}: {error}"):
            raise
        _stop(f"error: expected enough memory, got: {first_line(error) or 'none'}; {LESS_MEMORY}", 2)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stdout = None
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        place = error.filename or "a file"
        _stop(f"error: {place}: expected a place that can be read and written, got: {error.strerror}", 2)
    except KeyboardInterrupt as interrupt:
        _stop(f"stopped: {interrupt}" if str(interrupt) else "stopped", 130)


def _stop(line: str, code: int) -> NoReturn:
    print(f"sparring: {line}", file=sys.stderr)
    sys.exit(code)


def parse(argv: list[str]) -> Any:
    """The command that a command line asks for, ready to be called."""
    if argv[:1] == ["--version"]:
        return partial(print, "sparring", version("sparring"))
    if not argv or argv[0].startswith("-"):
        kinds: Any = Union[tuple(Annotated[kind, subcommand(name)] for name, kind in COMMANDS.items())]  # noqa: UP007
        return _parse(kinds, argv[:1] or ["--help"], prog="sparring")
    name, *options = argv
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    if name == "sweep" and options and not options[0].startswith("-"):
        options = ["--recipe", *options]
    options = _as_flags(options, COMMANDS[name])
    _check_tables(options, name)
    _option(options, "--run")  # an empty one is refused, which would else be this folder
    file = _option(options, "--recipe")
    plays = "settings" in {item.name for item in fields(COMMANDS[name])}
    if file and not plays:
        raise unknown("option", "--recipe", _options_of(COMMANDS[name]))
    if file is None and plays:
        file = _resumed(options) or str(DEFAULT)  # not whatever is called so in this folder
    default = _from_file(name, file) if file else None
    command, rest = _parse(COMMANDS[name], options, prog=f"sparring {name}", default=default)
    return _with_dotted(command, rest)


def _resumed(options: list[str]) -> str | None:
    """The recipe of the run to go on with."""
    run = _option(options, "--resume")
    return f"{run}/recipe.toml" if run and Path(run, "recipe.toml").is_file() else None


def _as_flags(words: list[str], kind: type) -> list[str]:
    """What is true or false as tyro has it: `--dual-norms false` and `--dual-norms=false` are `--no-dual-norms`."""
    flags = {f"--{item.name.replace('_', '-')}" for item in (*fields(kind), *fields(Recipe)) if item.type is bool}
    read: list[str] = []
    for word in words:
        if word in ("true", "false") and read and read[-1] in flags:
            word = f"{read.pop()}={word}"
        name, equals, value = word.partition("=")
        wanted = {"true": name, "false": f"--no-{name.removeprefix('--')}"}
        if name in flags and equals and value not in wanted:
            raise InputError(f"{name}: expected true or false, got {value!r}")
        read.append(wanted[value] if name in flags and equals else word)
    return read


def _check_tables(words: list[str], command: str) -> None:
    """Refuse an inline table that cannot be read; of one among several tyro would not say why."""
    option = ""
    for word in words:
        option = word if word.startswith("--") else option
        if word.startswith("{") and option and "." not in option:
            try:
                value = parse_literal(word)
            except InputError as error:
                raise InputError(f"{option}: {error}; see sparring {command} --help") from None
            Part.of(value, option)


def _from_file(name: str, file: str) -> Any:
    """A command before its options, with the recipe of this file."""
    recipe = load_grid(Path(file)).recipe if name == "sweep" else load_recipe(Path(file))
    return COMMANDS[name](settings=recipe)


def _option(options: list[str], name: str) -> str | None:
    """The value of an option that must be known before the others are read."""
    found = [value for word, value in pairwise(options) if word == name]
    found += [word.partition("=")[2] for word in options if word.startswith(f"{name}=")]
    if len(found) > 1:
        raise InputError(f"{name}: expected one value, got {' and '.join(found)}")
    if "" in found:
        raise InputError(f"{name}: expected a value, got an empty one")
    return found[0] if found else None


def _parse(kind: Any, words: list[str], *, prog: str, default: Any = None) -> tuple[Any, list[str]]:
    """tyro's answer; what it says of a wrong value becomes one line instead of a box."""
    said = StringIO()
    try:
        with redirect_stderr(said):
            start = {} if default is None else {"default": default}
            return tyro.cli(
                kind, args=words, prog=prog, config=MARKERS, registry=REGISTRY, return_unknown_args=True, **start
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        lines = [line.strip("\u2502| ") for line in said.getvalue().splitlines()[1:]]
        inside = takewhile(lambda line: not _is_rule(line), dropwhile(_is_rule, lines))
        told = " ".join(inside).partition(" Got errors:")[0].rstrip(". ")
        for theirs, ours in IN_OUR_WORDS.items():
            told = re.sub(theirs, ours, told)
        raise InputError(f"{told}; see {prog} --help") from None


def _is_rule(line: str) -> bool:
    """Whether a line of tyro's box is drawn, in Unicode or, under an ASCII locale, in dashes."""
    return not line.strip("\u2500-")


def _with_dotted(command: Any, words: list[str]) -> Any:
    """The command with settings of parts, such as `--method.temperature 0.5`, put into its recipe."""
    recipe = getattr(command, "settings", None)
    remaining = iter(words)
    for word in remaining:
        option, equals, value = word.removeprefix("--").partition("=")
        part, dot, key = option.partition(".")
        if word in shipped_recipes():
            raise InputError(f"unknown option {word!r}; did you mean --recipe {word}?")
        if recipe and word and Path(word).is_dir():
            raise InputError(f"unknown option {word!r}; did you mean --data {word}?")
        if not (word.startswith("--") and dot and part in PARTS and recipe):
            raise unknown("option", word, _options_of(command))
        text = value if equals else next(remaining, None)
        if text is None:
            raise InputError(f"{word}: expected a value, got none")
        recipe = with_value(recipe, f"{part}.{key.replace('-', '_')}", parse_literal(text))
    return command if recipe is None else replace(command, settings=recipe)


def _options_of(command: Any) -> list[str]:
    """Every option a command takes, for the error that names the nearest."""
    own = [item.name for item in fields(command) if item.name != "settings"]
    recipe = [item.name for item in fields(Recipe) if item.name != "views"] if hasattr(command, "settings") else []
    views = [f"views.{item.name}" for item in fields(Views)] if recipe else []
    return ["--" + name.replace("_", "-") for name in own + recipe + views]
