"""The `sparring` command. Nothing heavy is imported before the command line is understood."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field, fields, replace
from io import StringIO
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Union

import tyro
from tyro.conf import DisallowNone, FlagCreatePairsOff, Positional, arg, subcommand
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from sparring.errors import InputError, unknown
from sparring.recipe import Part, Recipe, Views, load_recipe, with_settings
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
    """A TOML file whose keys are these options; options override it."""
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
class Evaluate:
    """Measure a finished run's encoder, and keep the figures and pictures in the run's folder.

    Try `sparring evaluate RUN --probe knn linear robustness`. Settings of a probe are an inline TOML table, as in
    `--probe linear '{name = "low_label", per_class = [5]}'`; `sparring list` shows the evaluations and their settings.
    """

    run: Positional[Path]
    """The run's folder."""
    data: str | None = None
    """Another data set or folder; the run's own if not given."""
    data_root: str | None = None
    """Where downloaded data sets lie."""
    probe: tuple[Part, ...] = (Part("knn"), Part("collapse"))
    """What to measure: knn, collapse, linear, low_label, few_shot, robustness, corruptions, lidar."""
    k: tuple[int, ...] = (200,)
    """Numbers of neighbours."""
    t: tuple[float, ...] = (0.1,)
    """Temperatures."""
    per_class: bool = False
    """Also print the accuracy of each class."""
    features: Path | None = None
    """Save the features and labels to this .safetensors file."""
    projection: Literal["pca", "tsne"] = "pca"
    """How figures/features.png lays the features out."""
    json: bool = False
    """Print JSON instead of tables."""

    def __call__(self) -> None:
        from sparring.evaluate import evaluate

        evaluate(
            self.run,
            data=self.data,
            data_root=self.data_root,
            parts=tuple(self._with_neighbours(part) for part in self.probe),
            per_class=self.per_class,
            features=self.features,
            projection=self.projection,
            as_json=self.json,
        )

    def _with_neighbours(self, part: Part) -> Part:
        return Part("knn", {"ks": self.k, "ts": self.t, **part.settings}) if part.name == "knn" else part


@dataclass(frozen=True)
class Preview:
    """Draw base views beside the adversary's, before any training."""

    settings: Settings = field(default_factory=Recipe)
    recipe: Path | None = None
    """A TOML file whose keys are these options; options override it."""
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
class List:
    """Print every registered part with its settings, a line each."""

    json: bool = False
    """Print JSON instead of a table."""

    def __call__(self) -> None:
        from sparring.commands import list_parts

        list_parts(as_json=self.json)


COMMANDS: dict[str, type] = {"train": Train, "evaluate": Evaluate, "preview": Preview, "report": Report, "list": List}


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
    file = _option(options, "--recipe")
    default = COMMANDS[name](settings=load_recipe(Path(file))) if file else None
    command, rest = _parse(COMMANDS[name], options, prog=f"sparring {name}", default=default)
    return _with_dotted(command, rest)


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
