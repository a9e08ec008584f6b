"""SimSiam: two views predict each other, without negatives."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.schema import check_range


class SimSiam(Method):
    """Two views predict each other, without negatives.

    L = -(sim(p1, sg(z2)) + sim(p2, sg(z1))) / 2 per image, cosine similarity, sg = stop-gradient (Eq. 4).

    Args:
        projection: width of the two-layer projector.
        bottleneck: hidden width of the predictor.

    Source: Chen and He 2021, "Exploring Simple Siamese Representation Learning"; heads as in its CIFAR-10 recipe.
    """

    def __init__(self, encoder: Encoder, *, projection: int = 2048, bottleneck: int = 512) -> None:
        super().__init__()
        check_range("projection", projection, 1)
        check_range("bottleneck", bottleneck, 1)
        self.encoder = encoder
        self.projector = nn.Sequential(
            nn.Linear(encoder.feature_size, projection, bias=False),
            nn.BatchNorm1d(projection),
            nn.ReLU(inplace=True),
            nn.Linear(projection, projection, bias=False),
            nn.BatchNorm1d(projection, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(projection, bottleneck, bias=False),
            nn.BatchNorm1d(bottleneck),
            nn.ReLU(inplace=True),
            nn.Linear(bottleneck, projection),
        )

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        features = self.encoder(images)
        projection = self.projector(features)
        return Embedding(features, projection, self.predictor(projection))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        assert first.prediction is not None
        assert second.prediction is not None
        forth = F.cosine_similarity(first.prediction, second.projection.detach())
        back = F.cosine_similarity(second.prediction, first.projection.detach())
        return -(forth + back) / 2
