"""Images to train on. A new data set is one file and one row."""

import os
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from sparring.datasets.cifar import load_cifar10, load_cifar100
from sparring.datasets.folder import FOLDER_SIZE, load_folder
from sparring.datasets.images import DataSet, Images, check_images
from sparring.datasets.sample import load_sample
from sparring.errors import InputError, nearest, unknown

EVALUATED_ON = ("test", "validation")
LABELS = ("folders", "none")
Loader = Callable[[int | None, Path | None], DataSet]
"""From the image size (None: the data's own) and where its files are kept (None: the cache)."""

DATASETS: dict[str, Loader] = {"cifar10": load_cifar10, "cifar100": load_cifar100, "sample": load_sample}

__all__ = ["DATASETS", "DataSet", "Images", "load_dataset", "load_folder"]


def load_dataset(
    name: str,
    *,
    image_size: int | None = None,
    root: str | Path | None = None,
    max_broken: float = 0.05,
    evaluate_on: str = "test",
    labels: str = "folders",
) -> DataSet:
    """A registered data set, or a folder of images.

    Args:
        name: a key of DATASETS, or the path of a folder (`./sample`, should one have that name).
        image_size: side in pixels; None is the data's own (CIFAR: 32), and 64 for folders.
        root: where a copy of a registered data set is, or is downloaded to; None is the cache.
        max_broken: largest share of a folder's files that may be unreadable, in [0, 1].
        evaluate_on: "validation" puts validation images in place of the test images (held out of the training images,
            which are copied into memory for it, where there are none).
        labels: "none" for a folder whose sub-folders are no classes: none of its images is labelled.

    Raises InputError, in one line, for everything that cannot be used.
    """
    if image_size is not None and image_size < 1:
        raise InputError(f"expected an image_size of at least 1 pixel, got {image_size}")
    if not 0 <= max_broken <= 1:
        raise InputError(f"expected max_broken, a share of the files, in [0, 1]; got {max_broken}")
    if evaluate_on not in EVALUATED_ON:
        raise unknown("evaluate_on", evaluate_on, EVALUATED_ON)
    if labels not in LABELS:
        raise unknown("labels", labels, LABELS)
    if name in DATASETS:
        if labels == "none":
            raise InputError(f"labels = none: expected a folder of images, got the data set {name}, labelled as it is")
        data = _checked(DATASETS[name](image_size, Path(root).expanduser() if root else None), name)
    else:
        size = image_size or FOLDER_SIZE
        data = load_folder(_existing_folder(name), image_size=size, max_broken=max_broken, labelled=labels == "folders")
    data = data.with_validation_as_test() if evaluate_on == "validation" else data
    return data.with_untested_noted(evaluate_on)


def _checked(data: object, name: str) -> DataSet:
    """Refuse what a loader of one's own gives if it is no data set."""
    if not isinstance(data, DataSet):
        raise InputError(f"data {name}: expected a DataSet, got {type(data).__name__}")
    for split in ("train", "test", "validation"):
        if (images := getattr(data, split)) is not None:
            check_images(images, f"data {name}: {split}")
    return data


def _missing(folder: Path) -> InputError:
    """Names the first part of the path that is not there, and what is near it there."""
    missing = next(path for path in reversed([folder, *folder.parents]) if not path.exists())
    parent = missing.parent
    listed = parent.iterdir() if parent.is_dir() and os.access(parent, os.R_OK) else ()
    there = [path.name for path in listed if path.is_dir()]
    near = nearest(missing.name, there)  # and not all that is there: it may be a whole disk
    hint = unknown("folder", missing.name, there) if near else f"no folder {missing.name!r}"
    return InputError(f"expected an existing folder of images, got {str(folder)!r}; in {str(parent)!r}: {hint}")


def _existing_folder(name: str) -> Path:
    if not name:
        raise InputError("data: expected a data set or a folder, got an empty name; the folder you are in is '.'")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"{name!r} is a file; expected a folder of images, or one of: {', '.join(sorted(DATASETS))}")
    if os.sep in name or name.startswith(("~", ".")):
        raise _missing(folder)
    near = get_close_matches(name, [path.name for path in Path().iterdir() if path.is_dir()], n=1)
    if near and not get_close_matches(name, DATASETS):
        raise InputError(f"unknown data set {name!r}; did you mean the folder {near[0]!r}?")
    told = unknown("data set or folder", name, DATASETS)
    raise told if nearest(name, DATASETS) else InputError(f"{told}, or the path of a folder that exists")
