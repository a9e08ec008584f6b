"""Features laid out in two dimensions."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float, Int

from sparring.errors import InputError

Layout = Callable[[Float[np.ndarray, "n d"], Int[np.ndarray, " m"]], tuple[Float[np.ndarray, "m 2"], str]]
"""All features and the places of those to draw, to their coordinates and what these are."""


def principal(features: Float[np.ndarray, "n d"], drawn: Int[np.ndarray, " m"]) -> tuple[Float[np.ndarray, "m 2"], str]:
    """The first two principal components, those of all features."""
    centred = (features - features.mean(axis=0)).astype(np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    share = variances[-2:].sum() / max(variances.sum(), 1e-12)
    words = f"first two principal components ({100 * share:.0f} % of variance)"
    return centred[drawn] @ directions[:, [-1, -2]], words


def tsne(features: Float[np.ndarray, "n d"], drawn: Int[np.ndarray, " m"]) -> tuple[Float[np.ndarray, "m 2"], str]:
    """t-SNE (van der Maaten and Hinton 2008), scikit-learn's."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(drawn) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(features[drawn]), "t-SNE"


def umap(features: Float[np.ndarray, "n d"], drawn: Int[np.ndarray, " m"]) -> tuple[Float[np.ndarray, "m 2"], str]:
    """UMAP (McInnes et al. 2018), umap-learn's."""
    from umap import UMAP

    neighbours, threads = min(15, len(drawn) - 1), torch.get_num_threads()
    start = principal(features, drawn)[0]  # its spectral start fails on few points
    try:
        places = UMAP(n_neighbors=neighbours, init=start, random_state=0, n_jobs=1).fit_transform(features[drawn])
    finally:
        torch.set_num_threads(threads)  # numba gives the whole process as many as there are cores
    return places, "UMAP"


LAYOUTS: dict[str, Layout] = {"pca": principal, "tsne": tsne, "umap": umap}


def check_layout(name: str) -> None:
    """Refuse a layout whose library is not installed."""
    if name == "umap" and find_spec("umap") is None:
        raise InputError("--projection umap: expected umap-learn, found none; pip install 'sparring[umap]'")
