"""How many directions tell images apart from views of the same image."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.evaluations.collapse import alignment, effective_rank
from sparring.evaluations.subject import Inspection, Subject
from sparring.randomness import generator_for
from sparring.schema import check_range
from sparring.views import as_bytes, base_view

RIDGE = 1e-4
"""Added to the diagonal of the within-image covariance; public implementations differ, from 1e-4 to 1e-6."""


def lidar(views: Float[Tensor, "n q d"]) -> Float[Tensor, ""]:
    """LiDAR of q views of each of n images: the effective rank of W^-1/2 B W^-1/2, between 1 and d.

    B is the covariance of the images' means (n - 1), W that of views around their image's mean (n (q - 1)) plus
    1e-4 on its diagonal. Computed in float64.

    Source: Thilak et al. 2023, "LiDAR: Sensing Linear Probing Performance in Joint Embedding SSL Architectures",
    which reads the method's projections; here it reads the encoder's features, all that a finished run keeps.
    """
    views = views.double()
    n, q, d = views.shape
    means = views.mean(dim=1)
    apart, around = means - means.mean(dim=0), (views - means[:, None]).flatten(0, 1)
    within = around.T @ around / (n * (q - 1)) + RIDGE * torch.eye(d).to(views)
    # the generalised eigenvalues of (B, W) by a Cholesky factor: those of L^-1 B L^-T, and cheaper than a root
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(within), apart.T, upper=False)
    return effective_rank(torch.linalg.svdvals(whitened).square())


class Lidar(Inspection):
    """LiDAR, and alignment, over random base views of test images, as the run was trained on; needs no labels.

    Args:
        images: how many test images, evenly spread.
        views: of each image.
        seed: decides the views.

    Source: Thilak et al. 2023 (LiDAR, with 50 views of 1,000 images); Wang and Isola 2020 (alignment).
    """

    def __init__(self, *, images: int = 1000, views: int = 10, seed: int = 0) -> None:
        check_range("lidar: images", images, 2)
        check_range("lidar: views", views, 2)
        self.images, self.views, self.seed = images, views, seed

    def __call__(self, subject: Subject) -> dict[str, float]:
        pixels, _ = subject.sample(self.images)
        found = []
        for number in range(self.views):
            view = base_view(pixels, subject.views, generator_for(self.seed, number, 0, "lidar"))
            found.append(subject.extract(as_bytes(view)))
        features = torch.stack(found, dim=1)
        return {"lidar": lidar(features).item(), "alignment": alignment(features[:, 0], features[:, 1]).item()}
