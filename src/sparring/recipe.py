"""A recipe: everything that decides how a run goes, typed, read from and written to TOML. Imports no torch."""

import math
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, get_type_hints

from sparring.errors import InputError, check_is, unknown
from sparring.part import Part as Part
from sparring.schema import check_neighbours, check_ranges, checked, listed

SHARE, ANY, ONE_UP = (0, 1), (0, math.inf), (1, math.inf)
RANGES = {
    **dict.fromkeys(("strength", "probability", "max_broken", "momentum"), SHARE),
    **dict.fromkeys(
        ("learning_rate", "adversary_learning_rate", "weight_decay", "warmup", "ramp", "views_anneal"), ANY
    ),
    **dict.fromkeys(
        ("epochs", "evaluate_every", "log_every", "devices", "nodes", "replays", "adversary_every"), ONE_UP
    ),
    **dict.fromkeys(("hardness_every", "seed"), ANY),
    "batch_size": (2, math.inf),
}
VIEW_RANGES = {
    **dict.fromkeys(("flip", "jitter", "grey"), SHARE),
    **dict.fromkeys(("brightness", "contrast", "saturation"), ANY),
    "hue": (0, 0.5),
}
PARTS = ("encoder", "method", "adversary", "transform")
PLACEMENT = ("data_root", "accelerator", "devices", "nodes")  # where a run happens, not what it is
WEAKENED = ("jitter", "brightness", "contrast", "saturation", "hue", "grey")


