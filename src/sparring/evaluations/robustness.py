"""The linear probe on images that were changed to fool it, and on images changed by as much at random."""

from collections.abc import Callable
from copy import deepcopy

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from sparring.adversaries import Random, Search
from sparring.contracts import Adversary, ImageShape, Transform, Turn
from sparring.errors import InputError
from sparring.evaluations.confusion import percent_right
from sparring.evaluations.linear import ABSENT
from sparring.evaluations.subject import Inspection, Subject
from sparring.randomness import generator_for

BATCH = 250


class PixelsAround(Transform):
    """Pixels under L-inf around fixed images, whose projection also keeps every pixel in [0, 1].

    Unlike `Pixels`, which clamps the image afterwards, parameters never lead out of the range, where there is no
    gradient: the attack is exactly projected gradient ascent on the ball cut with the box.
    """

    def __init__(self, images: Float[Tensor, "b c h w"], eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.lowest, self.highest = (-images / eps).clamp(min=-1), ((1 - images) / eps).clamp(max=1)

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return image_shape

    def project(self, params: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        return params.clamp(self.lowest, self.highest)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return images + self.eps * params


def attacked(
    classifier: nn.Module,
    images: Float[Tensor, "b c h w"],
    labels: Int[Tensor, " b"],
    adversary: Callable[[Transform], Adversary],
    *,
    eps: float,
    generator: torch.Generator,
) -> Float[Tensor, "b c h w"]:
    """The images as an adversary changes them within `eps` so that the classifier's cross-entropy grows.

    Args:
        classifier: images in [0, 1] to logits, in evaluation mode; not changed.
        adversary: makes the adversary for a transform, such as `lambda transform: Search(transform, steps=20)`.
        eps: largest change of a pixel, in (0, 1].
    """
    around = PixelsAround(images, eps)
    named = int(labels.max()) + 1  # once: it waits for the device

    def hardness(params: Tensor, side: int = 0, running: bool = False) -> Tensor:
        logits = classifier(around(images, params))
        unseen = max(0, named - logits.shape[1])  # classes of which the probe has no image
        return F.cross_entropy(F.pad(logits, (0, unseen), value=ABSENT), labels, reduction="none")

    nothing = images.new_zeros(len(images), 0)
    places = torch.arange(len(images), device=images.device)
    turn = Turn(images, places, lambda: nothing, hardness, lambda: nothing, step=0, generator=generator)
    params = adversary(around).propose(turn).params
    return images if params is None else around(images, params).clamp(0, 1)


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
        if not (0 < eps <= 1 and 0 < step <= 1 and steps >= 1 and images >= 1):
            raise InputError(
                "robustness: expected eps and step in (0, 1] (8/255 = 0.0314), steps and images of at least 1, "
                f"got {eps}, {step}, {steps} and {images}"
            )
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
        players: dict[str, Callable[[Transform], Adversary]] = {"noise": Random, "pgd": self._search}
        right: dict[str, list[Tensor]] = {"clean": [], **{name: [] for name in players}}
        for number, (chunk, truth) in enumerate(zip(images.split(BATCH), labels.split(BATCH), strict=True)):
            versions = {"clean": chunk}
            for name, player in players.items():
                generator = generator_for(self.seed, number, 0, "robustness")
                versions[name] = attacked(classifier, chunk, truth, player, eps=self.eps, generator=generator)
            for name, version in versions.items():
                right[name].append(_recognised(classifier, version))
        return {f"robustness/{name}": percent_right(labels, torch.cat(each)) for name, each in right.items()}

    def _search(self, transform: Transform) -> Search:
        return Search(transform, steps=self.steps, step_size=self.step / self.eps)


@torch.no_grad()
def _recognised(classifier: nn.Module, images: Float[Tensor, "b c h w"]) -> Int[Tensor, " b"]:
    return classifier(images).argmax(dim=1)
