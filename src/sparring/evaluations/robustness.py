"""The linear probe on images that were changed to fool it, and on images changed by as much at random."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from sparring.evaluations.confusion import percent_right
from sparring.evaluations.linear import ABSENT
from sparring.evaluations.subject import Inspection, Subject
from sparring.randomness import generator_for, uniform
from sparring.schema import TINY, check_range

BATCH = 250


@torch.enable_grad()
def attacked(
    classifier: nn.Module,
    images: Float[Tensor, "b c h w"],
    labels: Int[Tensor, " b"],
    *,
    eps: float,
    step: float,
    steps: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
    """The images under uniform noise, and where projected gradient ascent on the cross-entropy leads from there.

    Both stay within `eps` of the images and in [0, 1]: the projection is onto the ball cut with the box.

    Args:
        classifier: images in [0, 1] to logits, in evaluation mode; not changed.
        eps, step: largest change of a pixel, and that of one step.
    """
    lowest, highest = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    noisy = (images + eps * (2 * uniform(images.shape, generator, images) - 1)).clamp(0, 1)
    moved, named = noisy, int(labels.max()) + 1  # once: it waits for the device
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        logits = classifier(moved)
        unseen = max(0, named - logits.shape[1])  # classes of which the probe has no image
        loss = F.cross_entropy(F.pad(logits, (0, unseen), value=ABSENT), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = (moved.detach() + step * gradient.sign()).clamp(lowest, highest)
    return noisy, moved


class Robustness(Inspection):
    """Percent of test images that the linear probe recognises: clean, under uniform noise, and under PGD, in L-inf.

    PGD starts at a uniform draw, so at the noise that it is held against.

    Args:
        eps: largest change of a pixel, in units of [0, 1].
        steps: of gradient ascent on the cross-entropy.
        step: length of a step, in units of [0, 1].
        images: how many test images, evenly spread.
        seed: decides the noise and the start.

    Source: Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks": 20 steps of 2/255
    for CIFAR-10.
    """

    def __init__(
        self, *, eps: float = 8 / 255, steps: int = 20, step: float = 2 / 255, images: int = 1000, seed: int = 0
    ) -> None:
        for name, length in {"eps": eps, "step": step}.items():
            check_range(f"robustness: {name} (8/255 = 0.0314)", length, TINY, 1)
        check_range("robustness: steps", steps, 1)
        check_range("robustness: images", images, 1)
        self.eps, self.steps, self.step, self.images, self.seed = eps, steps, step, images, seed

    def __call__(self, subject: Subject) -> dict[str, float]:
        pixels, labels = subject.sample(self.images)
        if labels is None or not subject.labelled:
            return {}
        classifier = nn.Sequential(subject.encoder, deepcopy(subject.probe.head).to(subject.device)).eval()
        return self.figures(classifier, pixels.to(subject.device).float() / 255, labels.to(subject.device))

    def figures(
        self, classifier: nn.Module, images: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"]
    ) -> dict[str, float]:
        """Accuracies of any classifier of images in [0, 1], in evaluation mode."""
        right: dict[str, list[Tensor]] = {"clean": [], "noise": [], "pgd": []}
        for number, (chunk, truth) in enumerate(zip(images.split(BATCH), labels.split(BATCH), strict=True)):
            draws = generator_for(self.seed, number, 0, "robustness")
            noisy, moved = attacked(
                classifier, chunk, truth, eps=self.eps, step=self.step, steps=self.steps, generator=draws
            )
            for name, version in {"clean": chunk, "noise": noisy, "pgd": moved}.items():
                right[name].append(_recognised(classifier, version))
        return {f"robustness/{name}": percent_right(labels, torch.cat(each)) for name, each in right.items()}


@torch.no_grad()
def _recognised(classifier: nn.Module, images: Float[Tensor, "b c h w"]) -> Int[Tensor, " b"]:
    return classifier(images).argmax(dim=1)