@dataclass(frozen=True)
class Views:
    """The random base views; the defaults are SimSiam's for CIFAR-10."""

    crop_scale: tuple[float, float] = (0.2, 1.0)
    """Smallest and largest area of a crop, as a share of the image."""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Smallest and largest aspect ratio of a crop."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    jitter: float = 0.8
    """Probability of colour jitter."""
    brightness: float = 0.4
    """Colour jitter: the factor lies in 1 +- this."""
    contrast: float = 0.4
    """Colour jitter: the factor lies in 1 +- this."""
    saturation: float = 0.4
    """Colour jitter: the factor lies in 1 +- this."""
    hue: float = 0.1
    """Colour jitter: the rotation lies in +- this many turns."""
    grey: float = 0.2
    """Probability of a grey view."""
    sides: tuple[float, ...] = ()
    """Sides of the views over equal parts of training, such as 0.5, 0.75: shares of the images' side up to 1, pixels
    above; the images' own if not given."""

    def __post_init__(self) -> None:
        _check_types(self, "views.")
        check_ranges(self, VIEW_RANGES, "views.")
        for side in self.sides:
            if not (0 < side <= 1 or (1 < side < math.inf and side == int(side))):
                raise InputError(f"views.sides: expected shares in (0, 1] or whole numbers of pixels, got {side:g}")
        for name, most in (("crop_scale", 1.0), ("crop_ratio", math.inf)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                raise InputError(
                    f"views.{name}: expected 0 < smallest <= largest <= {most:g}, got {low:g} and {high:g}"
                )

    def sides_in(self, whole: int) -> tuple[int, ...]:
        """`sides` in pixels, for images whose side has `whole` pixels."""
        return tuple(max(1, round(side * whole)) if side <= 1 else int(side) for side in self.sides)

    def weakened(self, strength: float) -> "Views":
        """These views at a strength in [0, 1]: 0 leaves only flips."""
        smallest, largest = self.crop_scale
        amounts = {name: strength * getattr(self, name) for name in WEAKENED}
        return replace(self, crop_scale=(smallest + (1 - strength) * (largest - smallest), largest), **amounts)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a run goes."""

    data: str = "sample"
    """A data set by name (sample, cifar10, cifar100) or a folder of images."""
    data_root: str | None = None
    """Where downloaded data sets lie."""
    image_size: int | None = None
    """Side of the images in pixels; if not given 32 for the named data sets, 64 for folders."""
    max_broken: float = 0.05
    """Largest share of unreadable files that is skipped rather than refused."""
    labels: Literal["folders", "none"] = "folders"
    """What a folder's sub-folders are: classes, or with none (patients, dates, sites) nothing at all."""

    encoder: Part = field(default_factory=lambda: Part("resnet12", {"width": 0.25}))
    """What is trained: resnet12, resnet18 or timm:NAME."""
    method: Part = field(default_factory=lambda: Part("simsiam"))
    """How two views are compared: simsiam, simclr, byol, moco, ... (see sparring list)."""
    adversary: Part = field(default_factory=lambda: Part("learned"))
    """Who makes a view harder: learned, search, policy, ..., random (the control) or none (see sparring list)."""
    transform: Part = field(default_factory=lambda: Part("colour"))
    """What it may change: colour, jitter, rotation, pixels, chain, ... (see sparring list)."""
    penalties: tuple[Part, ...] = ()
    """What it pays for: colour_distance, entropy_band, hardness_bound, kl_identity, kl_uniform, teacher."""
    pairs: tuple[tuple[str, str], ...] = (("first", "second*"),)
    """Which views are compared: first and second are random views, image is the image itself; a star hardens one."""
    strength: float = 1.0
    """Multiplies the adversary's parameters, in [0, 1]; 0 is no adversary. Between them only for transforms that leave
    the image as it is at zero, which the colour space of `best` does not."""
    ramp: float = 0.0
    """Epochs over which the strength rises from 0."""
    dual_norms: bool = False
    """Hard views have a BatchNorm of their own, statistics and weights (AdvProp, ACL)."""
    probability: float = 1.0
    """Share of the images whose view is made harder."""
    views: Views = field(default_factory=Views)
    views_anneal: int = 0
    """Epochs per step of base views that weaken from full to none over training (DynACL); 0 keeps them."""

    epochs: int = 70
    """Passes over the training images."""
    batch_size: int = 128
    """Images per step, over all devices."""
    learning_rate: float = 0.12
    """Learning rate of the encoder, per 256 images (SGD, cosine to 0)."""
    momentum: float = 0.9
    """Momentum of the encoder's SGD."""
    weight_decay: float = 5e-4
    """Weight decay of the encoder's SGD."""
    warmup: float = 0.0
    """Epochs over which the learning rate rises from 0."""
    adversary_learning_rate: float = 1e-3
    """Learning rate of a learned adversary (Adam, ascending, constant)."""
    adversary_every: int = 1
    """Steps per update of a learned adversary."""
    replays: int = 1
    """Times that each batch is played in a row (free adversarial training)."""
    seed: int = 0
    """Decides every draw."""

    evaluate_every: int = 5
    """Epochs between evaluations; the untrained encoder and the last epoch are always evaluated."""
    evaluate_on: Literal["test", "validation"] = "test"
    """What the kNN accuracy is of: validation images (the data's own, or a tenth held out) leave test images unseen."""
    knn_k: tuple[int, ...] = (200,)
    """Neighbours of the kNN accuracy; the first is the one that is shown."""
    knn_t: tuple[float, ...] = (0.1,)
    """Temperatures of the kNN accuracy; the first is the one that is shown."""
    log_every: int = 10
    """Steps between lines of metrics.jsonl."""
    hardness_every: int = 0
    """Steps between looks at how hard the views are, beside those at evaluations; 0 makes none."""

    parts: tuple[str, ...] = ()
    """Python files with parts of your own, each of which adds its rows to the tables (docs/extending.md)."""

    accelerator: str = "auto"
    """cpu, cuda, mps or auto."""
    devices: int = 1
    """Processes on this machine."""
    nodes: int = 1
    """Machines."""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """auto is bf16 where the processor computes it fast."""

    def named_parts(self) -> list[tuple[str, Part]]:
        """Every part with its kind."""
        return [*((name, getattr(self, name)) for name in PARTS), *(("penalty", each) for each in self.penalties)]

    def __post_init__(self) -> None:
        for name in PARTS:
            if not isinstance(value := getattr(self, name), Part):
                raise InputError(f"{name}: expected a Part, such as sparring.Part({str(value)!r}), got {value!r}")
        for penalty in listed(self.penalties, "penalties"):
            if not isinstance(penalty, Part):
                raise InputError(f"penalties: expected Parts, such as sparring.Part({str(penalty)!r}), got {penalty!r}")
        if not isinstance(self.views, Views):
            raise InputError(f"views: expected Views, such as sparring.Views(jitter=0.0), got {self.views!r}")
        _check_types(self)
        check_ranges(self, RANGES)
        check_neighbours(self.knn_k, self.knn_t)
        check_pairs(self.pairs)


def _check_types(owner: "Recipe | Views", prefix: str = "") -> None:
    """Hold plain fields to their types: whole numbers become floats, lists tuples, numpy's numbers Python's."""
    for name, hint in get_type_hints(type(owner)).items():
        value = getattr(owner, name)
        if hint not in (Part, Views):
            value = tuple(value) if hint == tuple[Part, ...] else checked(value, hint, f"{prefix}{name}")
        object.__setattr__(owner, name, value)


def check_recipe(recipe: Recipe | None) -> None:
    """Refuse what is no recipe, such as its name; None is the default."""
    if recipe is not None:
        check_is("recipe", recipe, Recipe, "sparring.load_recipe('best')")


def check_pairs(pairs: tuple[tuple[str, str], ...]) -> None:
    """Refuse pairs of views that there are not."""
    known = {name + star for name in ("first", "second", "image") for star in ("", "*")}
    if not pairs:
        raise InputError('pairs: expected at least one pair, such as [["first", "second*"]], got none')
    for name in (name for pair in pairs for name in pair):
        if name not in known:
            raise unknown("view in pairs", name, known)


def _from_table(kind: type, table: dict[str, Any], where: str, start: Any) -> Any:
    hints, known = get_type_hints(kind), {item.name for item in fields(kind)}
    changes = {}
    for key, value in table.items():
        if key not in known:
            raise unknown(f"key in {where}", key, known)
        changes[key] = _value(value, hints[key], f"{where}: {key}", getattr(start, key))
    return replace(start, **changes)


def _value(value: Any, hint: Any, name: str, start: Any) -> Any:
    if hint is Part:
        return Part.of(value, name)
    if hint == tuple[Part, ...]:
        return tuple(Part.of(each, name) for each in listed(value, name))
    if is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        return _from_table(hint, checked(value, dict, name), name, start)
    return checked(value, hint, name)


def from_table(table: dict[str, Any], where: str = "recipe", start: Recipe | None = None) -> Recipe:
    """A recipe from parsed TOML; what the table leaves out comes from `start` (the defaults)."""
    return _from_table(Recipe, table, where, start or Recipe())
