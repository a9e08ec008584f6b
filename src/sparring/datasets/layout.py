"""Which files are training images, which are test images, and of which class: read off the folder's shape."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from PIL import Image

from sparring.datasets.scan import File
from sparring.errors import InputError
from sparring.randomness import derived_seed

SPLITS = {"train": "train", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}
STUBS = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow recognises and cannot read."""
DOCUMENTS = {"license", "licence", "copying", "readme", "citation", "makefile"}
"""Names, without an ending, of files that lie beside images."""
SHOWN = 5
"""Endings of files that are no images, as many as one reads."""


@dataclass(frozen=True)
class Part:
    """The files of one split, and the class of each (None: unlabelled)."""

    files: list[File]
    names: list[str] | None


@dataclass(frozen=True)
class Layout:
    """The splits of a folder by name ("train" among them), and what was decided on the way."""

    parts: dict[str, Part]
    notes: list[str]

    @property
    def files(self) -> list[File]:
        """Of all splits, one after the other."""
        return [file for part in self.parts.values() for file in part.files]


def arrange(files: Sequence[File], folder: Path, *, labelled: bool = True) -> Layout:
    """Sort the files of `folder` into splits and, if `labelled`, classes; InputError where they make no data set."""
    notes: list[str] = []
    files = _pass_over(files, notes)
    if not files:
        found = "; ".join([f"the folder {str(folder)!r} holds no images", *notes])
        raise InputError(f"{found}; expected some, or class folders of images")
    files, depth = _descend(files, 0, notes)
    groups = _group(files, depth)
    splits = {name: SPLITS[name.lower()] for name in groups if name.lower() in SPLITS}
    for split in set(splits.values()):
        if len(names := sorted(name for name in splits if splits[name] == split)) > 1:
            raise InputError(f"{str(folder)!r}: expected one folder of {split} images, got {' and '.join(names)}")
    if splits and "train" not in splits.values() and set(splits) == groups.keys() - {""}:
        raise InputError(f"{str(folder)!r} holds {' and '.join(sorted(splits))}, but no folder 'train' with images")
    if "train" not in splits.values():
        return _hold_out(_part(files, depth, notes, labelled=labelled), notes)
    _note_left_out(notes, [f for name in groups.keys() - splits.keys() for f in groups[name]])
    groups = {splits[name]: groups[name] for name in splits}
    return _with_splits(groups, depth + 1, notes, folder, labelled=labelled)


def _pass_over(files: Sequence[File], notes: list[str]) -> list[File]:
    """The files that may be images: those without an ending, too; what has another than an image's is noted."""
    images = _image_endings()
    endings = [_ending(file) for file in files]
    others = Counter(ending for ending in endings if ending and ending not in images)
    if others:
        shown = ", ".join(ending for ending, _ in others.most_common(SHOWN)) + ", ..." * (len(others) > SHOWN)
        notes.append(f"{others.total():,} file(s) that are no images by their endings ({shown}) were passed over")
    return [
        file
        for file, ending in zip(files, endings, strict=True)
        if ending not in others and file.parts[-1].lower() not in DOCUMENTS
    ]


def _ending(file: File) -> str:
    """In small letters; "" where there is none, as in `scan.001`, `1.2.840` or `a.jpg?v=2`, which say nothing."""
    ending = PurePath(file.parts[-1]).suffix.lower()
    return ending if ending[1:].isalnum() and not ending[1:].isdigit() else ""


def _image_endings() -> set[str]:
    """Those of all formats that Pillow opens."""
    kinds = Image.registered_extensions()  # before all else: it makes Pillow load its formats
    opened = Image.OPEN.keys() - STUBS
    return {ending for ending, kind in kinds.items() if kind in opened}


def _group(files: Sequence[File], depth: int) -> dict[str, list[File]]:
    """By the sub-folder at this depth; "" has the files that are in none."""
    groups = defaultdict(list)
    for file in files:
        groups[file.parts[depth] if len(file.parts) > depth + 1 else ""].append(file)
    return dict(groups)


