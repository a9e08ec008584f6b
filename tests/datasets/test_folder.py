"""Folders of images: their layouts, damaged files, the cache, and that nothing is written to them."""

import errno
import multiprocessing
import os
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from sparring.datasets import folder as folder_module, load_dataset
from sparring.errors import InputError

SIDE = 8


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


def write(root, *paths, side=SIDE):
    """One solid image per path; the red value counts up, so that it tells which is which."""
    for red, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (red, 0, 0)).save(root / path)


def numbered(pattern, count):
    return [pattern.format(number) for number in range(count)]


def load(root, **options):
    return load_dataset(str(root), image_size=SIDE, **options)


def reds(images):
    return images.pixels[:, 0, 0, 0].tolist()


def test_train_and_test_folders(root):
    write(root, "train/b/0.png", "train/a/0.png", "train/a/1.png", "test/b/0.png", "validation/a/0.png")
    data = load(root)
    assert data.name == "data"
    assert data.note == "accuracy says nothing about 1 of 2 classes, of which there is no test image: 'a'"
    assert data.train.classes == data.test.classes == ("a", "b")
    assert (reds(data.train), data.train.labels.tolist()) == ([1, 2, 0], [0, 0, 1])
    assert (reds(data.test), data.test.labels.tolist()) == ([3], [1])
    assert (reds(data.validation), data.validation.labels.tolist()) == ([4], [0])
    assert data.train.pixels.dtype == torch.uint8
    assert data.train.labels.dtype == torch.int64


def test_order_is_that_of_image_folder(root):
    write(root, "b/z.png", "b/10.png", "b/2.png", "a/sub/1.png", "a/0.png", "a/9.png", "C/1.png", "C/2.png", "C/0.png")
    write(root / "test", "a/0.png")
    (root / "b" / "z.png").rename(root / "b" / "Z.png")
    (root / "train").mkdir()
    for name in "abC":
        (root / name).rename(root / "train" / name)
    theirs = ImageFolder(str(root / "train"))
    ours = load(root).train
    assert ours.classes == tuple(theirs.classes)
    assert ours.labels.tolist() == theirs.targets
    assert reds(ours) == [image.getpixel((0, 0))[0] for image, _ in theirs]


def test_validation_serves_as_test(root):
    write(root, "train/a/0.png", "train/b/0.png", "val/a/0.png")
    data = load(root)
    assert (len(data.test), data.validation) == (1, None)
    assert "validation images serve as test images" in data.note


def test_a_tenth_of_each_class_is_held_out(root):
    write(root, *numbered("a/{}.png", 40), *numbered("b/{}.png", 3), "c/only.png")
    data = load(root)
    assert data.train.labels.bincount().tolist() == [36, 2, 1]
    assert data.test.labels.bincount(minlength=3).tolist() == [4, 1, 0]
    assert sorted(reds(data.train) + reds(data.test)) == list(range(44))
    assert "a tenth of each class (5 image(s)) is held out" in data.note
    assert "accuracy says nothing about 1 of 3 classes, of which there is no test image: 'c'" in data.note
    assert reds(load(root).test) == reds(data.test)


def test_a_class_loses_its_test_image_to_damage_or_to_validation_and_it_is_said(root):
    names = [f"{letter}/{split}" for letter in "abcdefg" for split in (0, 1)]
    write(root, *(f"train/{name}.png" for name in names), "train/h/0.png", *(f"test/{c}/0.png" for c in "bcdefgh"))
    (root / "test" / "a").mkdir()
    (root / "test" / "a" / "0.png").write_text("x")
    said = "accuracy says nothing about {} of 8 classes, of which there is no {} image: "
    assert load(root).note.endswith(said.format(1, "test") + "'a'")
    assert load(root, evaluate_on="validation").note.endswith(
        said.format(6, "validation") + "'b', 'c', 'd', 'e', 'g', ..."
    )


