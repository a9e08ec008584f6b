"""What frozen features are worth. A new evaluation is one file and one row.

An evaluation reads features of clean images; an `Inspection` also needs the encoder and the images.
"""

from collections.abc import Callable

from sparring.evaluations.collapse import Collapse
from sparring.evaluations.corruptions import CORRUPTIONS, Corruptions
from sparring.evaluations.features import extract, features_of
from sparring.evaluations.few_shot import FewShot
from sparring.evaluations.finetune import FineTune
from sparring.evaluations.knn import Knn, knn_scores
from sparring.evaluations.lidar import Lidar
from sparring.evaluations.linear import Linear, Probe
from sparring.evaluations.low_label import LowLabel
from sparring.evaluations.robustness import Robustness
from sparring.evaluations.subject import Inspection, Subject

EVALUATIONS: dict[str, Callable[..., Callable[..., dict[str, float]]]] = {
    "collapse": Collapse,
    "knn": Knn,
    "linear": Linear,
    "low_label": LowLabel,
    "few_shot": FewShot,
    "robustness": Robustness,
    "corruptions": Corruptions,
    "lidar": Lidar,
    "finetune": FineTune,
}

__all__ = [
    "CORRUPTIONS",
    "EVALUATIONS",
    "Collapse",
    "Corruptions",
    "FewShot",
    "FineTune",
    "Inspection",
    "Knn",
    "Lidar",
    "Linear",
    "LowLabel",
    "Probe",
    "Robustness",
    "Subject",
    "extract",
    "features_of",
    "knn_scores",
]
