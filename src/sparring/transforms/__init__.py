"""What may change. A new transform is one file and one row."""

from sparring.contracts import Transform
from sparring.transforms.chain import Chain
from sparring.transforms.colour import Colour
from sparring.transforms.geometry import Rotation, Translation
from sparring.transforms.jitter import Jitter
from sparring.transforms.pixels import Pixels

TRANSFORMS: dict[str, type[Transform]] = {
    "chain": Chain,
    "colour": Colour,
    "jitter": Jitter,
    "pixels": Pixels,
    "rotation": Rotation,
    "translation": Translation,
}

__all__ = ["TRANSFORMS", "Chain", "Colour", "Jitter", "Pixels", "Rotation", "Translation"]