def test_flat_folder_is_unlabelled(root):
    write(root, *numbered("{}.png", 3))
    data = load(root)
    assert (reds(data.train), data.train.labels, data.train.classes, data.test) == ([0, 1, 2], None, (), None)
    assert "no labels" in data.note


def test_a_single_folder_is_a_wrapper_not_a_class(root):
    write(root, "wrapper/images/0.png", "wrapper/images/1.png")
    (root / "README.md").write_text("hello")
    data = load(root)
    assert (len(data.train), data.train.labels, data.test) == (2, None, None)


@pytest.mark.parametrize(
    "splits", [("train/images", "test/images"), ("train/train", "test/test"), ("train/train", "val/val")]
)
def test_a_wrapper_in_every_split_is_no_class(root, splits):
    write(root, *(f"{split}/{c}/{i}.png" for split in splits for c in "ab" for i in range(2)))
    data = load(root)
    assert (data.train.classes, data.train.labels.tolist()) == (("a", "b"), [0, 0, 1, 1])
    assert (data.test.classes, data.test.labels.tolist()) == (("a", "b"), [0, 0, 1, 1])


def test_a_class_alone_in_a_split_is_no_wrapper(root):
    write(root, "train/images/a/0.png", "train/images/b/0.png", "test/b/0.png", "test/b/1.png")
    assert load(root).test.labels.tolist() == [1, 1]


def test_unlabelled_train_with_labelled_test(root):
    write(root, "train/0.png", "train/1.png", "test/a/0.png", "test/b/0.png")
    data = load(root)
    assert (data.train.labels, data.train.classes) == (None, ())
    assert (data.test.labels.tolist(), data.test.classes) == ([0, 1], ("a", "b"))


def test_images_beside_class_folders_are_left_out_and_said(root):
    write(root, "a/0.png", "a/1.png", "b/0.png", "stray.png")
    (root / "LICENSE").write_text("free")
    data = load(root)
    assert len(data.train) + len(data.test) == 3
    assert "1 file(s) outside the images' folders were left out (the first: 'stray.png')" in data.note


def test_images_beside_one_sub_folder_are_all_unlabelled_and_it_is_said(root):
    write(root, "0.png", "more/1.png", "more/deep/2.png")
    data = load(root)
    assert (reds(data.train), data.train.labels, data.test) == ([0, 1, 2], None, None)
    assert "the sub-folder 'more' is no class, as images lie beside it" in data.note


def test_captions_and_tables_beside_images_do_not_count(root):
    write(root, "0.png", "1.jpg")
    for name in ("0.txt", "1.JSON", "labels.csv"):
        (root / name).write_text("a cat")
    data = load(root, max_broken=0.0)
    assert len(data.train) == 2
    assert "3 file(s) that are no images by their endings (.txt, .json, .csv) were passed over" in data.note


def test_what_people_keep_beside_images_is_no_image_and_its_folder_no_class(root):
    write(root, *numbered("a/{}.png", 2), *numbered("b/{}.png", 2))
    (root / "meta").mkdir()
    for name in (
        "a/notes.docx",
        "b/split.py",
        "meta/x.xlsx",
        "meta/y.XLSX",
        "z.zip",
        "e.ipynb",
        "model.nii.gz",
        "s.sh",
    ):
        (root / name).write_bytes(b"PK")
    data = load(root, max_broken=0.0)
    assert (data.train.classes, len(data.train), len(data.test)) == (("a", "b"), 2, 2)
    assert "8 file(s) that are no images by their endings (.xlsx, " in data.note
    assert ", ...) were passed over" in data.note


@pytest.mark.parametrize("name", ["scan", "scan.001", "1.2.840.5", "a.jpg?v=2", "Dr. Smith"])
def test_an_image_without_an_ending_is_read(root, name):
    write(root, "0.png", "1.png")
    (root / "1.png").rename(root / name)
    assert len(load(root, max_broken=0.0).train) == 2


def test_a_folder_of_what_is_no_image_says_what_there_is(root):
    root.mkdir()
    for number in range(3):
        (root / f"{number}.dcm").write_bytes(b"DICM")
    with pytest.raises(InputError, match=r"holds no images; 3 file\(s\) .*\(\.dcm\) were passed over; expected some"):
        load(root)


