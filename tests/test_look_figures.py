"""What is said about an adversary's choices, and when an alarm is raised."""

import math
from dataclasses import replace

import pytest
import scipy.stats
import torch
from torch import Tensor

from sparring.adversaries import Learned, Random
from sparring.alarms import alarms, signs_of_collapse, state_of
from sparring.contracts import Adversary, Proposal, Turn
from sparring.encoders import resnet12
from sparring.learner import Learner
from sparring.looks import choices, described, hardness, together
from sparring.methods import simclr
from sparring.randomness import generator_for, seeded
from sparring.rounds import Batch, Outcome
from sparring.transforms import Jitter, Pixels, Rotation

DRAWS = 4


class Mixture(Adversary):
    """A share of each image's own angle, the rest drawn anew."""

    def __init__(self, own: float, noise: float) -> None:
        super().__init__(Rotation())
        self.own, self.noise = own, noise

    def propose(self, turn: Turn) -> Proposal:
        angles = torch.linspace(-1, 1, len(turn.images), dtype=turn.images.dtype)
        chance = 2 * torch.rand(len(angles), generator=turn.generator, dtype=turn.images.dtype) - 1
        return Proposal((self.own * angles + self.noise * chance)[:, None])


def make(adversary: Adversary) -> Learner:
    with seeded(0):
        return Learner(simclr(resnet12(width=0.0625), projection=8), adversary).double()


def batches(photographs: Tensor) -> list[Batch]:
    images = photographs.repeat(10, 1, 1, 1)
    views = {"first": images, "second": images.flip(3)}
    places = torch.arange(len(images))
    return [Batch(views, places, 0, 1.0, generator_for(0, draw, stream="adversary")) for draw in range(DRAWS)]


def test_variance_is_split_into_image_and_chance(photographs: Tensor) -> None:
    """Closed form: the variance of a uniform draw over [-a, a] is a^2 / 3."""
    for own, noise in ((0.5, 0.0), (0.0, 0.5), (0.3, 0.6)):
        found = choices(make(Mixture(own, noise)), batches(photographs))
        assert found["parameters/by_image"] == pytest.approx(own**2 / (own**2 + noise**2), abs=0.1)
        assert found["by_image/rotation/degrees"] == pytest.approx(found["parameters/by_image"], abs=1e-9)
        assert found["parameters/spread"] == pytest.approx(math.sqrt((own**2 + noise**2) / 3), rel=0.1)


def test_one_constant_for_all_has_no_spread_and_no_entropy(photographs: Tensor) -> None:
    with seeded(0):
        constant = Learned(Jitter(), features=32, reads="nothing")
    found = choices(make(constant), batches(photographs))
    assert {"parameters/spread", "parameters/entropy", "parameters/by_image", "by_image/jitter/hue"} <= found.keys()
    assert list(found.values()) == pytest.approx([0.0] * len(found), abs=1e-9)


def test_chance_fills_the_box(photographs: Tensor) -> None:
    found = choices(make(Random(Jitter())), batches(photographs))
    assert found["parameters/entropy"] > 0.98
    assert found["parameters/by_image"] < 0.1


