"""Clusters of a memory bank of features, and how well an image finds its own."""

import warnings

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

SMOOTHING = 10.0
"""Of the concentrations of small clusters, as in the paper."""


def concentrations(
    distances: Float[Tensor, " n"], clusters: Int[Tensor, " n"], count: int, mean: float
) -> Float[Tensor, " c"]:
    """phi_c = sum of the distances to centre c / (Z log(Z + 10)) over its Z members, scaled to this mean over clusters.

    As in the paper's code: clusters of at most one member take the largest, and the range is cut at its 10th and
    90th percentile.
    """
    members = torch.bincount(clusters, minlength=count)
    total = distances.new_zeros(count).index_add_(0, clusters, distances)
    phi = total / (members.clamp(min=1) * (members + SMOOTHING).log())
    phi = torch.where(members > 1, phi, phi.where(members > 1, 0).max())
    phi = phi.clamp(phi.quantile(0.1), phi.quantile(0.9)).clamp(min=1e-6)
    return mean * phi / phi.mean()


class Clustering(nn.Module):
    """k-means clusters of a memory bank: ProtoNCE of an image with the centre of its own cluster.

    Args:
        images: number of images in the data set.
        clusters: number of clusters.
        width: length of a feature.
        temperature: mean concentration.
    """

    centres: Tensor
    phi: Tensor
    own: Tensor

    def __init__(self, images: int, clusters: int, width: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("centres", torch.zeros(clusters, width))
        self.register_buffer("phi", torch.ones(clusters))
        self.register_buffer("own", torch.full((images,), -1))

    def forward(self, query: Float[Tensor, "b k"], indices: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """-log softmax of q c / phi_c at the image's own cluster; 0 for images that have none yet."""
        logits = F.normalize(query) @ self.centres.clone().T / self.phi.clone()
        return F.cross_entropy(logits, self.own[indices], ignore_index=-1, reduction="none")

    @torch.no_grad()
    def fit(self, bank: Float[Tensor, "n k"]) -> None:
        """Cluster the rows that are not zero; too few of them leave all as it is."""
        filled = bank.norm(dim=1) > 0
        points = bank[filled]
        if len(points) < len(self.centres):
            return
        centres, clusters = k_means(points, len(self.centres))
        distances = (points - centres[clusters]).norm(dim=1)
        self.phi.copy_(concentrations(distances, clusters, len(centres), self.temperature))
        self.centres.copy_(F.normalize(centres))
        self.own.fill_(-1)[filled] = clusters


def k_means(points: Float[Tensor, "n k"], clusters: int) -> tuple[Float[Tensor, "c k"], Int[Tensor, " n"]]:
    """Centres, and each point's cluster; deterministic (scikit-learn's mini-batch k-means)."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    fit = MiniBatchKMeans(clusters, batch_size=4096, n_init=1, random_state=0)
    # one thread: sums in one order, and its threads and torch's wait for each other at great length on busy machines
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # a collapsed encoder has fewer distinct points
        own = fit.fit_predict(points.cpu().numpy())
    return torch.from_numpy(fit.cluster_centers_).to(points), torch.from_numpy(own).to(points.device).long()
