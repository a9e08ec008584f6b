"""SimCLR: an image's two views attract, all other views repel."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.errors import InputError
from sparring.gather import gather, rank


def nt_xent(first: Float[Tensor, "b k"], second: Float[Tensor, "b k"], temperature: float) -> Float[Tensor, "b"]:
    """NT-Xent per image, the mean over its two anchors; negatives are both views of all other images of all ranks."""
    first, second = F.normalize(first), F.normalize(second)
    everyone = torch.cat([gather(first), gather(second)])
    b, half = len(first), len(everyone) // 2
    own = torch.arange(b, device=first.device) + rank() * b
    logits = torch.cat([first, second]) @ everyone.T / temperature
    anchors, positives = torch.cat([own, own + half]), torch.cat([own + half, own])
    logits = logits.scatter(1, anchors[:, None], -torch.inf)
    return F.cross_entropy(logits, positives, reduction="none").view(2, b).mean(dim=0)


class SimCLR(Method):
    """NT-Xent on normalised projections (Eq. 2, 3).

    Args:
        encoder: the backbone.
        hidden: width of the projector's hidden layer.
        projection: size of the projection.
        temperature: divides the cosine similarities.
        batch_norm: normalise the hidden layer over the batch.

    Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations".
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 512,
        projection: int = 128,
        temperature: float = 0.5,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise InputError(f"simclr: expected temperature > 0, got {temperature}")
        self.encoder, self.temperature = encoder, temperature
        self.projector = nn.Sequential(
            nn.Linear(encoder.feature_size, hidden, bias=not batch_norm),
            nn.BatchNorm1d(hidden) if batch_norm else nn.Identity(),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, projection),
        )

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        features = self.encoder(images)
        return Embedding(features, self.projector(features))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, "b"]:
        return nt_xent(first.projection, second.projection, self.temperature)
