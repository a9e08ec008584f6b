"""What may change. A new transform is one file and one row."""

from sparring.contracts import Transform
from sparring.transforms.affine import Affine
from sparring.transforms.blur import Blur
from sparring.transforms.chain import Chain
from sparring.transforms.colour import Colour
from sparring.transforms.crop import Crop
from sparring.transforms.frequency import Frequency
from sparring.transforms.gain import Gain
from sparring.transforms.geometry import Rotation, Translation
from sparring.transforms.hsv import Hsv
from sparring.transforms.jitter import Jitter
from sparring.transforms.mask import Mask
from sparring.transforms.operations import Operations
from sparring.transforms.perspective import Perspective
from sparring.transforms.pixels import Pixels
from sparring.transforms.thin_plate import ThinPlate
from sparring.transforms.tones import Tone

TRANSFORMS: dict[str, type[Transform]] = {
    "affine": Affine,
    "blur": Blur,
    "chain": Chain,
    "colour": Colour,
    "crop": Crop,
    "frequency": Frequency,
    "gain": Gain,
    "hsv": Hsv,
    "jitter": Jitter,
    "mask": Mask,
    "operations": Operations,
    "perspective": Perspective,
    "pixels": Pixels,
    "rotation": Rotation,
    "thin_plate": ThinPlate,
    "tone": Tone,
    "translation": Translation,
}

__all__ = [
    "TRANSFORMS",
    "Affine",
    "Blur",
    "Chain",
    "Colour",
    "Crop",
    "Frequency",
    "Gain",
    "Hsv",
    "Jitter",
    "Mask",
    "Operations",
    "Perspective",
    "Pixels",
    "Rotation",
    "ThinPlate",
    "Tone",
    "Translation",
]
