"""MoCo v2: a query finds its key, made by a momentum encoder, among a queue of older keys."""

from sparring.methods.queued import Queued
from sparring.methods.scores import info_nce


class MoCo(Queued):
    """InfoNCE of q1 (online) with k2 (target) against the queue; symmetric: the mean with q2 and k1.

    Departures: no shuffling of BatchNorm's batches between devices, and keys are computed for each view, used or not.
    Queue, momentum and temperature are those of the authors' CIFAR-10 demonstration, where the head is one layer and
    the loss one-sided unless asked; v2 on ImageNet: queue 65536, momentum 0.999, temperature 0.2. As nothing is added
    to the loss, it can be split into pull and push (`evaluations.negatives`).

    Args:
        hidden: width of the projector's hidden layer.
        projection: size of the projection.
        temperature: divides the cosine similarities.
        momentum: share of itself that the target keeps in each step.
        queue: number of negatives.
        symmetric: both views are queries and keys; else the first is the query, the second the key.

    Source: He et al. 2020, "Momentum Contrast"; Chen et al. 2020, "Improved Baselines with Momentum
    Contrastive Learning".
    """

    loss = staticmethod(info_nce)
    scores = Queued._scores
