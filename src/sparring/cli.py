"""The `sparring` command. Nothing heavy is imported before the command line is understood."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field, fields, replace
from io import StringIO
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, NoReturn, Union

import tyro
from tyro.conf import DisallowNone, FlagCreatePairsOff, Positional, UseAppendAction, arg, subcommand
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from sparring.errors import InputError, unknown
from sparring.grid import load_grid
from sparring.recipe import Part, Recipe, Views, with_settings
from sparring.recipe_files import load_recipe
from sparring.schema import parse_literal

REGISTRY = ConstructorRegistry()
MARKERS = (FlagCreatePairsOff, DisallowNone)
PART_NAMES = ("encoder", "method", "adversary", "transform")


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


Settings = Annotated[Recipe, arg(name="")]


@dataclass(frozen=True)
class Train:
    """Train an encoder on images, without labels, against an adversary.

    Try `sparring train --data FOLDER --epochs 100`. Settings of a part are dotted, as in `--transform.a-max 0.2`;
    `sparring list` shows the parts and their settings.
    """

    settings: Settings = field(default_factory=Recipe)
    recipe: Path | None = None
    """A shipped recipe by name (see sparring list) or a TOML file with these options as keys; options override it."""
    run: Path | None = None
    """The new run's folder; named after the recipe under runs/ if not given."""
    resume: Path | None = None
    """An interrupted run's folder to go on with; takes every setting from there."""
    overwrite: bool = False
    """Clear a folder that already holds a run."""

    def __call__(self) -> None:
        if self.resume and (self.settings != Recipe() or self.recipe or self.run):
            raise InputError("--resume takes every setting from the run's own recipe; leave the other options out")
        from sparring.commands import train

        train(self.settings, run=self.run, resume=self.resume, overwrite=self.overwrite)


@dataclass(frozen=True)
class Sweep:
    """Train a grid of recipes over several seeds, and put them beside each other.

    Try `sparring sweep RECIPE.toml --set adversary=none,random --set strength=0.5,1 --out FOLDER`; again, it goes on.
    The file may hold `seeds = 5`, and `[[arms]]`: partial recipes, each with a name in `arm`.
    """

    settings: Settings = field(default_factory=Recipe)
    out: Path = Path("runs/sweep")
    """The folder of the cells' folders, of sweep.json and of report.html."""
    recipe: Path | None = None
    """A TOML file of what all cells share; may be named first, without --recipe; options override it."""
    set: Annotated[tuple[str, ...], UseAppendAction] = ()
    """An axis as NAME=VALUE,VALUE; may be given several times, for the product."""
    seeds: int | None = None
    """Seeds of each arm, counted up from --seed; 3 if not given."""
    jobs: int = 1
    """Cells that train at the same time."""

    def __call__(self) -> None:
        from sparring.commands import sweep

        sweep(self.settings, self.recipe, self.set, seeds=self.seeds, out=self.out, jobs=self.jobs)


@dataclass(frozen=True)
class Evaluate:
    """Measure a finished run's encoder: weighted kNN, RankMe, feature spread."""

    run: Positional[Path]
    """The run's folder."""
    data: str | None = None
    """Another data set or folder; the run's own if not given."""
    data_root: str | None = None
    """Where downloaded data sets lie."""
    k: tuple[int, ...] = (200,)
    """Numbers of neighbours."""
    t: tuple[float, ...] = (0.1,)
    """Temperatures."""
    json: bool = False
    """Print JSON instead of a table."""

    def __call__(self) -> None:
        from sparring.commands import evaluate

        evaluate(self.run, data=self.data, data_root=self.data_root, ks=self.k, ts=self.t, as_json=self.json)


@dataclass(frozen=True)
class Preview:
    """Draw base views beside the adversary's, before any training."""

    settings: Settings = field(default_factory=Recipe)
    recipe: Path | None = None
    """A shipped recipe by name (see sparring list) or a TOML file with these options as keys; options override it."""
    out: Path = Path("preview.png")
    """The picture to write."""

    def __call__(self) -> None:
        from sparring.commands import preview

        preview(self.settings, self.out)


@dataclass(frozen=True)
class Report:
    """Write one self-contained page about one run, or about several on common axes."""

    runs: Positional[tuple[Path, ...]]
    """Folders of runs."""
    out: Path | None = None
    """The page to write; report.html in the run's folder (for several runs: here) if not given."""

    def __call__(self) -> None:
        from sparring.commands import report

        report(self.runs, self.out)


