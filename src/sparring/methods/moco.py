"""MoCo v2: a query finds its key, made by a momentum encoder, among a queue of older keys."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.methods.contrast import Scores, against_queue, info_nce, joined
from sparring.methods.heads import check_positive, two_layers
from sparring.methods.momentum import Target
from sparring.methods.queue import Queue, keys_of


class MoCo(Method):
    """InfoNCE of q1 (online) with k2 (target) against the queue; symmetric: the mean with q2 and k1.

    The queue enters the keys of all views of a step if symmetric, else of the second view (hardened, if it was).
    Departures: no shuffling of BatchNorm's batches between devices, and keys are computed for each view, used or not.
    Defaults are those of the authors' CIFAR-10 demonstration; v2 on ImageNet: queue 65536, momentum 0.999,
    temperature 0.2.

    Args:
        encoder: the backbone.
        hidden: width of the projector's hidden layer.
        projection: size of the projection.
        temperature: divides the cosine similarities.
        momentum: share of itself that the target keeps in each step.
        queue: number of negatives.
        symmetric: both views are queries and keys; else the first is the query, the second the key.

    Source: He et al. 2020, "Momentum Contrast"; Chen et al. 2020, "Improved Baselines with Momentum
    Contrastive Learning".
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 512,
        projection: int = 128,
        temperature: float = 0.1,
        momentum: float = 0.99,
        queue: int = 4096,
        symmetric: bool = True,
    ) -> None:
        super().__init__()
        check_positive("moco", "temperature", temperature)
        self.encoder, self.temperature, self.symmetric = encoder, temperature, symmetric
        self.loss = info_nce
        self.projector = two_layers(encoder.feature_size, hidden, projection, batch_norm=False)
        self.target = Target(self.encoder, self.projector, momentum=momentum)
        self.queue = Queue(queue, projection)

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        features = self.encoder(images)
        return Embedding(features, self.projector(features), target=self.target(images))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        return self.loss(self.scores(first, second)).view(-1, len(first.projection)).mean(dim=0)

    def scores(self, first: Embedding, second: Embedding) -> Scores:
        """Of the first views as queries, then, if symmetric, of the second."""
        forth = self._find(first, second)
        return joined(forth, self._find(second, first)) if self.symmetric else forth

    def _find(self, query: Embedding, key: Embedding) -> Scores:
        assert key.target is not None
        # a copy: the queue may move on before the backward pass
        return against_queue(query.projection, key.target, self.queue.keys.clone(), self.temperature)

    def after_step(self, embeddings: Mapping[str, Embedding]) -> None:
        self.target.follow(self.encoder, self.projector)
        self.queue.push(keys_of(embeddings, symmetric=self.symmetric))
