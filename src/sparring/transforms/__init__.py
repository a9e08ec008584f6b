"""What may change. A new transform is one file and one row."""

from sparring.contracts import Transform
from sparring.transforms.affine import Affine as Affine
from sparring.transforms.blur import Blur as Blur
from sparring.transforms.chain import Chain as Chain
from sparring.transforms.colour import Colour as Colour
from sparring.transforms.crop import Crop as Crop
from sparring.transforms.frequency import Frequency as Frequency
from sparring.transforms.gain import Gain as Gain
from sparring.transforms.geometry import Rotation as Rotation, Translation as Translation
from sparring.transforms.hsv import Hsv as Hsv
from sparring.transforms.jitter import Jitter as Jitter
from sparring.transforms.mask import Mask as Mask
from sparring.transforms.operations import Operations as Operations
from sparring.transforms.perspective import Perspective as Perspective
from sparring.transforms.pixels import Pixels as Pixels
from sparring.transforms.thin_plate import ThinPlate as ThinPlate
from sparring.transforms.tones import Tone as Tone

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
