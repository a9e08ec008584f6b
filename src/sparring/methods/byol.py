"""BYOL: one view predicts the other's projection under a momentum encoder, without negatives."""

from collections.abc import Mapping

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.methods.heads import two_layers
from sparring.methods.momentum import Target


class BYOL(Method):
    """L = 2 - cos(p1, t2) - cos(p2, t1) per image: the mean over both directions of 2 - 2 cos, half the published sum.

    Departure: the momentum is constant, where the paper raises it to 1 along a cosine.

    Args:
        hidden: width of the hidden layers of projector and predictor (4096 in the paper).
        projection: size of the projection.
        momentum: share of itself that the target keeps in each step.

    Source: Grill et al. 2020, "Bootstrap Your Own Latent".
    """

    def __init__(self, encoder: Encoder, *, hidden: int = 1024, projection: int = 256, momentum: float = 0.99) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = two_layers(encoder.feature_size, hidden, projection)
        self.predictor = two_layers(projection, hidden, projection)
        self.target = Target(self.encoder, self.projector, momentum=momentum)

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        features = self.encoder(images)
        projection = self.projector(features)
        return Embedding(features, projection, self.predictor(projection), self.target(images))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        assert first.prediction is not None
        assert first.target is not None
        assert second.prediction is not None
        assert second.target is not None
        forth = F.cosine_similarity(first.prediction, second.target)
        back = F.cosine_similarity(second.prediction, first.target)
        return 2 - forth - back

    def after_step(self, embeddings: Mapping[str, Embedding]) -> None:
        self.target.follow(self.encoder, self.projector)
