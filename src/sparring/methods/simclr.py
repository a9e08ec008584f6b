"""SimCLR: an image's two views attract, all other views repel."""

from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.methods.contrast import all_against_all, info_nce
from sparring.methods.heads import check_positive, two_layers


def nt_xent(first: Float[Tensor, "b k"], second: Float[Tensor, "b k"], temperature: float) -> Float[Tensor, "b"]:
    """NT-Xent per image, the mean over its two anchors; negatives are both views of all other images of all ranks."""
    return info_nce(all_against_all(first, second, temperature)).view(2, -1).mean(dim=0)


class SimCLR(Method):
    """An image's two views attract, all other views repel: NT-Xent on normalised projections (Eq. 2, 3).

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
        check_positive("simclr", "temperature", temperature)
        self.encoder, self.temperature = encoder, temperature
        self.projector = two_layers(encoder.feature_size, hidden, projection, batch_norm=batch_norm)

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        features = self.encoder(images)
        return Embedding(features, self.projector(features))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, "b"]:
        return nt_xent(first.projection, second.projection, self.temperature)