@dataclass(frozen=True)
class Reproduce:
    """Reproduce the study's claims: figure2, figure3, figure4, claims or no-prior; again, it goes on."""

    study: Positional[str]
    """What to reproduce."""
    scale: str = "smoke"
    """smoke (minutes, shipped data), laptop (hours on two cores) or paper (the study's setting)."""
    out: Path | None = None
    """The folder of all runs and results; reproduced/NAME-SCALE if not given."""
    data_root: str | None = None
    """Where downloaded data sets lie."""
    seeds: int | None = None
    """Seeds of each arm; the scale's if not given."""
    jobs: int = 1
    """Runs that train at the same time."""

    def __call__(self) -> None:
        from sparring.commands import reproduce

        reproduce(
            self.study, scale=self.scale, out=self.out, data_root=self.data_root, seeds=self.seeds, jobs=self.jobs
        )


@dataclass(frozen=True)
class List:
    """Print every registered part with its settings, a line each."""

    json: bool = False
    """Print JSON instead of a table."""

    def __call__(self) -> None:
        from sparring.commands import list_parts

        list_parts(as_json=self.json)


COMMANDS: dict[str, type] = {
    "train": Train,
    "sweep": Sweep,
    "reproduce": Reproduce,
    "evaluate": Evaluate,
    "preview": Preview,
    "report": Report,
    "list": List,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; bad input is one line on stderr and exit code 2."""
    try:
        parse(list(sys.argv[1:] if argv is None else argv))()
    except InputError as error:
        _stop(f"error: {' '.join(str(error).split())}", 2)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stdout = None
    except KeyboardInterrupt as interrupt:
        _stop(f"stopped: {interrupt}" if str(interrupt) else "stopped", 130)


def _stop(line: str, code: int) -> NoReturn:
    print(f"sparring: {line}", file=sys.stderr)
    sys.exit(code)


def parse(argv: list[str]) -> Any:
    """The command that a command line asks for, ready to be called."""
    if not argv or argv[0].startswith("-"):
        kinds: Any = Union[tuple(Annotated[kind, subcommand(name)] for name, kind in COMMANDS.items())]  # noqa: UP007
        return _parse(kinds, argv[:1] or ["--help"], prog="sparring")
    name, *options = argv
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    if name == "sweep" and options and not options[0].startswith("-"):
        options = ["--recipe", *options]
    default = _from_file(name, file) if (file := _option(options, "--recipe")) else None
    command, rest = _parse(COMMANDS[name], options, prog=f"sparring {name}", default=default)
    return _with_dotted(command, rest)


def _from_file(name: str, file: str) -> Any:
    """A command before its options, with the recipe of this file."""
    recipe = load_grid(Path(file)).recipe if name == "sweep" else load_recipe(Path(file))
    return COMMANDS[name](settings=recipe)


def _option(options: list[str], name: str) -> str | None:
    """The value of an option that must be known before the others are read."""
    if name in options[:-1]:
        return options[options.index(name) + 1]
    return next((word.partition("=")[2] for word in options if word.startswith(f"{name}=")), None)


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
        before_rule = list(takewhile(lambda line: not line.startswith("\u2500"), lines))
        raise InputError(f"{' '.join(before_rule)}; see {prog} --help") from None


def _with_dotted(command: Any, words: list[str]) -> Any:
    """The command with settings of parts, such as `--transform.a-max 0.2`, put into its recipe."""
    settings = {}
    remaining = iter(words)
    for word in remaining:
        option, equals, value = word.removeprefix("--").partition("=")
        part, dot, key = option.partition(".")
        if not (word.startswith("--") and dot and part in PART_NAMES and hasattr(command, "settings")):
            raise unknown("option", word, _options_of(command))
        text = value if equals else next(remaining, None)
        if text is None:
            raise InputError(f"{word}: expected a value, got none")
        settings[f"{part}.{key.replace('-', '_')}"] = parse_literal(text)
    return replace(command, settings=with_settings(command.settings, settings)) if settings else command


def _options_of(command: Any) -> list[str]:
    """Every option a command takes, for the error that names the nearest."""
    own = [item.name for item in fields(command) if item.name != "settings"]
    recipe = [item.name for item in fields(Recipe) if item.name != "views"] if hasattr(command, "settings") else []
    views = [f"views.{item.name}" for item in fields(Views)] if recipe else []
    return ["--" + name.replace("_", "-") for name in own + recipe + views]
