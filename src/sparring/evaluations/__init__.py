"""What frozen features are worth. A new evaluation is one file and one row."""

from collections.abc import Callable

from sparring.evaluations.collapse import collapse
from sparring.evaluations.features import extract, features_of
from sparring.evaluations.knn import Knn, knn_scores

EVALUATIONS: dict[str, Callable[..., object]] = {"collapse": collapse, "knn": Knn}

__all__ = ["EVALUATIONS", "Knn", "collapse", "extract", "features_of", "knn_scores"]
