"""An adversary that learns: a head that reads features and gives the transform's parameters."""

from math import prod

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sparring.contracts import Adversary, ImageShape, Proposal, Transform, Turn


class Learned(Adversary):
    """A one-layer perceptron on the partner view's detached features, trained by gradient ascent on the loss.

    Its optimiser is built with `maximize=True`, so that the encoder's own backward pass trains it too. Features are
    normalised per image (a departure from the study: their scale drifts while the encoder trains), and `tanh` keeps
    the parameters inside the transform's box.

    Args:
        transform: what may change.
        features: size of the feature vector it reads.
        image_shape: channels, height, width of the images it will see.

    Source: "Adversarial Augmentations for Contrastive Learning" (Lubana and Aldeeb).
    """

    def __init__(self, transform: Transform, *, features: int, image_shape: ImageShape = (3, 32, 32)) -> None:
        super().__init__(transform)
        self.shape = transform.parameter_shape(image_shape)
        self.head = nn.Linear(features, prod(self.shape))

    def choose(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b *p"]:
        """Parameters for images whose partner views have these features."""
        logits = self.head(F.layer_norm(features, features.shape[1:]))
        return self.transform.project(logits.tanh().view(-1, *self.shape))

    def forward(self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
        """Harder images, differentiable in the head's weights: all that a training loop of your own needs."""
        return self.transform(images, self.choose(features.detach()))

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.choose(turn.features))
