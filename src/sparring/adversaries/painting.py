"""What networks that read an image and paint its parameters share: the shape they paint, and their convolutions."""

from jaxtyping import Float
from torch import Tensor, nn

from sparring.contracts import ImageShape, Transform
from sparring.errors import InputError

SLACK = 1e-3
"""Beyond [0, 1], for what somebody's own augmentation rounds."""


def map_shape(painter: str, transform: Transform, image_shape: ImageShape, *, smallest: int) -> tuple[int, int, int]:
    """Maps, rows and columns of one image's parameters.

    Raises:
        InputError: if they form no picture, or the images have fewer than `smallest` pixels along a side.
    """
    shape = transform.parameter_shape(image_shape)
    if len(shape) != 3:
        expected = f"{painter}: expected a transform whose parameters form a picture, such as pixels or mask"
        raise InputError(f"{expected}, got {type(transform).__name__.lower()}, which has {' x '.join(map(str, shape))}")
    height, width = image_shape[1:]
    if min(height, width) < smallest:
        expected = f"{painter}: expected images of at least {smallest}x{smallest} pixels"
        raise InputError(f"{expected}, got {height}x{width}; try another --adversary or a larger --image-size")
    return shape[0], shape[1], shape[2]


def check_made_for(who: str, made_for: ImageShape, images: Float[Tensor, "b c h w"], *, fits: bool) -> None:
    """Refuse images outside [0, 1], of other channels than those an adversary was made for, or of no fitting size."""
    if not images.is_floating_point() or (images.device.type == "cpu" and not _is_unit(images)):
        raise InputError(f"{who}: expected images as floats in [0, 1], got others; divide bytes by 255, or clamp")
    got = tuple(images.shape[1:])
    if got[0] != made_for[0] or not fits:
        expected, found = ("x".join(map(str, shape)) for shape in (made_for, got))
        raise InputError(f"{who}: expected {expected} images, got {found}; give image_shape={got}")


def _is_unit(images: Float[Tensor, "b c h w"]) -> bool:
    low, high = images.aminmax()  # on a GPU it would wait for the device
    return bool(low >= -SLACK and high <= 1 + SLACK)


def convolution(inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 0) -> nn.Sequential:
    """Convolution and normalisation of each image for itself, over `groups` of channels (0: each channel alone).

    Borders are reflected, so that no frame is painted; normalisation takes the place of a bias.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False, padding_mode="reflect"),
        nn.GroupNorm(groups or outputs, outputs),
    )