def test_litter_and_hidden_files_do_not_count(root):
    write(root, "0.png")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.png"):
        (root / name).write_bytes(b"x")
    data = load(root, max_broken=0.0)
    assert len(data.train) == 1


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "holds no images"),
        (["train/a/0.png", "train/b/0.png", "test/c/0.png"], "class 'c' is in the test images but not in the training"),
        (["test/a/0.png", "val/a/0.png"], "holds test and val, but no folder 'train'"),
        (["test/a/0.png"], "holds test, but no folder 'train'"),
        (["train/a/0.png", "val/a/0.png", "valid/a/0.png"], "one folder of validation images, got val and valid"),
    ],
)
def test_layouts_that_are_no_data_set(root, paths, message):
    root.mkdir()
    write(root, *paths)
    with pytest.raises(InputError, match=message) as caught:
        load(root)
    assert "\n" not in str(caught.value)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def test_damaged_files_are_skipped_named_and_counted(root, cache):
    """Rows and labels stay together."""
    write(root, *numbered("train/a/{:02}.png", 15), *numbered("train/b/{:02}.png", 15), "test/a/0.png", "test/b/0.png")
    Image.effect_noise((64, 64), 50).save(root / "train/a/03.jpg")
    truncate(root / "train/a/03.jpg")
    (root / "train/b/text.jpg").write_text("not an image")
    (root / "test/a/00.png").symlink_to("nowhere")
    data = load(root, max_broken=0.1)
    assert (len(data.train), len(data.test)) == (30, 2)
    assert data.train.labels.tolist() == [0] * 15 + [1] * 15
    assert data.test.labels.tolist() == [0, 1]
    assert reds(data.train) == list(range(30))
    [log] = cache.glob("decoded/*/skipped.log")
    assert f"3 of 35 files are no readable images; {log} names them" in data.note
    lines = log.read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [
        repr(str(root / name)) for name in ("train/a/03.jpg", "train/b/text.jpg", "test/a/00.png")
    ]
    assert "truncated" in lines[0]
    assert "UnidentifiedImageError" in lines[1]


def test_too_many_damaged_files_stop_also_at_the_second_start(root, monkeypatch):
    write(root, *numbered("{}.png", 9))
    (root / "labels").write_text("0,1")
    for _ in range(2):
        with pytest.raises(InputError, match=r"^10\.0% of the files .*labels'.*skipped\.log.*max_broken") as caught:
            load(root)
        assert "\n" not in str(caught.value)
        monkeypatch.setattr(folder_module, "read_image", forbidden)
    assert len(load(root, max_broken=0.1).train) == 9


def test_no_readable_image_at_all(root):
    root.mkdir()
    (root / "a.jpg").write_text("x")
    with pytest.raises(InputError, match=r"no file in .* is a readable image"):
        load(root, max_broken=1.0)


def test_names_that_are_no_utf8(root, cache):
    write(root, *numbered("{}.png", 3))
    strange = os.path.join(os.fsencode(root), b"\xff\n.jpg")
    with open(strange, "wb") as file:
        file.write(b"x")
    data = load(root, max_broken=0.5)
    assert len(data.train) == 3
    [log] = cache.glob("decoded/*/skipped.log")
    assert len(log.read_text().splitlines()) == 1


def forbidden(path, image_size):
    raise AssertionError("decoded again")


def test_second_start_maps_the_same_file(root, cache, monkeypatch):
    write(root, *numbered("{}.png", 5))
    first = load(root)
    [entry] = cache.glob("decoded/*/pixels.npy")
    written = entry.stat()
    monkeypatch.setattr(folder_module, "once", lambda entry, build: entry)
    second = load(root)
    assert (second.train.pixels == first.train.pixels).all()
    assert entry.stat() == written
    assert (np.load(entry) == second.train.pixels.numpy()).all()


