"""The family of contrastive methods that differ only in what the loss makes of the negatives."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.methods.heads import two_layers
from sparring.methods.scores import Scores, all_against_all
from sparring.schema import check_range

Loss = Callable[[Scores], Tensor]
"""Scores of 2b anchors to a loss per anchor."""


class Contrastive(Method):
    """SimCLR's encoder, head and pairs of views under any loss of `Scores`; per image the mean over its two anchors.

    Args:
        loss: scores to a loss per anchor.
        hidden: width of the projector's hidden layer.
        projection: size of the projection.
        temperature: divides the cosine similarities.
        batch_norm: normalise the hidden layer over the batch.
        labels: class of each image of the data set, for losses that are oracles.
    """

    labels: Tensor | None

    def __init__(
        self,
        encoder: Encoder,
        loss: Loss,
        *,
        hidden: int,
        projection: int,
        temperature: float,
        batch_norm: bool = True,
        labels: Int[Tensor, " n"] | None = None,
    ) -> None:
        super().__init__()
        check_range("temperature", temperature, 1e-3)
        self.encoder, self.loss, self.temperature = encoder, loss, temperature
        self.projector = two_layers(encoder.feature_size, hidden, projection, batch_norm=batch_norm)
        self.register_buffer("labels", labels, persistent=False)

    def scores(self, first: Embedding, second: Embedding) -> Scores:
        """What the loss is a function of: the first views as anchors, then the second."""
        return all_against_all(first.projection, second.projection, self.temperature, self._labels_of(first))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        return self.loss(self.scores(first, second)).view(2, -1).mean(dim=0)

    def _labels_of(self, embedding: Embedding) -> Int[Tensor, " b"] | None:
        if self.labels is None:
            return None
        assert embedding.indices is not None
        return self.labels[embedding.indices]
