"""Shapes and types of the whole package are checked at run time in every test; photographs are the shipped ones."""

import os
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook

os.environ["OMP_NUM_THREADS"] = "1"  # tests run beside each other; small models gain nothing from threads

install_import_hook("sparring", "typechecker.check")
pytest.register_assert_rewrite("runs")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from runs import write_images  # noqa: E402
from torch import Tensor  # noqa: E402

import sparring  # noqa: E402

ARCHIVE = Path(sparring.__file__).parent / "datasets" / "shipped" / "clothing64.tar.xz"
PHOTOGRAPHS = 12


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from or written to the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARRING_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _chance() -> None:
    """What a test draws without a generator is the same in every run, kinks in its gradients included."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images in three classes, with a training and a test split."""
    root = tmp_path_factory.mktemp("images")
    write_images(root)
    return root


@pytest.fixture(scope="session")
def photographs() -> Tensor:
    """Shipped photographs at 32x32 pixels, float64 in [0, 1]: (12, 3, 32, 32)."""
    with tarfile.open(ARCHIVE) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".jpg")][::300][:PHOTOGRAPHS]
        files: list[Any] = [archive.extractfile(member) for member in members]
        images = [Image.open(BytesIO(file.read())).convert("RGB").resize((32, 32)) for file in files]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2).double() / 255