@pytest.mark.parametrize("change", ["content", "name", "time", "mode", "size"])
def test_a_change_is_seen(root, cache, change):
    write(root, *numbered("{}.png", 5))
    load(root)
    path = root / "0.png"
    if change == "content":
        Image.new("RGB", (SIDE, SIDE + 1), (99, 0, 0)).save(path)
    elif change == "name":
        path.rename(root / "9.png")
    elif change == "time":
        os.utime(path, ns=(1, 1))
    elif change == "mode":
        path.chmod(0o600)
    load_dataset(str(root), image_size=SIDE + (change == "size"))
    assert len(list(cache.glob("decoded/*"))) == 2


def snapshot(root):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [root, *root.rglob("*")]}


def test_nothing_is_written_to_the_folder(root):
    write(root, *numbered("a/{}.png", 5), *numbered("b/{}.png", 5))
    for path in [*root.rglob("*"), root]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = snapshot(root)
    try:
        load(root)
        assert snapshot(root) == before
    finally:
        for path in [root, root / "a", root / "b"]:
            path.chmod(0o755)


def test_a_link_to_itself_ends(root):
    write(root, "a/0.png", "a/1.png", "b/0.png", "b/1.png")
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "self").symlink_to("self")
    data = load(root, max_broken=0.2)
    assert len(data.train) + len(data.test) == 4


def test_two_links_to_one_folder_are_two_classes(root, tmp_path):
    write(tmp_path / "store", "0.png", "1.png")
    write(root, "a/0.png", "a/1.png")
    for name in ("c", "d"):
        (root / name).symlink_to(tmp_path / "store")
    data = load(root)
    assert data.train.classes == ("a", "c", "d")
    assert len(data.train) + len(data.test) == 6


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".tga"])
def test_whatever_pillow_opens_is_an_image_beside_a_sub_folder(root, suffix):
    write(root, "more/0.png")
    for number in range(3):
        Image.new("RGB", (SIDE, SIDE)).save(root / f"{number}{suffix}")
    data = load(root)
    assert len(data.train) == 4
    assert "the sub-folder 'more' is no class" in data.note


def test_a_run_inside_the_folder_is_no_data(root):
    write(root, "0.png", "1.png", "run/figures/knn.png")
    for name in ("recipe.toml", "metrics.jsonl"):
        (root / "run" / name).write_text("")
    data = load(root)
    assert reds(data.train) == [0, 1]
    assert "run" not in data.note


def test_what_lies_beside_a_wrapper_is_named(root):
    write(root, "images/a/0.png", "images/a/1.png", "images/b/0.png", "images/b/1.png")
    for name in ("README", "LICENSE", "odd"):
        (root / name).write_text("hello")
    data = load(root)
    assert data.train.classes == ("a", "b")
    assert "1 file(s) outside the images' folders were left out (the first: 'odd')" in data.note


def test_a_machine_in_trouble_condemns_no_file(root, cache, monkeypatch):
    def troubled(path, image_size):
        raise OSError(errno.EMFILE, "Too many open files", path)

    write(root, "a/0.png", "b/0.png")
    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "read_image", troubled)
        with pytest.raises(InputError, match="expected a file that can be read, got: Too many open files; try again"):
            load(root)
    assert len(load(root).train) == 2


def test_class_folders_that_are_no_utf8_have_names_that_can_be_written(root):
    write(root, "a/0.png", "a/1.png")
    strange = os.path.join(os.fsencode(root), b"\xff")
    os.mkdir(strange)
    for number in range(2):
        Image.new("RGB", (SIDE, SIDE)).save(root / "a.png")
        os.rename(root / "a.png", os.path.join(strange, b"%d.png" % number))
    assert load(root).train.classes == ("\\udcff", "a")


def _load_in_a_process(root, barrier, results):
    barrier.wait()
    results.put(reds(load(root).train))


