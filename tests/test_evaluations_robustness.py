"""PGD against foolbox; corruptions against Pillow, scikit-learn's neighbours and closed forms."""

import colorsys
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from sparring.errors import InputError
from sparring.evaluations import CORRUPTIONS, Corruptions, Robustness
from sparring.evaluations.corruptions import corrupt, defocus_blur, gaussian_blur
from sparring.evaluations.robustness import attacked
from sparring.randomness import generator_for

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # foolbox imports from a name that scipy is leaving
    import foolbox

EPS, STEP, STEPS = 8 / 255, 2 / 255, 20
PGD = {"eps": EPS, "step": STEP, "steps": STEPS}


@pytest.fixture(scope="module")
def classifier() -> nn.Module:
    """A small smooth network in float64, so that no sign hangs on rounding."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 8, 5, stride=3), nn.Tanh(), nn.Conv2d(8, 8, 3, stride=2), nn.Tanh(), nn.Flatten()
        return nn.Sequential(*layers, nn.Linear(128, 10)).double().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def ready(classifier: nn.Module, photographs: Tensor) -> tuple[nn.Module, Tensor, Tensor]:
    """With labels that the classifier gives, on photographs with many pixels at the ends of the range."""
    images = (1.6 * photographs - 0.3).clamp(0, 1)
    return classifier, images, classifier(images).argmax(dim=1)


class StartedAt(foolbox.attacks.LinfPGD):
    """foolbox's PGD from a given start."""

    start: Tensor

    def get_random_start(self, x0, epsilon):
        return type(x0)(self.start)


def test_pgd_makes_the_images_that_foolbox_makes(ready: tuple[nn.Module, Tensor, Tensor]) -> None:
    classifier, images, labels = ready
    assert ((images < EPS) | (images > 1 - EPS)).double().mean() > 0.2
    noisy, ours = attacked(classifier, images, labels, **PGD, generator=generator_for(0, 0))
    theirs = StartedAt(abs_stepsize=STEP, steps=STEPS, random_start=True)
    theirs.start = noisy
    made, _, _ = theirs(foolbox.PyTorchModel(classifier, bounds=(0, 1)), images, labels, epsilons=EPS)
    assert (ours - made).abs().max() < 1e-5
    assert (ours - noisy).abs().max() > STEP  # they went somewhere


def test_pgd_stays_in_its_ball_and_beats_noise_which_beats_nothing(ready: tuple[nn.Module, Tensor, Tensor]) -> None:
    classifier, images, labels = ready
    versions = images, *attacked(classifier, images, labels, **PGD, generator=generator_for(0, 0))
    for version in versions:
        assert (version - images).abs().max() <= EPS + 1e-12
        assert version.min() >= 0
        assert version.max() <= 1
    clean, noisy, found = (F.cross_entropy(classifier(version), labels).item() for version in versions)
    assert found > max(noisy, clean)


def test_images_of_a_class_that_the_probe_does_not_know_are_attacked_too(
    ready: tuple[nn.Module, Tensor, Tensor],
) -> None:
    classifier, images, labels = ready
    made = [
        attacked(classifier, images, beyond, **PGD, generator=generator_for(0, 0))[1]
        for beyond in (labels, torch.cat([labels[:-1], torch.tensor([10])]))
    ]
    assert torch.equal(made[0][:-1], made[1][:-1])
    assert made[1][-1].isfinite().all()
    assert (made[1][-1] - images[-1]).abs().max() <= EPS + 1e-9


def test_figures_are_accuracies_of_the_attacked_images(ready: tuple[nn.Module, Tensor, Tensor]) -> None:
    classifier, images, labels = ready
    figures = Robustness(eps=0.2, step=0.05).figures(classifier, images, labels)
    assert figures.keys() == {"robustness/clean", "robustness/noise", "robustness/pgd"}
    assert figures["robustness/clean"] == 100
    assert figures["robustness/pgd"] < figures["robustness/noise"] <= 100
    wrong = Robustness().figures(classifier, images, (labels + 1) % 10)
    assert wrong["robustness/clean"] == 0
    with pytest.raises(InputError, match=r"8/255"):
        Robustness(eps=8)


def test_an_attack_has_its_bound_and_its_steps_in_units_of_pixels(ready: tuple[nn.Module, Tensor, Tensor]) -> None:
    """The last images that the classifier sees, after three steps and two versions, are those of PGD."""
    classifier, images, labels = ready
    seen: list[Tensor] = []
    hook = classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    Robustness(eps=0.1, step=0.02, steps=3, seed=4).figures(classifier, images, labels)
    hook.remove()
    draws = generator_for(4, 0, 0, "robustness")
    _, found = attacked(classifier, images, labels, eps=0.1, step=0.02, steps=3, generator=draws)
    assert torch.equal(seen[-1], found)
    assert len(seen) == 3 + 3


@pytest.fixture(scope="module")
def pixels(photographs: Tensor) -> Tensor:
    return (255 * photographs).round().to(torch.uint8)


def corrupted(pixels: Tensor, name: str, severity: int) -> Tensor:
    return corrupt(pixels, name, severity, generator_for(0, severity, 0, name))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_worse_severity_is_farther_from_the_original(name: str, pixels: Tensor) -> None:
    distances = [(corrupted(pixels, name, s).double() - pixels).square().mean().item() for s in range(1, 6)]
    assert distances == sorted(distances)
    assert 0 < distances[0] < distances[-1]
    assert torch.equal(corrupted(pixels, name, 3), corrupted(pixels, name, 3))


