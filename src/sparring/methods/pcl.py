"""Prototypical contrastive learning: MoCo's loss, and a query finds the centre of its image's cluster."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sparring.contracts import Embedding
from sparring.encoders import Encoder
from sparring.errors import InputError
from sparring.gather import gather, ranks
from sparring.methods.prototypes import Clustering
from sparring.methods.queued import Queued


class PCL(Queued):
    """InfoNCE of q1 with k2 against the queue, plus the mean of ProtoNCE over granularities; symmetric: with q2 and k1.

    The memory bank keeps each image's last key, of a clean view where a round has one; every so many steps it is
    clustered, and until then ProtoNCE is 0. Departures: the paper embeds the whole data set afresh each epoch, begins
    with 20 epochs of InfoNCE alone, and samples the prototypes that repel.

    Args, besides those of `MoCo`:
        image_count: number of images in the data set.
        temperature: also the mean concentration of the clusters.
        images_per_cluster: one number for each granularity (on average; the paper's: 51, 26, 13).
        every: steps between clusterings; 0 is as many as show each image once (the paper: one epoch).

    Source: Li et al. 2021, "Prototypical Contrastive Learning of Unsupervised Representations".
    """

    steps: Tensor
    bank: Tensor

    def __init__(
        self,
        encoder: Encoder,
        image_count: int,
        *,
        hidden: int = 512,
        projection: int = 128,
        temperature: float = 0.2,
        momentum: float = 0.99,
        queue: int = 4096,
        symmetric: bool = True,
        images_per_cluster: tuple[int, ...] = (200, 100, 50),
        every: int = 0,
    ) -> None:
        super().__init__(
            encoder,
            hidden=hidden,
            projection=projection,
            temperature=temperature,
            momentum=momentum,
            queue=queue,
            symmetric=symmetric,
        )
        if not images_per_cluster or every < 0 or min(images_per_cluster) < 1:
            raise InputError(f"pcl: expected 0 or more steps and at least 1 image, got {every=}, {images_per_cluster=}")
        self.every = every
        sizes = [max(2, image_count // images) for images in images_per_cluster]
        clusterings = [Clustering(image_count, size, projection, temperature) for size in sizes]
        self.clusterings = cast("Sequence[Clustering]", nn.ModuleList(clusterings))
        self.register_buffer("bank", torch.zeros(image_count, projection))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        forth = self._prototypes(first)
        prototypes = (forth + self._prototypes(second)) / 2 if self.symmetric else forth
        return super().compare(first, second) + prototypes

    def _prototypes(self, query: Embedding) -> Float[Tensor, " b"]:
        assert query.indices is not None
        losses = [clustering(query.projection, query.indices) for clustering in self.clusterings]
        return torch.stack(losses).mean(dim=0)

    def after_step(self, embeddings: Mapping[str, Embedding]) -> None:
        super().after_step(embeddings)
        first = next(iter(embeddings.values()))
        self._remember(first)
        self.steps.add_(1)
        epoch = max(1, len(self.bank) // (ranks() * len(first.features)))
        if int(self.steps) % (self.every or epoch) == 0:  # a sync, once a step
            for clustering in self.clusterings:
                clustering.fit(self.bank)

    @torch.no_grad()
    def _remember(self, embedding: Embedding) -> None:
        assert embedding.target is not None
        assert embedding.indices is not None
        indices = gather(embedding.indices)
        self.bank[indices] = F.normalize(gather(embedding.target)).to(self.bank.dtype)
