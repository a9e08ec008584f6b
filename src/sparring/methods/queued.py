"""The family of methods that find a query's key among older keys, made by a momentum encoder."""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.errors import InputError
from sparring.gather import gather
from sparring.methods.heads import two_layers
from sparring.methods.mixing import Mixing
from sparring.methods.momentum import Target
from sparring.methods.scores import Scores, against_queue, info_nce, joined
from sparring.schema import check_range


class Queue(nn.Module):
    """The newest `size` normalised keys, newest first; random directions (torch's generator) at first.

    Each rank enters the keys of all ranks in the order of the ranks, so the queue is equal everywhere.

    Args:
        size: number of keys.
        width: length of a key.
    """

    keys: Tensor
    images: Tensor
    """Whose keys they are, by place in the data set; -1 at first."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        if size < 1:
            raise InputError(f"queue: expected at least 1 key, got {size}")
        self.register_buffer("keys", F.normalize(torch.randn(size, width)))
        self.register_buffer("images", torch.full((size,), -1))

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "b k"], images: Int[Tensor, " b"]) -> None:
        """Enter keys; the oldest leave."""
        new = gather(F.normalize(keys.detach())).to(self.keys.dtype)
        self.keys.copy_(torch.cat([new, self.keys])[: len(self.keys)])
        self.images.copy_(torch.cat([gather(images), self.images])[: len(self.images)])


def keys_of(embeddings: Mapping[str, Embedding], *, symmetric: bool) -> Float[Tensor, "n k"]:
    """The targets that a step enters: of all its views if each was a key, else of the second view, hardened or not.

    Where no second view is compared: of all but the first, the query.
    """
    keys = {view: embedding.target for view, embedding in embeddings.items() if embedding.target is not None}
    seconds = [key for view, key in keys.items() if view.startswith("second")]
    seconds = seconds or [key for view, key in keys.items() if not view.startswith("first")]
    return torch.cat(list(keys.values()) if symmetric or not seconds else seconds)


class Queued(Method):
    """InfoNCE of q1 (online) with k2 (target) against the queue; symmetric: the mean with q2 and k1.

    The queue enters the keys of all views of a step if symmetric, else of the second view (hardened, if it was). An
    image's own older keys are no negatives of it; the papers keep them.

    Args: as `MoCo`.
    """

    mixing: Mixing | None
    """Makes each query further negatives of the queue's."""

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
        check_range("temperature", temperature, 1e-3)
        self.encoder, self.temperature, self.symmetric = encoder, temperature, symmetric
        self.projector = two_layers(encoder.feature_size, hidden, projection, batch_norm=False)
        self.target = Target(self.encoder, self.projector, momentum=momentum)
        self.queue, self.mixing = Queue(queue, projection), None

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        features = self.encoder(images)
        return Embedding(features, self.projector(features), target=self.target(images))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        return info_nce(self._scores(first, second)).view(-1, len(first.projection)).mean(dim=0)

    def _scores(self, first: Embedding, second: Embedding) -> Scores:
        """Of the first views as queries, then, if symmetric, of the second."""
        forth = self._find(first, second)
        return joined(forth, self._find(second, first)) if self.symmetric else forth

    def _find(self, query: Embedding, key: Embedding) -> Scores:
        assert key.target is not None
        assert query.indices is not None
        queue = self.queue.keys.clone()  # a copy: the queue may move on before the backward pass
        own = query.indices[:, None] == self.queue.images
        scores = against_queue(query.projection, key.target, queue, own, self.temperature)
        if self.mixing is None:
            return scores
        anchors = F.normalize(query.projection)
        synthetic = torch.einsum("bk,bsk->bs", anchors, self.mixing(anchors, queue, own)) / self.temperature
        return replace(scores, negative=torch.cat([scores.negative, synthetic], dim=1))

    def after_step(self, embeddings: Mapping[str, Embedding]) -> None:
        self.target.follow(self.encoder, self.projector)
        keys = keys_of(embeddings, symmetric=self.symmetric)
        places = next(iter(embeddings.values())).indices
        assert places is not None
        self.queue.push(keys, places.repeat(len(keys) // len(places)))  # view by view, in the order of the images
        if self.mixing is not None:
            self.mixing.redraw()
