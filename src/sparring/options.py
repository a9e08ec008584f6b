"""The commands and their options, as tyro reads them. Nothing heavy is imported before a command is called."""

from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, UseAppendAction, arg

from sparring.errors import InputError
from sparring.recipe import Part, Recipe

Settings = Annotated[Recipe, arg(name="")]


class Command:
    """What a command line asks for: its fields are the options, and to call it imports and runs what it names."""

    calls: ClassVar[str]
    """A function of this command, as MODULE:NAME."""

    def __call__(self) -> None:
        resolve_name(self.calls)(self)


@dataclass(frozen=True)
class Train(Command):
    """Train an encoder on images, without labels, against an adversary.

    Try `sparring train --data FOLDER --epochs 100`. Settings of a part are dotted, as in `--method.temperature 0.5`;
    `sparring list` shows the parts and their settings. Without --recipe the shipped recipe `best` is played.
    """

    settings: Settings = field(default_factory=Recipe)
    recipe: Path | None = None
    """A shipped recipe by name (see `sparring list recipe`) or a TOML file; options override it; `best` if none."""
    run: Path | None = None
    """The new run's folder; named after the recipe under runs/ if not given."""
    resume: Path | None = None
    """An interrupted run's folder to go on with, as it began, but for where it runs (--data-root, --accelerator,
    --devices, --nodes) and where its images lie (--data)."""
    overwrite: bool = False
    """Clear a folder that already holds a run."""

    calls: ClassVar[str] = "sparring.commands:train"

    def __post_init__(self) -> None:
        if self.resume and (self.recipe or self.run or self.overwrite):
            raise InputError("--resume goes on with the run's own recipe; leave --recipe, --run and --overwrite out")


@dataclass(frozen=True)
class Sweep(Command):
    """Train a grid of recipes over several seeds, and put them beside each other.

    Try `sparring sweep RECIPE.toml --set adversary=none,random --set epochs=40,80 --out FOLDER`; again, it goes on.
    The file may hold `seeds = 5`, and `[[arms]]`: partial recipes, each with a name in `arm`.
    """

    settings: Settings = field(default_factory=Recipe)
    out: Path = Path("runs/sweep")
    """The folder of the cells' folders, of sweep.json and of report.html."""
    recipe: Path | None = None
    """A TOML file of what all cells share, also as the first word; options override it; `best` if none is named."""
    set: Annotated[tuple[str, ...], UseAppendAction] = ()
    """An axis as NAME=VALUE,VALUE; may be given several times, for the product."""
    arms: tuple[str, ...] = ()
    """Those of the file's arms to train; all if none is named."""
    seeds: int | None = None
    """Seeds of each arm, counted up from --seed; 3 if not given."""
    jobs: int = 1
    """Cells that train at the same time."""
    search: Annotated[tuple[str, ...], UseAppendAction] = ()
    """Instead of a grid, a setting for Optuna to choose: NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE."""
    trials: int | None = None
    """Number of trials of a search; 20 if not given."""

    calls: ClassVar[str] = "sparring.commands:sweep"

    def __post_init__(self) -> None:
        if self.search and (self.set or self.arms):
            raise InputError("expected either --set or --arms, a grid, or --search, got both; leave one of them out")
        if self.trials is not None and not self.search:
            raise InputError("--trials: expected --search, what to choose, got none")


@dataclass(frozen=True)
class Evaluate(Command):
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
    """What to measure, by name (see sparring list)."""
    knn_k: tuple[int, ...] = ()
    """Numbers of neighbours of the probe knn; the run's own if not given."""
    knn_t: tuple[float, ...] = ()
    """Its temperatures; the run's own if not given."""
    per_class: bool = False
    """Also print the accuracy of each class."""
    features: Path | None = None
    """Save the features of all images, with labels, names of files and of classes, to this .safetensors file."""
    projection: Literal["pca", "tsne", "umap"] = "pca"
    """How figures/features.png lays the features out; umap needs `pip install 'sparring[umap]'`."""
    accelerator: str | None = None
    """Devices to measure on (cpu, cuda, ...); the run's own if not given."""
    parts: tuple[str, ...] = ()
    """Python files with evaluations of your own, besides the run's."""
    json: bool = False
    """Print JSON instead of tables."""

    calls: ClassVar[str] = "sparring.evaluate:evaluate"

    def __post_init__(self) -> None:
        if not self.probe:
            raise InputError("--probe: expected an evaluation, such as knn, got none")
        if (self.knn_k or self.knn_t) and all(part.name != "knn" for part in self.probe):
            raise InputError("--knn-k, --knn-t: expected knn among the probes, got none; name it: --probe knn")

    def probes(self, recipe: Recipe) -> list[Part]:
        """What to measure, the kNN with the neighbours and temperatures that were asked for, or else the run's own."""
        asked = {"ks": self.knn_k or recipe.knn_k, "ts": self.knn_t or recipe.knn_t}
        return [Part("knn", {**asked, **part.settings}) if part.name == "knn" else part for part in self.probe]


