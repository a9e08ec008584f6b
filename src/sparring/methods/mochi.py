"""MoCHi: MoCo with synthetic negatives, mixed from the hardest of the queue."""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.errors import InputError
from sparring.methods.contrast import against_queue, info_nce
from sparring.methods.heads import check_positive, two_layers
from sparring.methods.mixing import Mixing
from sparring.methods.momentum import Target
from sparring.methods.queue import Queue, keys_of


class MoCHi(Method):
    """MoCo whose negatives are the queue's and, per query, `pairs + queries` synthetic ones (see Mixing).

    Defaults have the paper's proportions (1024, 1024 and 128 of 16384) at MoCo's CIFAR-10 queue. Departure: no warm-up
    without synthetic negatives.

    Args:
        encoder: the backbone.
        hidden: width of the projector's hidden layer.
        projection: size of the projection.
        temperature: divides the cosine similarities.
        momentum: share of itself that the target keeps in each step.
        queue: number of real negatives.
        symmetric: both views are queries and keys; else the first is the query, the second the key.
        hardest: number of the queue's nearest keys that are mixed.
        pairs: number of mixtures of two of them.
        queries: number of mixtures of one of them with the query.

    Source: Kalantidis et al. 2020, "Hard Negative Mixing for Contrastive Learning".
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 512,
        projection: int = 128,
        temperature: float = 0.2,
        momentum: float = 0.99,
        queue: int = 4096,
        symmetric: bool = True,
        hardest: int = 256,
        pairs: int = 256,
        queries: int = 32,
    ) -> None:
        super().__init__()
        check_positive("mochi", "temperature", temperature)
        if hardest > queue:
            raise InputError(f"mochi: expected hardest to be at most the queue's {queue}, got {hardest}")
        self.encoder, self.temperature, self.symmetric = encoder, temperature, symmetric
        self.projector = two_layers(encoder.feature_size, hidden, projection, batch_norm=False)
        self.target = Target(self.encoder, self.projector, momentum=momentum)
        self.queue = Queue(queue, projection)
        self.mixing = Mixing(hardest=hardest, pairs=pairs, queries=queries)

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        features = self.encoder(images)
        return Embedding(features, self.projector(features), target=self.target(images))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        forth = self._find(first, second)
        return (forth + self._find(second, first)) / 2 if self.symmetric else forth

    def _find(self, query: Embedding, key: Embedding) -> Float[Tensor, " b"]:
        assert key.target is not None
        queue = self.queue.keys.clone()
        scores = against_queue(query.projection, key.target, queue, self.temperature)
        own = F.normalize(query.projection)
        synthetic = torch.einsum("bk,bsk->bs", own, self.mixing(own, queue)) / self.temperature
        return info_nce(replace(scores, negative=torch.cat([scores.negative, synthetic], dim=1)))

    def after_step(self, embeddings: Mapping[str, Embedding]) -> None:
        self.target.follow(self.encoder, self.projector)
        self.queue.push(keys_of(embeddings, symmetric=self.symmetric))
        self.mixing.redraw()
