"""An adversary that learns: a head that reads features, noise or nothing and gives the transform's parameters."""

import math
from math import prod
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sparring.adversaries.painting import check_made_for
from sparring.contracts import Adversary, ImageShape, Proposal, Transform, Turn
from sparring.errors import InputError
from sparring.randomness import Draws, normal
from sparring.schema import check_ranges, checked

Reads = Literal["partner", "own", "nothing"]


class Learned(Adversary):
    """A one-layer perceptron on the partner view's detached features, trained by gradient ascent on the loss.

    Its optimiser is built with `maximize=True`, so that the encoder's own backward pass trains it too. Features are
    normalised per image (a departure from the study: their scale drifts while the encoder trains), and `tanh` keeps
    the parameters inside the transform's box.

    Args:
        features: size of the feature vector it reads.
        image_shape: channels, height, width of the images it will see.
        reads: the partner's features (free), the view's own as in the study (one more encoder forward), or nothing,
            which together with no noise learns constants.
        noise: number of normal draws it reads besides, so that one image has many hard views.
        logit_noise: deviation of noise added before the `tanh`.

    Source: "Adversarial Augmentations for Contrastive Learning" (Lubana and Aldeeb); noise as in TeachAugment
    (Suzuki 2022).
    """

    def __init__(
        self,
        transform: Transform,
        *,
        features: int,
        image_shape: ImageShape = (3, 32, 32),
        reads: Reads = "partner",
        noise: int = 0,
        logit_noise: float = 0.0,
    ) -> None:
        super().__init__(transform)
        self.image_shape, self.shape = image_shape, transform.parameter_shape(image_shape)
        self.features = features
        self.reads, self.noise, self.logit_noise = checked(reads, Reads, "learned: reads"), noise, logit_noise
        check_ranges(self, {"noise": (0, math.inf), "logit_noise": (0, math.inf)}, "learned: ")
        inputs = noise + (features if reads != "nothing" else 0)
        self.head = nn.Linear(max(1, inputs), prod(self.shape))

    def choose(
        self, features: Float[Tensor, "b d"], generator: torch.Generator | None = None
    ) -> Float[Tensor, " b *p"]:
        """Parameters for images whose views have these features; `generator` draws the noise, if there is any."""
        b, like = len(features), features
        parts = [] if self.reads == "nothing" else [F.layer_norm(features, features.shape[1:])]
        if self.noise:
            parts.append(normal((b, self.noise), generator, like))
        logits = self.head(torch.cat(parts, dim=1) if parts else like.new_ones(b, 1))
        if self.logit_noise:
            logits = logits + self.logit_noise * normal(logits.shape, generator, like)
        return self.transform.project(logits.tanh().view(-1, *self.shape))

    def forward(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None, *, generator: Draws = None
    ) -> Float[Tensor, "b c h w"]:
        """Harder images, differentiable in the head's weights: all that a training loop of your own needs."""
        if features is None and self.reads != "nothing":
            whose = "features_2" if self.reads == "own" else "features_1"
            call = f'adversary(view_2, {whose}), or reads="nothing"'
            raise InputError(f"learned: expected the features that it reads, got none; {call}")
        fits = self.transform.size_for(images)[1:] == tuple(self.shape)
        check_made_for("learned", self.image_shape, images, fits=fits)
        size = (len(images), self.features)
        if features is not None and self.reads != "nothing" and features.shape != size:
            raise InputError(f"learned: expected features of size {size}, got {tuple(features.shape)}; see features=")
        features = images.new_empty(len(images), 0) if features is None else features.detach()
        return self.transform(images, self.choose(features, generator))

    def propose(self, turn: Turn) -> Proposal:
        nothing = turn.images.new_empty(len(turn.images), 0)
        features = {"partner": turn.partner_features, "own": turn.own_features, "nothing": lambda: nothing}[self.reads]
        return Proposal(self.choose(features(), turn.generator))