@dataclass(frozen=True)
class Preview(Command):
    """Draw base views beside the adversary's, before any training."""

    settings: Settings = field(default_factory=Recipe)
    recipe: Path | None = None
    """A shipped recipe by name or a TOML file, as for `sparring train`; `best` if none is named."""
    out: Path = Path("preview.png")
    """The picture to write."""

    calls: ClassVar[str] = "sparring.commands:preview"


@dataclass(frozen=True)
class Report(Command):
    """Write one self-contained page about one run, or about several on common axes."""

    runs: Positional[tuple[Path, ...]]
    """Folders of runs."""
    out: Path | None = None
    """The page to write; report.html in the run's folder (for several runs: here) if not given."""

    calls: ClassVar[str] = "sparring.commands:report"


@dataclass(frozen=True)
class Reproduce(Command):
    """Reproduce the study's claims: figure2, figure3, figure4, claims or no-prior; again, it goes on."""

    study: Positional[str]
    """What to reproduce: figure2, figure3, figure4, claims or no-prior."""
    scale: str = "smoke"
    """smoke (minutes, shipped data), laptop (hours on two cores) or paper (the study's setting)."""
    out: Path | None = None
    """The folder of all runs and results; reproduced/NAME-SCALE, or NAME-SCALE-DATA with --data, if not given."""
    data: str | None = None
    """Other images than the scale's: a data set by name or a folder."""
    data_root: str | None = None
    """Where downloaded data sets lie."""
    arms: tuple[str, ...] = ()
    """Those of the study's arms to play; all if none is named."""
    seeds: int | None = None
    """Seeds of each arm; the scale's if not given."""
    knn_k: tuple[int, ...] = ()
    """Neighbours that kNN asks; the scale's if not given."""
    jobs: int = 1
    """Runs that train at the same time."""

    calls: ClassVar[str] = "sparring.commands:reproduce"


@dataclass(frozen=True)
class Bench(Command):
    """Measure how fast training steps are on the processor: what an adversary costs, how near the limit the loop is.

    Try `sparring bench --against lightly --out FILE.json`. All take turns within one run; leave the machine alone
    meanwhile, and read the ratios.
    """

    recipes: tuple[str, ...] = ()
    """Shipped recipes to measure, or `all`; if none is named, vanilla under each kind of adversary."""
    against: Literal["lightly", "nobody"] = "nobody"
    """A library to measure beside (pip install lightly)."""
    data: str = "sample"
    """A data set by name or a folder of images."""
    data_root: str | None = None
    """Where downloaded data sets lie."""
    image_size: int = 32
    """Side of the images in pixels."""
    batch_size: int = 512
    """Images per step."""
    width: float = 0.25
    """Width of the encoder, ResNet-12, as a share of its filters."""
    repetitions: int = 5
    """Turns of each that count."""
    steps: int = 8
    """Training steps of a turn."""
    out: Path | None = None
    """The JSON file to write, with machine, versions and commit; bench-DATE-TIME.json if not given."""
    json: bool = False
    """Print JSON instead of tables."""

    calls: ClassVar[str] = "sparring.bench.run:bench"

    def __post_init__(self) -> None:
        if min(self.repetitions, self.steps) < 1:
            raise InputError(f"expected at least 1 repetition and 1 step, got {self.repetitions} and {self.steps}")

    def size(self) -> Recipe:
        """What all contestants share."""
        return Recipe(
            data=self.data,
            data_root=self.data_root,
            image_size=self.image_size,
            batch_size=self.batch_size,
            encoder=Part("resnet12", {"width": self.width}),
            accelerator="cpu",  # its clock does not wait for other devices
        )


@dataclass(frozen=True)
class List(Command):
    """Print every registered part with its settings."""

    kinds: Positional[tuple[str, ...]] = ()
    """Of data, encoder, method, transform, adversary, penalty, evaluation and recipe; all if none is named."""
    parts: tuple[str, ...] = ()
    """Python files with parts of your own, to be listed too."""
    json: bool = False
    """Print JSON instead of a table."""

    calls: ClassVar[str] = "sparring.commands:list_parts"


COMMANDS: dict[str, type] = {
    kind.__name__.lower(): kind for kind in (Train, Sweep, Reproduce, Evaluate, Preview, Report, Bench, List)
}
