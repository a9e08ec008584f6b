"""Every mode that Pillow writes is read with the values it was written with."""

import numpy as np
import pytest
from PIL import Image

from sparring.datasets.decoding import _deep_grey, read_image

SIDE = 8


def read_back(image, path, size=SIDE, **options):
    image.save(path, **options)
    return read_image(str(path), size)


def uniform(pixels):
    """The one colour of an image."""
    colours = np.unique(pixels.reshape(3, -1), axis=1)
    assert colours.shape == (3, 1)
    return tuple(colours[:, 0].tolist())


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 100, 255, 51), (204, 224, 255)),  # a fifth of the colour, four of white
        ("LA", (0, 51), (204, 204, 204)),
    ],
)
def test_png_modes(tmp_path, mode, colour, expected):
    assert uniform(read_back(Image.new(mode, (SIDE, SIDE), colour), tmp_path / "a.png")) == expected


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
@pytest.mark.parametrize(
    ("ink", "expected"),
    [((0, 0, 0, 0), (255, 255, 255)), ((255, 0, 0, 0), (0, 255, 255)), ((255, 0, 0, 255), (0, 0, 0))],
)
def test_cmyk(tmp_path, suffix, ink, expected):
    assert uniform(read_back(Image.new("CMYK", (SIDE, SIDE), ink), tmp_path / f"a.{suffix}")) == expected


def palette_image():
    image = Image.new("P", (SIDE, SIDE), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    return image


def test_palette(tmp_path):
    assert uniform(read_back(palette_image(), tmp_path / "a.png")) == (200, 100, 50)


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
def test_transparent_palette_is_white(tmp_path, transparency):
    assert uniform(read_back(palette_image(), tmp_path / "a.png", transparency=transparency)) == (255, 255, 255)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (32_768, 128), (65_535, 255), (257, 1)])
@pytest.mark.parametrize(("dtype", "suffix"), [(np.uint16, "png"), (np.uint16, "tif"), (np.int32, "tif")])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, value, expected, dtype, suffix):
    image = Image.fromarray(np.full((SIDE, SIDE), value, dtype))
    assert uniform(read_back(image, tmp_path / f"a.{suffix}")) == (expected,) * 3


def test_sixteen_bits_are_rounded_to_the_nearest_of_eight():
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values.astype(np.float64) * 255 / 65_535)
    assert (_deep_grey(Image.fromarray(values)) == expected).all()


def test_float_in_the_unit_range_is_kept(tmp_path):
    image = Image.fromarray(np.full((SIDE, SIDE), 0.2, np.float32))
    assert uniform(read_back(image, tmp_path / "a.tif")) == (51, 51, 51)


def test_other_floats_are_stretched(tmp_path):
    values = np.repeat(np.float32([[-3, -1], [1, np.nan]]), SIDE // 2, 0).repeat(SIDE // 2, 1)
    read = read_back(Image.fromarray(values), tmp_path / "a.tif")
    assert read[0, :: SIDE - 1, :: SIDE - 1].tolist() == [[0, 128], [255, 0]]  # -3..1, and nan is as the least


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation, suffix):
    """By definition of the tag: where the first stored row and column are in the upright picture."""
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    transposed = orientation >= 5
    stored = np.zeros((SIDE, SIDE, 3), np.uint8)
    stored[0, :, 1] = 200  # the stored first row is green,
    stored[0, 0] = (255, 0, 0)  # and starts with red
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = read_back(Image.fromarray(stored), tmp_path / f"a.{suffix}", exif=exif, lossless=True)
    row, column = corner[orientation]
    assert upright[:, row, column].tolist() == [255, 0, 0]
    line = upright[:, :, column] if transposed else upright[:, row, :]
    assert (line[1] == 200).sum() == SIDE - 1


def test_centre_square_is_kept(tmp_path):
    wide = np.zeros((SIDE, 3 * SIDE, 3), np.uint8)
    wide[:, SIDE : 2 * SIDE] = (1, 2, 3)
    assert uniform(read_back(Image.fromarray(wide), tmp_path / "a.png")) == (1, 2, 3)
    assert uniform(read_back(Image.fromarray(wide.transpose(1, 0, 2)), tmp_path / "b.png")) == (1, 2, 3)


def test_own_size_is_left_bit_for_bit(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert (read_back(Image.fromarray(pixels), tmp_path / "a.png") == pixels.transpose(2, 0, 1)).all()


def test_shrinking_averages(tmp_path):
    """Stripes of one pixel become grey; without antialias they would become black or white."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    read = read_back(Image.fromarray(stripes), tmp_path / "a.png")
    assert np.abs(read[:, 1:-1, 1:-1].astype(int) - 127.5).max() < 4


def test_a_drafted_jpeg_is_near_the_full_one(tmp_path):
    ramp = np.linspace(0, 255, 512).astype(np.uint8)
    photo = np.stack([np.tile(ramp, (512, 1)), np.tile(ramp[:, None], (1, 512)), np.full((512, 512), 90, np.uint8)], 2)
    drafted = read_back(Image.fromarray(photo), tmp_path / "a.jpg", quality=95)
    whole = read_back(Image.fromarray(photo), tmp_path / "a.png")
    assert np.abs(drafted.astype(int) - whole).max() <= 3