def _descend(
    files: Sequence[File],
    depth: int,
    notes: list[str],
    *,
    split: str = "train",
    deepest: float = math.inf,
    classes: Collection[str] = (),
) -> tuple[Sequence[File], int]:
    """Go down while there is one sub-folder and no image: a single folder is a wrapper, unless known as a class."""
    groups = _group(files, depth)
    folders = [name for name in groups if name and SPLITS.get(name.lower(), split) == split and name not in classes]
    alone = len(folders) == 1 and len(groups.keys() - {""}) == 1 and not _image_files(groups.get("", []))
    if depth >= deepest or not alone:
        return files, depth
    _note_left_out(notes, groups.get("", []))
    return _descend(groups[folders[0]], depth + 1, notes, split=split, deepest=deepest, classes=classes)


def _image_files(files: Sequence[File]) -> list[File]:
    """Those whose endings Pillow knows how to open; others may be images, or not."""
    endings = _image_endings()
    return [file for file in files if _ending(file) in endings]


def _part(files: Sequence[File], depth: int, notes: list[str], fewest_classes: int = 2, *, labelled: bool) -> Part:
    """Sub-folders are classes; with fewer than `fewest_classes` of them and files beside them all are unlabelled."""
    if not labelled:
        return Part(list(files), None)
    groups = _group(files, depth)
    direct = groups.pop("", [])
    if direct and len(groups) < fewest_classes:
        if groups:
            notes.append(
                f"the sub-folder {next(iter(groups))!r} is no class, as images lie beside it: none is labelled"
            )
        return Part(list(files), None)
    _note_left_out(notes, direct)
    return Part(
        [file for name in sorted(groups) for file in groups[name]],
        [_in_unicode(name) for name in sorted(groups) for _ in groups[name]],
    )


def _in_unicode(name: str) -> str:
    """A folder's name with what is no UTF-8 spelled out, which no file of results could hold."""
    return name.encode("utf-8", "backslashreplace").decode()


def _note_left_out(notes: list[str], files: Sequence[File]) -> None:
    if files:
        notes.append(f"{len(files):,} file(s) outside the images' folders were left out (the first: {files[0].path!r})")


def _with_splits(
    groups: dict[str, list[File]], depth: int, notes: list[str], folder: Path, *, labelled: bool
) -> Layout:
    inside, reached = _descend(groups.pop("train"), depth, notes)
    train = _part(inside, reached, notes, labelled=labelled)
    if not groups:
        return _hold_out(train, notes)
    alone = "test" not in groups
    if alone:
        notes.append("the validation images serve as test images, as there are no others")
    parts, deepest = {"train": train}, reached if train.names else math.inf
    for name, group in sorted(groups.items()):
        place = _descend(group, depth, notes, split=name, deepest=deepest, classes=set(train.names or ()))
        kept = "test" if alone else name
        parts[kept] = _part(*place, notes, fewest_classes=1 if train.names else 2, labelled=labelled)
        _check_classes(parts[kept], train, kept, folder)
    return Layout(parts, notes)


def _check_classes(part: Part, train: Part, split: str, folder: Path) -> None:
    if part.names and train.names and (strange := sorted(set(part.names) - set(train.names))):
        raise InputError(
            f"{str(folder)!r}: class {strange[0]!r} is in the {split} images but not in the training images; "
            "expected the same class folders in both"
        )


def _hold_out(whole: Part, notes: list[str]) -> Layout:
    """Keep a tenth of each class for testing, at least one image of two; which ones depends on their paths alone."""
    if whole.names is None:
        notes.append("there are no labels, so nothing is held out and no kNN accuracy can be measured")
        return Layout({"train": whole}, notes)
    held: set[File] = set()
    members = defaultdict(list)
    for file, name in zip(whole.files, whole.names, strict=True):
        members[name].append(file)
    for group in members.values():
        count = max(1, round(len(group) / 10)) if len(group) > 1 else 0
        held.update(sorted(group, key=lambda file: derived_seed(0, *file.parts))[:count])
    if not held:
        notes.append("every class has a single image, so none is held out")
        return Layout({"train": whole}, notes)
    notes.append(f"a tenth of each class ({len(held):,} image(s)) is held out for testing, as there is no test split")
    return Layout({"train": _select(whole, held, False), "test": _select(whole, held, True)}, notes)


def _select(whole: Part, held: set[File], inside: bool) -> Part:
    assert whole.names is not None
    chosen = [(f, n) for f, n in zip(whole.files, whole.names, strict=True) if (f in held) == inside]
    return Part([file for file, _ in chosen], [name for _, name in chosen])