def test_noises_have_the_moments_they_are_named_for() -> None:
    grey = torch.full((40, 3, 32, 32), 102, dtype=torch.uint8)  # 0.4
    n = grey.numel()
    gaussian, shot, impulse = (
        corrupted(grey, name, 5).double() / 255 for name in ("gaussian_noise", "shot_noise", "impulse_noise")
    )
    # a sample variance's relative error is about the root of 2/n; rounding to bytes adds (1/255)^2 / 12
    assert gaussian.var().item() == pytest.approx(0.1**2, rel=5 * (2 / n) ** 0.5)
    assert shot.var().item() == pytest.approx(0.4 / 50, rel=0.02)
    assert shot.mean().item() == pytest.approx(0.4, abs=5 * (0.4 / 50 / n) ** 0.5)
    for value in (0.0, 1.0):
        assert (impulse == value).double().mean().item() == pytest.approx(0.035, abs=5 * (0.035 / n) ** 0.5)
    assert ((impulse > 0) & (impulse < 1)).double().mean().item() == pytest.approx(0.93, abs=0.005)


def each_with_pillow(pixels: Tensor, change) -> Tensor:
    pictures = [change(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in pixels]
    return torch.stack([torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) for picture in pictures])


@pytest.mark.parametrize(("severity", "share"), [(1, 0.95), (3, 0.85), (5, 0.65)])
def test_pixelate_is_pillows_box_filter_twice(severity: int, share: float, pixels: Tensor) -> None:
    small, box = (int(32 * share),) * 2, Image.Resampling.BOX
    theirs = each_with_pillow(pixels, lambda picture: picture.resize(small, box).resize((32, 32), box))
    assert (corrupted(pixels, "pixelate", severity).int() - theirs.int()).abs().max() <= 1  # it rounds in between


def test_jpeg_loses_detail_and_keeps_means(pixels: Tensor) -> None:
    """Wrong channels or places would show: the image stays nearer to itself than to any other or to its mirror."""
    ours = corrupted(pixels, "jpeg", 5).float()
    distances = torch.cdist(ours.flatten(1), torch.cat([pixels, pixels.flip(1), pixels.flip(3)]).flatten(1).float())
    assert torch.equal(distances.argmin(dim=1), torch.arange(len(pixels)))
    assert (ours.mean(dim=(2, 3)) - pixels.float().mean(dim=(2, 3))).abs().max() < 3


def test_brightness_adds_to_the_value_of_hsv(pixels: Tensor) -> None:
    pixels = torch.cat([pixels[:2], torch.zeros_like(pixels[:1])])
    ours = corrupted(pixels, "brightness", 4)
    for image, result in zip(pixels, ours, strict=True):
        for place in range(0, 1024, 37):
            h, s, v = colorsys.rgb_to_hsv(*(image.flatten(1)[:, place].double() / 255).tolist())
            expected = colorsys.hsv_to_rgb(h, s, min(1, v + 0.2))
            assert (result.flatten(1)[:, place].double() / 255).tolist() == pytest.approx(expected, abs=0.003)


def test_contrast_shrinks_deviations_and_keeps_means(pixels: Tensor) -> None:
    ours, theirs = corrupted(pixels, "contrast", 5).double(), pixels.double()
    assert (ours.mean(dim=(2, 3)) - theirs.mean(dim=(2, 3))).abs().max() < 0.1
    assert torch.allclose(ours.std(dim=(2, 3)), 0.15 * theirs.std(dim=(2, 3)), atol=0.3)


def test_blurs_of_a_point_are_their_kernels() -> None:
    """A disk of radius 1 is five pixels, one of radius 1.5 nine; a Gaussian's variance is its width's square."""
    point = torch.zeros(1, 3, 33, 33)
    point[:, :, 16, 16] = 1
    generator = torch.Generator()
    plus, square = (defocus_blur(point, c, generator)[0, 0] for c in ((1, 0.2), (1.5, 0.1)))
    assert (plus > 0.19).sum() == 5
    assert square[15:18, 15:18].flatten().tolist() == pytest.approx([1 / 9] * 9, abs=1e-4)
    gaussian = gaussian_blur(point, 1.0, generator)[0, 0]
    places = torch.arange(33.0) - 16
    assert gaussian.sum().item() == pytest.approx(1, abs=1e-5)
    assert (gaussian.sum(dim=0) * places**2).sum().item() == pytest.approx(1, rel=0.01)
    assert (gaussian.sum(dim=1) * places**2).sum().item() == pytest.approx(1, rel=0.01)


def test_the_mean_over_corruptions_and_severities_is_one_figure(pixels: Tensor) -> None:
    seen = []

    def accuracy(changed: Tensor) -> float:
        seen.append(changed)
        return float(len(seen))

    figures = Corruptions().figures(pixels, accuracy)
    assert len(seen) == 5 * len(CORRUPTIONS)
    assert figures["corruptions"] == pytest.approx((1 + len(seen)) / 2)
    assert figures["corruptions/shot_noise"] == pytest.approx(8)  # the second five of 1, 2, 3, ...
    assert figures["corruptions/gaussian_noise/5"] == 5
