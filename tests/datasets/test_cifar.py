"""Both official versions of CIFAR, written in miniature and read back."""

import pickle
import urllib.error
import warnings

import numpy as np
import pytest
import torchvision
from PIL import Image

from sparring.datasets import load_dataset
from sparring.errors import InputError

PER_FILE = 4
NAMES = {"cifar10": [f"class_{n}" for n in range(10)], "cifar100": [f"fine_{n:02}" for n in range(100)]}
FILES = {"cifar10": [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"], "cifar100": ["train", "test"]}
FOLDERS = {
    "cifar10": {"python": "cifar-10-batches-py", "binary": "cifar-10-batches-bin"},
    "cifar100": {"python": "cifar-100-python", "binary": "cifar-100-binary"},
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))


def random_files(name):
    draw = np.random.default_rng(0)
    return {
        file: (draw.integers(0, 256, (PER_FILE, 3072), np.uint8), draw.integers(0, len(NAMES[name]), PER_FILE))
        for file in FILES[name]
    }


def write(root, name, version):
    folder = root / FOLDERS[name][version]
    folder.mkdir(parents=True)
    (write_python if version == "python" else write_binary)(folder, name, random_files(name))
    return folder


def write_python(folder, name, files):
    label, meta, key = {
        "cifar10": ("labels", "batches.meta", "label_names"),
        "cifar100": ("fine_labels", "meta", "fine_label_names"),
    }[name]
    for file, (pixels, labels) in files.items():
        (folder / file).write_bytes(pickle.dumps({"data": pixels, label: labels.tolist()}, protocol=2))
    (folder / meta).write_bytes(pickle.dumps({key: NAMES[name]}, protocol=2))


def write_binary(folder, name, files):
    for file, (pixels, labels) in files.items():
        columns = [labels[:, None].astype(np.uint8), pixels]
        if name == "cifar100":
            columns.insert(0, np.full((PER_FILE, 1), 7, np.uint8))  # the coarse label
        np.hstack(columns).tofile(folder / f"{file}.bin")
    (folder / ("batches.meta.txt" if name == "cifar10" else "fine_label_names.txt")).write_text(
        "\n".join(NAMES[name]) + "\n\n"
    )


@pytest.mark.parametrize("version", ["python", "binary"])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("place", ["the folder", "its parent", "the cache"])
def test_what_was_written_is_read(tmp_path, name, version, place):
    folder = write(tmp_path / ("cache" if place == "the cache" else "data"), name, version)
    root = {"the folder": folder, "its parent": folder.parent, "the cache": None}[place]
    data = load_dataset(name, root=root)
    *train, (pixels, labels) = random_files(name).values()
    assert (data.test.pixels.numpy().reshape(-1, 3072) == pixels).all()
    assert data.test.labels.tolist() == labels.tolist()
    assert (data.train.pixels.numpy().reshape(-1, 3072) == np.vstack([part for part, _ in train])).all()
    assert data.train.labels.tolist() == np.concatenate([part for _, part in train]).tolist()
    assert data.train.classes == data.test.classes == tuple(NAMES[name])
    assert (data.name, data.validation, data.train.pixels.shape[1:]) == (name, None, (3, 32, 32))


def test_torchvision_reads_the_same(tmp_path, monkeypatch):
    write(tmp_path, "cifar10", "python")
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_load_meta", lambda self: None)
    theirs = torchvision.datasets.CIFAR10(str(tmp_path), train=True)
    ours = load_dataset("cifar10", root=tmp_path).train
    assert (ours.pixels.permute(0, 2, 3, 1).numpy() == theirs.data).all()
    assert ours.labels.tolist() == theirs.targets


def test_another_size_is_resized_as_pillow_does(tmp_path):
    folder = write(tmp_path, "cifar10", "binary")
    own = load_dataset("cifar10", root=folder).test.pixels
    for size in (16, 48):
        resized = load_dataset("cifar10", root=folder, image_size=size).test.pixels
        for ours, original in zip(resized, own, strict=True):
            picture = Image.fromarray(original.permute(1, 2, 0).numpy())
            expected = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
            assert np.abs(ours.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


def test_old_pickles_with_integer_flags_do_not_warn(tmp_path):
    """The official files say align=0, of which numpy 2.4.0 to 2.4.4 warn (only there can this test fail for it)."""
    folder = write(tmp_path, "cifar10", "python")
    for path in folder.iterdir():
        old = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        path.write_bytes(old.replace(b"\x89\x88\x87", b"K\x00K\x01\x87"))
    assert b"K\x00K\x01\x87" in (folder / "test_batch").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_dataset("cifar10", root=folder).train) == 5 * PER_FILE


class Harmful:
    def __reduce__(self):
        return print, ("harm",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(pickle.dumps(Harmful()), "builtins.print"), (pickle.dumps({"data": 1})[:-3], "truncated"), (b"", "out of input")],
)
def test_a_damaged_or_harmful_pickle_is_one_line(tmp_path, capsys, content, reason):
    folder = write(tmp_path, "cifar10", "python")
    (folder / "data_batch_3").write_bytes(content)
    with pytest.raises(InputError, match=f"(?i)copy of cifar10 in .* is damaged .*{reason}"):
        load_dataset("cifar10", root=folder)
    assert capsys.readouterr().out == ""


def test_a_truncated_binary_is_one_line(tmp_path):
    folder = write(tmp_path, "cifar10", "binary")
    (folder / "test_batch.bin").write_bytes(b"123")
    with pytest.raises(InputError, match="is damaged"):
        load_dataset("cifar10", root=tmp_path)


def test_an_incomplete_copy_names_what_is_missing(tmp_path):
    folder = write(tmp_path, "cifar10", "binary")
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(InputError, match=r"not complete: 'data_batch_2\.bin' is missing"):
        load_dataset("cifar10", root=tmp_path)


def test_offline_and_absent_is_one_line(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(InputError, match="'cifar-100-python' or 'cifar-100-binary' there") as caught:
        load_dataset("cifar100", root=tmp_path)
    assert "no route to host" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        load_dataset("cifar100", root=tmp_path / "misspelt")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected the folder where cifar10 lies, got a file"):
        load_dataset("cifar10", root=tmp_path / "file")


def test_a_download_is_kept(tmp_path, monkeypatch, capsys):
    def download(place, download):
        print("Downloading")
        write(tmp_path / "source", "cifar10", "python").rename(f"{place}/cifar-10-batches-py")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", download)
    root = tmp_path / "root"
    assert len(load_dataset("cifar10", root=root).test) == PER_FILE
    monkeypatch.delattr(torchvision.datasets, "CIFAR10")
    assert len(load_dataset("cifar10", root=root).test) == PER_FILE
    assert [path.name for path in root.iterdir()] == ["cifar-10-batches-py"]
    assert capsys.readouterr().out == ""
