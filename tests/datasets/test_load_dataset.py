"""Names, the shipped sample, and statistics."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from sparring.datasets import DATASETS, DataSet, Images, folder as folder_module, load_dataset
from sparring.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))


def one_line(name, **options):
    with pytest.raises(InputError) as caught:
        load_dataset(str(name), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_mistyped_name_gets_the_nearest():
    assert one_line("cifar1O") == "unknown data set or folder 'cifar1O'; did you mean 'cifar10'?"
    assert one_line("zzz").endswith("expected one of: cifar10, cifar100, sample, or the path of a folder that exists")


def test_paths_that_are_no_folder(tmp_path):
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "photographs").mkdir()
    missing, near = tmp_path / "photograph" / "train", tmp_path / "photographs"
    found = f"in {str(tmp_path)!r}: unknown folder 'photograph'; did you mean 'photographs'?"
    assert one_line(missing) == f"expected an existing folder of images, got {str(missing)!r}; {found}"
    assert one_line(tmp_path / "qqq").endswith(f"in {str(tmp_path)!r}: no folder 'qqq'")
    nothing = f"in {str(near)!r}: no folder 'x'"
    assert one_line(near / "x") == f"expected an existing folder of images, got {str(near / 'x')!r}; {nothing}"
    below = f"in {str(tmp_path / 'a.txt')!r}: no folder 'x'"
    assert one_line(tmp_path / "a.txt" / "x").endswith(below)
    assert "is a file; expected a folder of images" in one_line(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "at least 1 pixel, got 0"),
        ({"max_broken": 1.5}, "in [0, 1]; got 1.5"),
        ({"evaluate_on": "validaton"}, "did you mean 'validation'"),
        ({"labels": "folder"}, "did you mean 'folders'"),
        ({"labels": "none"}, "labels = none: expected a folder of images, got the data set sample"),
    ],
)
def test_numbers_out_of_range(options, message):
    assert message in one_line("sample", **options)


def test_the_sample(monkeypatch):
    data = load_dataset("sample")
    assert (data.name, data.note, len(data.train.classes)) == ("sample", "", 10)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [3068, 341, 372]
    assert data.train.classes == data.validation.classes == data.test.classes
    for part in (data.train, data.validation, data.test):
        assert part.pixels.shape[1:] == (3, 32, 32)
        assert len(part.labels) == len(part)
        assert part.labels.bincount(minlength=10).min() > 0
    monkeypatch.setattr(folder_module, "read_image", None)
    again = load_dataset("sample")
    assert torch.equal(again.train.pixels, data.train.pixels)


def test_validation_images_in_place_of_test_images():
    whole, tuning = load_dataset("sample"), load_dataset("sample", evaluate_on="validation")
    assert torch.equal(tuning.test.pixels, whole.validation.pixels)
    assert (tuning.validation, len(tuning.train)) == (None, len(whole.train))


@pytest.mark.parametrize("sizes", [(40, 20, 30), (1, 1), (3,)])
def test_validation_images_are_held_out_where_there_are_none(sizes):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))[torch.randperm(sum(sizes))]
    pixels = torch.arange(sum(sizes), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    files = tuple(map(str, range(sum(sizes))))
    whole = DataSet("numbers", Images(pixels, labels, tuple("abc"[: len(sizes)]), files), None)
    tuning = whole.with_validation_as_test()
    for part in (tuning.train, tuning.test):
        places = part.pixels[:, 0, 0, 0].long()
        assert torch.equal(part.labels, labels[places])
        assert [*map(int, part.files)] == places.tolist()
    assert sorted([*tuning.train.files, *tuning.test.files], key=int) == list(files)  # each once
    assert len(tuning.test) == -(-sum(sizes) // 10)
    if sizes[0] == 40:
        assert tuning.test.labels.bincount().tolist() == [4, 2, 3]
    assert f"{len(tuning.test)} training images are held out" in tuning.note
    assert torch.equal(whole.with_validation_as_test().test.pixels, tuning.test.pixels)  # the same ones each time


def test_without_labels_nothing_is_held_out():
    data = DataSet("plain", Images(torch.zeros(9, 3, 2, 2, dtype=torch.uint8), None, ()), None)
    assert data.with_validation_as_test() == data


@pytest.mark.parametrize(("count", "stride"), [(1, 1), (700, 1), (20_001, 3)])
def test_channel_statistics_are_those_of_numpy(count, stride):
    pixels = torch.from_numpy(np.random.default_rng(count).integers(0, 256, (count, 3, 2, 2), np.uint8))
    pixels[:, 1] //= 2
    mean, deviation = DataSet("random", Images(pixels, None, ()), None).channel_statistics()
    chosen = pixels.numpy()[::stride] / 255
    np.testing.assert_allclose(mean, chosen.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(deviation, chosen.std(axis=(0, 2, 3)), rtol=1e-9)


def test_the_deviation_of_a_single_colour_can_be_divided_by():
    black = Images(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), None, ())
    assert DataSet("black", black, None).channel_statistics() == ((0, 0, 0), (1 / 255,) * 3)


def test_torchvision_is_not_imported():
    code = "import sys, sparring.datasets; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


WRONG = {
    "no data set": (lambda: None, "data own: expected a DataSet, got NoneType"),
    "floats": (lambda: dataset(torch.rand(4, 3, 8, 8)), r"expected pixels of shape \(n, 3, h, w\) in torch.uint8"),
    "channels last": (lambda: dataset(torch.zeros(4, 8, 8, 3, dtype=torch.uint8)), r"got \(4, 8, 8, 3\)"),
    "too few labels": (lambda: dataset(PIXELS, torch.arange(3)), r"expected labels of shape \(4,\) in torch.int64"),
    "short labels": (lambda: dataset(PIXELS, torch.arange(4).int()), r"got \(4,\) in torch.int32"),
    "counted from 1": (lambda: dataset(PIXELS, torch.arange(1, 5)), "from 0 to 3, places among 4 classes, got 1 to 4"),
}
PIXELS = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)


def dataset(pixels, labels=None):
    """As a user's loader makes it, where nobody checks types."""
    images = object.__new__(Images)
    vars(images).update(pixels=pixels, labels=labels, classes=() if labels is None else tuple("abcd"), files=())
    return DataSet("own", images, None)


@pytest.mark.parametrize(("load", "message"), WRONG.values(), ids=WRONG)
def test_a_data_set_of_ones_own_that_cannot_be_used(load, message, monkeypatch):
    monkeypatch.setitem(DATASETS, "own", lambda size, root: load())
    with pytest.raises(InputError, match=message):
        load_dataset("own")


def test_the_nearest_folder_is_told(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "unknown data set 'image'; did you mean the folder 'images'?" in one_line("image")
    assert "did you mean 'sample'?" in one_line("smaple")
