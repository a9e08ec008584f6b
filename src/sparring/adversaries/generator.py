"""An adversary that paints: a convolutional network reads the image and noise, and gives a parameter per pixel."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sparring.adversaries.painting import check_made_for, convolution, map_shape
from sparring.contracts import Adversary, ImageShape, Proposal, Transform, Turn
from sparring.randomness import Draws, uniform
from sparring.schema import check_ranges

SMALLEST = 5  # a 9x9 convolution reflects 4 pixels at each border
MANY = float("inf")


class Generator(Adversary):
    """Viewmaker: two strided convolutions, residual blocks and two upsamplings turn image and noise into parameters.

    Fresh noise is a further channel of the image and of the input of each block, so that one image has many hard views.
    `tanh` comes before the projection: on an L1 sphere it keeps the budget from going to a few pixels, and the
    parameters, about 1/3072 each at 3x32x32 pixels, get their size from one division by their sum, in full precision.

    Args:
        transform: what may change, with parameters that form a picture; the source's is `pixels` with `norm = "l1"`
            and `sphere = true`. A grid gets the means over its cells.
        image_shape: channels, height, width of the images it will see.
        width: filters of the first layer, twice and four times as many further in. 8 is a departure for processors
            without a GPU: at 32x32 pixels 12 million multiplications an image, half of ResNet-12 at a quarter of its
            width; the source's 32 take 125 million.
        blocks: residual blocks.
        noise: channels of uniform noise at each place; 0 gives one hard view per view.

    Raises:
        InputError: if the transform's parameters are no picture, or the images are smaller than 5x5 pixels.

    Source: Tamkin et al. 2021, "Viewmaker Networks: Learning Views for Unsupervised Representation Learning"; sizes
    from github.com/alextamkin/viewmaker, src/models/viewmaker.py.
    """

    def __init__(
        self,
        transform: Transform,
        *,
        image_shape: ImageShape = (3, 32, 32),
        width: int = 8,
        blocks: int = 3,
        noise: int = 1,
    ) -> None:
        super().__init__(transform)
        self.shape = map_shape("generator", transform, image_shape, smallest=SMALLEST)
        self.image_shape, self.width, self.blocks, self.noise = image_shape, width, blocks, noise
        check_ranges(self, {"width": (1, MANY), "blocks": (0, MANY), "noise": (0, MANY)}, "generator: ")
        self.down = _down(image_shape[0] + noise, width)
        self.middle = nn.ModuleList(Residual(4 * width + place * noise) for place in range(1, blocks + 1))
        inner = 4 * width + blocks * noise
        self.up = nn.ModuleList([convolution(inner, 2 * width, 3), convolution(2 * width, width, 3)])
        self.last = nn.Conv2d(width, self.shape[0], 9, padding=4, padding_mode="reflect")

    def choose(
        self, images: Float[Tensor, "b c h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "b m y x"]:
        """Parameters for these images; `generator` draws the noise."""
        fits = self.transform.size_for(images)[1:] == self.shape
        check_made_for("generator", self.image_shape, images, fits=fits)
        maps = self.down(self._with_noise(images, generator))
        for block in self.middle:
            maps = block(self._with_noise(maps, generator))
        height, width = images.shape[2:]
        for layer, size in zip(self.up, (((height + 1) // 2, (width + 1) // 2), (height, width)), strict=True):
            # nearest neighbours, and a convolution after them: no checkerboard (Odena et al. 2016)
            maps = F.relu(layer(F.interpolate(maps, size)))
        return self.transform.project(F.adaptive_avg_pool2d(self.last(maps), self.shape[1:]).tanh())

    def forward(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None, *, generator: Draws = None
    ) -> Float[Tensor, "b c h w"]:
        """Harder images, differentiable in the weights: all that a training loop of your own needs."""
        return self.transform(images, self.choose(images.detach(), generator))

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.choose(turn.images.detach(), turn.generator))

    def _with_noise(
        self, maps: Float[Tensor, "b c h w"], generator: torch.Generator | None
    ) -> Float[Tensor, "b k h w"]:
        b, _, height, width = maps.shape
        return torch.cat([maps, uniform((b, self.noise, height, width), generator, maps)], dim=1)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity; what comes out is not rectified."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels, 3), nn.ReLU(), convolution(channels, channels, 3))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return maps + self.body(maps)


def _down(inputs: int, width: int) -> nn.Sequential:
    """To a quarter of the side."""
    first, second = convolution(inputs, width, 9), convolution(width, 2 * width, 3, stride=2)
    third = convolution(2 * width, 4 * width, 3, stride=2)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third, nn.ReLU())