def test_entropy_of_two_equal_bins_is_log_2(photographs: Tensor) -> None:
    class Coin(Adversary):
        def propose(self, turn: Turn) -> Proposal:
            return Proposal(torch.tensor([-0.5, 0.5]).double().repeat(len(turn.images) // 2)[:, None])

    found = choices(make(Coin(Rotation())), batches(photographs))
    assert found["parameters/entropy"] == pytest.approx(math.log(2) / math.log(20))


def test_a_stranger_is_another_images_view(photographs: Tensor) -> None:
    """By hand: the loss of each first view with the clean second view of the image before it."""
    learner = make(Random(Rotation()))
    views = {"first": photographs, "second": photographs.flip(3)}
    batch = Batch(views, torch.arange(len(photographs)), 0, 1.0, generator_for(0, 0))
    figures = hardness(learner, batch, torch.arange(len(photographs)) % 3)
    first, second = (learner.comparison.glance(view, batch.indices) for view in views.values())
    moved = replace(second, projection=torch.cat([second.projection[-1:], second.projection[:-1]]))
    assert figures["hardness/stranger"] == pytest.approx(learner.method.compare(first, moved).mean().item(), abs=1e-12)
    assert {"negatives/clean/false_weight", "negatives/adversary/false_weight"} <= figures.keys()


def test_players_are_held_against_their_transform_by_chance_and_against_the_view_itself(photographs: Tensor) -> None:
    with seeded(0):
        learner = make(Learned(Rotation(degrees=90), features=32))
    batch = batches(photographs)[0]
    first, second = batch.views.values()
    draws = generator_for(0, 0, stream="adversary")
    chance = 2 * torch.rand(len(second), 1, generator=draws).double() - 1
    seen = {"clean": second, "random": Rotation(degrees=90)(second, chance)}
    partner = learner.comparison.glance(first, batch.indices)
    figures = hardness(learner, batch)
    for who, view in seen.items():
        loss = learner.method.compare(partner, learner.comparison.glance(view, batch.indices)).mean()
        assert figures[f"hardness/{who}"] == pytest.approx(loss.item(), abs=1e-12)


def test_chance_is_held_against_no_chance(photographs: Tensor) -> None:
    """Its control would be itself, and it would be told from it by nothing but the draw."""
    learned, chance = (
        hardness(make(who), batches(photographs)[0]) for who in (Learned(Jitter(), features=32), Random(Jitter()))
    )
    assert learned.keys() - chance.keys() == {"hardness/random"}


@pytest.mark.parametrize(
    ("figures", "state"),
    [
        ({"adversary": 0.9, "random": 0.6, "clean": 0.5, "stranger": 2.0}, "alive"),
        ({"adversary": 0.5, "random": 0.6, "clean": 0.5, "stranger": 2.0}, "idle"),
        ({"adversary": 0.605, "random": 0.6, "clean": 0.5, "stranger": 2.0}, "dead"),
        ({"adversary": 1.9, "random": 0.6, "clean": 0.5, "stranger": 2.0}, "runaway"),
        ({"adversary": -0.1, "random": -0.8, "clean": -0.9, "stranger": 0.0}, "runaway"),
        ({"adversary": 0.9, "random": 0.6, "clean": 0.5, "stranger": 2.0, "lead_margin": 0.32}, "dead"),
        ({"adversary": 0.605, "random": 0.6, "clean": 0.5, "stranger": 2.0, "lead_margin": 0.004}, "alive"),
        ({"adversary": 1.0}, "alive"),
    ],
)
def test_states_of_an_adversary(figures: dict[str, float], state: str) -> None:
    assert state_of(figures) == state


def test_looks_at_several_batches_are_averaged_and_the_lead_has_a_margin() -> None:
    looks = [{"hardness/adversary": 1.0 + lead, "hardness/random": 1.0, "alignment": lead} for lead in (0.2, 0.4, 0.9)]
    assert together(looks) == pytest.approx(
        {
            "hardness/adversary": 1.5,
            "hardness/random": 1.0,
            "alignment": 0.5,
            "hardness/lead_margin": scipy.stats.t.ppf(0.975, 2) * (((0.3**2 + 0.1**2 + 0.4**2) / 2) / 3) ** 0.5,
        }
    )
    assert together(looks[:1]) == looks[0]
    broken = together([*looks, {**looks[0], "hardness/adversary": math.inf}])
    assert not math.isfinite(broken["hardness/lead_margin"])


def test_alarms_name_the_trouble_and_a_remedy() -> None:
    healthy = {"feature_spread": 0.9, "rankme": 30.0, "hardness/adversary": 0.9, "hardness/clean": 0.5}
    assert alarms(healthy, {}, against_chance=True) == {}
    collapsed = alarms({**healthy, "rankme": 1.5}, {}, against_chance=True)
    assert "RankMe is 1.5" in collapsed["collapsed"]
    assert "--learning-rate" in collapsed["collapsed"]
    idle = {**healthy, "hardness/adversary": 0.4}
    assert alarms(idle, {}, against_chance=True).keys() == {"idle"}
    assert alarms(idle, {}, against_chance=False) == {}


def test_features_as_narrow_as_an_untrained_encoders_have_not_collapsed() -> None:
    untrained = {"feature_spread": 0.2, "rankme": 4.0}
    assert signs_of_collapse(untrained, untrained) == []
    assert signs_of_collapse(untrained, {}) == ["feature spread is 0.20 (below 0.30)"]
    assert signs_of_collapse({"feature_spread": 0.09, "rankme": 1.9}, untrained) == [
        "feature spread is 0.09 (below 0.10, half the untrained encoder's)",
        "RankMe is 1.9 (below 2.0, half the untrained encoder's)",
    ]


def test_a_figure_and_its_limit_are_told_with_the_digits_that_differ() -> None:
    assert signs_of_collapse({"feature_spread": 0.1756, "rankme": 2.9999}, {"feature_spread": 0.3562}) == [
        "feature spread is 0.176 (below 0.178, half the untrained encoder's)",
        "RankMe is 2.9999 (below 3.0000)",
    ]


def test_parameters_of_views_of_two_sizes_are_described_together(photographs: Tensor) -> None:
    learner = make(Random(Pixels(eps=0.1)))
    params = {"first*": torch.full((12, 3, 16, 16), -0.5), "image*": torch.full((12, 3, 32, 32), 1.0)}
    outcome = Outcome(torch.zeros(()), torch.zeros(12), {}, params, {})
    found = described(learner, outcome, 1.0)
    assert found["adversary/pixels/mean_size"] == pytest.approx((0.05 + 0.1) / 2)
    assert found["spread/pixels/mean_size"] == pytest.approx(0.025)
