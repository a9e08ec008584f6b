"""What frozen features are worth. A new evaluation is one file and one row.

An evaluation reads features of clean images; an `Inspection` also needs the encoder and the images, and a `Judge`
names a class for each image.
"""

from collections.abc import Callable

from sparring.evaluations.collapse import Collapse as Collapse
from sparring.evaluations.corruptions import CORRUPTIONS as CORRUPTIONS, Corruptions as Corruptions
from sparring.evaluations.features import extract as extract, features_of as features_of
from sparring.evaluations.few_shot import FewShot as FewShot
from sparring.evaluations.finetune import FineTune as FineTune
from sparring.evaluations.knn import Knn as Knn, knn_scores as knn_scores
from sparring.evaluations.lidar import Lidar as Lidar
from sparring.evaluations.linear import Linear as Linear
from sparring.evaluations.low_label import LowLabel as LowLabel
from sparring.evaluations.probe import Probe as Probe
from sparring.evaluations.robustness import Robustness as Robustness
from sparring.evaluations.subject import Inspection as Inspection, Judge as Judge, Subject as Subject

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