def test_two_processes_at_once(root, cache):
    write(root, *numbered("{:03}.png", 200))
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_load_in_a_process, args=(root, barrier, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [list(range(200))] * 2
    assert len(os.listdir(cache / "decoded")) == 1


def test_chunks_are_joined_in_order(root, monkeypatch):
    monkeypatch.setattr(folder_module, "CHUNK", 7)
    write(root, *numbered("{:02}.png", 20))
    (root / "075.png").write_text("x")
    assert reds(load(root, max_broken=1.0).train) == list(range(20))


def test_large_images_do_not_warn(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    write(root, "0.png")
    assert len(load(root, max_broken=0.0).train) == 1


def test_a_cache_that_cannot_be_written_is_one_line(root, tmp_path, monkeypatch):
    write(root, "0.png")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write .*set SPARRING_CACHE"):
        load(root)


def test_an_interrupted_decode_leaves_nothing(root, tmp_path, monkeypatch):
    write(root, "0.png")
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "misspelt" / "deep"))

    def interrupt(path, image_size):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "read_image", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(root)
        assert not (tmp_path / "misspelt").exists()
    assert len(load(root).train) == 1


def test_what_a_killed_decode_left_is_removed_a_day_later(root, cache):
    write(root, "0.png")
    load(root)
    (entry,) = (cache / "decoded").iterdir()
    old, new = (entry.with_name(f".{entry.name}-{end}") for end in ("old", "new"))
    old.mkdir()
    new.mkdir()
    os.utime(old, (0, time.time() - 25 * 3600))
    load(root)
    assert new.is_dir()  # somebody may be at it
    assert not old.exists()


def test_images_that_do_not_fit_on_the_disk_are_told_before_they_are_read(root, cache):
    write(root, "0.png")
    with pytest.raises(InputError, match=r"GB needed at --image-size 9999999.*set SPARRING_CACHE"):
        load_dataset(str(root), image_size=9_999_999)


def test_folders_alike_but_for_content_are_told_apart(tmp_path):
    """Bitmaps of one size out of archives with fixed times: names, sizes and times are the same."""
    for folder, grey in (("dark", 0), ("light", 200)):
        for name in ("a/0.bmp", "b/0.bmp"):
            (tmp_path / folder / name).parent.mkdir(parents=True)
            Image.new("RGB", (SIDE, SIDE), (grey,) * 3).save(tmp_path / folder / name)
            os.utime(tmp_path / folder / name, (1, 1))
    assert [load(tmp_path / folder).train.pixels.unique().tolist() for folder in ("dark", "light")] == [[0], [200]]


@pytest.mark.parametrize("first", ["folders", "none"])
def test_sub_folders_that_are_no_classes_label_nothing_and_hold_nothing_out(root, first):
    """In whichever order it is read, each image keeps its own pixels: the cache serves both."""
    paths = [*numbered("patient1/{}.png", 20), *numbered("patient2/{}.png", 5), "patient3/visit/0.png", "loose.png"]
    write(root, *paths)
    load(root, labels=first)
    data = load(root, labels="none")
    assert (data.train.labels, data.train.classes, data.test, data.validation) == (None, (), None, None)
    assert [paths[red] for red in reds(data.train)] == list(data.train.files)
    assert sorted(data.train.files) == sorted(paths)
    assert "no labels" in data.note
    assert "left out" not in data.note
    labelled = load(root)
    assert (labelled.train.classes, len(labelled.test)) == (("patient1", "patient2", "patient3"), 3)
    assert [paths[red] for red in reds(labelled.test)] == list(labelled.test.files)
    assert labelled.train.digest() != data.train.digest()


def test_without_labels_splits_stay_what_they_are(root):
    write(root, "train/a/0.png", "train/b/0.png", "train/1.png", "test/c/0.png", "val/0.png")
    data = load(root, labels="none")
    assert data.train.labels is data.test.labels is data.validation.labels is None
    assert [sorted(reds(part)) for part in (data.train, data.test, data.validation)] == [[0, 1, 2], [3], [4]]
    assert reds(load(root, labels="none", evaluate_on="validation").test) == [4]
