"""An adversary that hides things: a U-Net reads the image and shares it out between masks, one of which is applied."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sparring.adversaries.painting import check_made_for, convolution, map_shape
from sparring.contracts import Adversary, ImageShape, Proposal, Transform, Turn
from sparring.randomness import Draws, choice
from sparring.schema import check_ranges

GROUPS, BOTTLENECK = 8, 128  # both as in the source
FLOOR = 1e-3  # holds the penalty of an empty or full mask at 1000, where the source's 1e-10 lets it explode
MANY = float("inf")


class UNet(Adversary):
    """ADIOS-s: masks that sum to 1 in every pixel (softmax); chance picks one of them for each image.

    Masks are equals at the start, 1/masks everywhere; to make views hard, each has to cover a thing of its own. The
    penalty keeps any of them from taking all or nothing: sparsity x sum over the masks of 1 / sin(pi x its mean).

    Args:
        transform: what may change, with parameters that form a picture, such as `mask`, which also bounds the area;
            a grid gets the means over its cells.
        image_shape: channels, height, width of the images it will see.
        width: filters near full resolution, twice as many in the three deepest layers.
        masks: number of masks that share the image out, at least 2.
        sparsity: weight of the penalty; 0 leaves it out.

    Raises:
        InputError: if the transform's parameters are no picture, or the images are smaller than 2x2 pixels.

    Source: Shi et al. 2022, "Adversarial Masking for Self-Supervised Learning"; sizes from github.com/YugeTen/adios,
    src/utils/unet.py (borders are reflected here, zero there), the penalty from src/methods/simclr_adios_s.py.
    """

    def __init__(
        self,
        transform: Transform,
        *,
        image_shape: ImageShape = (3, 32, 32),
        width: int = 8,
        masks: int = 4,
        sparsity: float = 1.0,
    ) -> None:
        super().__init__(transform)
        self.shape = map_shape("unet", transform, image_shape, smallest=2)
        self.image_shape, self.width, self.masks, self.sparsity = image_shape, width, masks, sparsity
        check_ranges(self, {"width": (1, MANY), "masks": (2, MANY), "sparsity": (0, MANY)}, "unet: ")
        channels, height, wide = image_shape
        depth = max(1, int(math.log2(min(height, wide))) - 1)
        outs = ([width] * depth + 3 * [2 * width])[-depth:]
        ups = [*(2 * [2 * width] + [width] * depth)[: depth - 1], width]
        self.down = _layers([channels, *outs[:-1]], outs)
        self.up = _layers([above + skip for above, skip in zip([outs[-1], *ups], outs[::-1], strict=False)], ups)
        self.filters, self.stride = outs[-1], 2 ** (depth - 1)
        self.bottleneck = _bottleneck(self._deepest(height, wide))
        self.head = nn.Conv2d(width, masks * self.shape[0], 1)

    def share_out(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n m h w"]:
        """Masks in [0, 1] at full resolution that sum to 1 over n."""
        deepest = self._deepest(*images.shape[2:]), self._deepest(*self.image_shape[1:])
        fits = self.transform.size_for(images)[1:] == self.shape and deepest[0] == deepest[1]
        check_made_for("unet", self.image_shape, images, fits=fits)
        skips: list[Tensor] = []
        for layer in self.down:
            skips.append(F.relu(layer(skips[-1][:, :, ::2, ::2] if skips else images)))
        maps = self.bottleneck(skips[-1].flatten(1)).view_as(skips[-1])
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            maps = F.relu(layer(torch.cat([F.interpolate(maps, skip.shape[2:]), skip], dim=1)))
        return self.head(maps).unflatten(1, (self.masks, self.shape[0])).softmax(dim=1)

    def _deepest(self, height: int, width: int) -> int:
        """Numbers in the map of the deepest layer, of an image of this size."""
        return self.filters * math.ceil(height / self.stride) * math.ceil(width / self.stride)

    def penalty(self, masks: Float[Tensor, "b n m h w"]) -> Float[Tensor, " b"]:
        """What masks near empty or full cost: smallest where all have the same area."""
        means = masks.mean(dim=(2, 3, 4))
        nearest = torch.minimum(means, 1 - means)  # the same sine, and never below 0 by rounding
        return self.sparsity * ((math.pi * nearest).sin() + FLOOR).reciprocal().sum(dim=1)

    def choose(
        self, masks: Float[Tensor, "b n m h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "b m y x"]:
        """Parameters from one mask of each image; `generator` draws which."""
        drawn = choice(self.masks, len(masks), generator, masks)
        one = masks[torch.arange(len(masks), device=masks.device), drawn]
        return self.transform.project(F.adaptive_avg_pool2d(one, self.shape[1:]))

    def forward(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None, *, generator: Draws = None
    ) -> Float[Tensor, "b c h w"]:
        """Harder images, differentiable in the weights; `penalty(share_out(images))` is for your own loop to add."""
        return self.transform(images, self.choose(self.share_out(images.detach()), generator))

    def propose(self, turn: Turn) -> Proposal:
        masks = self.share_out(turn.images.detach())
        return Proposal(self.choose(masks, turn.generator), self.penalty(masks) if self.sparsity else None)


def _layers(inputs: list[int], outputs: list[int]) -> nn.ModuleList:
    """3x3 convolutions, normalised over groups of channels."""
    pairs = zip(inputs, outputs, strict=True)
    return nn.ModuleList(convolution(i, o, 3, groups=math.gcd(GROUPS, o)) for i, o in pairs)


def _bottleneck(size: int) -> nn.Sequential:
    """Lets far corners of the image know of each other."""
    sizes = (size, BOTTLENECK, BOTTLENECK, size)
    return nn.Sequential(*(layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), nn.ReLU())))
