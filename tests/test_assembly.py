"""A recipe's parts are tried on a round before they train, and a part that breaks its contract is named."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import CONTEXT
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import sparring
from sparring.adversaries import ADVERSARIES, Learned, Random
from sparring.adversaries.chance import Chance
from sparring.assembly import build_learner
from sparring.contracts import Penalty, Proposal, Transform, Turn
from sparring.datasets import Images
from sparring.encoders import ENCODERS, HALF, Encoder, resnet12
from sparring.errors import InputError
from sparring.looks import hard_views
from sparring.part import tabled
from sparring.parts import TABLES, build, load_parts, resolved, settings_of
from sparring.randomness import generator_for, seeded
from sparring.recipe import PARTS, Part, Recipe
from sparring.rounds import Batch
from sparring.transforms import TRANSFORMS, Jitter, Rotation

SMALL = Part("resnet12", {"width": 0.0625})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": Part("simclr", {"encoder": "resnet18"})}, "unknown setting of method simclr 'encoder'"),
        ({"adversary": Part("random", {"transform": "rotation"})}, "expected its transform beside it"),
        ({"penalties": (Part("teacher", {"encoder": "resnet18"}),)}, "unknown setting of penalty teacher 'encoder'"),
    ],
)
def test_what_the_builder_fills_in_is_no_setting(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build_learner(Recipe(encoder=SMALL, **settings), CONTEXT)


@pytest.mark.parametrize("adversary", ["learned", "generator", "free"])
def test_parameters_may_have_the_shape_of_images_that_are_not_square(adversary: str) -> None:
    recipe = Recipe(encoder=SMALL, adversary=Part(adversary), transform=Part("pixels"))
    learner = build_learner(recipe, {**CONTEXT, "image_shape": (3, 24, 32)})
    views = {name: torch.rand(4, 3, 24, 32) for name in ("first", "second")}
    outcome = learner(Batch(views, torch.arange(4), 0, 1.0, generator_for(0, 0)))
    assert outcome.params["second*"].shape == (4, 3, 24, 32)


class Bytes(Jitter):
    def forward(self, images: Any, params: Any) -> Any:
        return 255 * images


class Corner(Jitter):
    def forward(self, images: Any, params: Any) -> Any:
        return images[:, :, :16, :16]


class Wide(Jitter):
    def forward(self, images: Any, params: Any) -> Any:
        return images.double()


class Holes(Jitter):
    def forward(self, images: Any, params: Any) -> Any:
        return images.log().sqrt()


class Nothing(Jitter):
    def forward(self, images: Any, params: Any) -> Any:
        return None


class Lighter(Jitter):
    def forward(self, images: Any, params: Any) -> Any:
        return (images + 0.1).clamp(0, 1)


class Unit(Jitter):
    def forward(self, images: Any, params: Any) -> Any:
        return images * (params / params.norm(dim=1, keepdim=True)).abs().amax(dim=1)[:, None, None, None]


class Outside(Chance):
    def propose(self, turn: Turn) -> Any:
        return Proposal(3 + self.transform.sample(turn.images, turn.generator))


class Few(Chance):
    def propose(self, turn: Turn) -> Any:
        return Proposal(self.transform.sample(turn.images, turn.generator)[:, :1])


class Bare(Chance):
    def propose(self, turn: Turn) -> Any:
        return self.transform.sample(turn.images, turn.generator)


class Whole(Jitter):
    def parameter_shape(self, image_shape: Any) -> Any:
        return 4


def short() -> Any:
    return Encoder(resnet12(width=0.0625).backbone, 7, HALF)


class Mean(Penalty):
    def __init__(self) -> None:
        super().__init__(1.0)

    def forward(self, move: Any) -> Any:
        return move.hard.mean()


class Reward(Mean):
    def forward(self, move: Any) -> Any:
        return -move.hard.mean(dim=(1, 2, 3))


BROKEN = {
    "bytes": ("transform", Bytes, r"transform own: expected images in \[0, 1\], got values from .* to 25\d"),
    "another size": ("transform", Corner, r"expected images of shape .*32, 32\) in .*, got shape .*16, 16\)"),
    "another type": ("transform", Wide, r"got shape \(4, 3, 32, 32\) in torch.float64"),
    "not a number": ("transform", Holes, "transform own: expected images .* got values from nan"),
    "nothing": ("transform", Nothing, "got NoneType"),
    "no identity": ("transform", Lighter, r"expected parameters of 0 to leave .*, got a change of up to 0\.1; "),
    "an instance": ("transform", Jitter(), "transform own: expected a class or a function .*, got an instance"),
    "no transform": ("transform", torch.nn.Flatten, "transform own: expected a Transform, got Flatten"),
    "a number for a shape": ("transform", Whole, r"own: expected parameter_shape to return a tuple, .*, got 4"),
    "no encoder": ("encoder", torch.nn.Flatten, "encoder own: expected an Encoder, got Flatten"),
    "short features": (
        "encoder",
        short,
        r"encoder own: expected features of shape \(4, 7\), as its feature_size says, got shape \(4, 32\)",
    ),
    "outside the box": ("adversary", Outside, r"adversary own: expected parameters in \[-1, 1\], got values"),
    "too few": ("adversary", Few, r"expected parameters of shape \(4, 4\) in torch.float32, got shape \(4, 1\)"),
    "no proposal": ("adversary", Bare, "adversary own: expected propose to return a Proposal, got shape"),
    "no number at zero": ("transform", Unit, "expected parameters of 0 to leave .*, got a change of up to nan"),
    "a cost below 0": ("penalty", Reward, r"penalty own: expected a cost of at least 0, got -0\."),
    "one cost for all": ("penalty", Mean, r"penalty own: expected a cost for each of 4 images, got shape \(\)"),
}


@pytest.mark.parametrize(("kind", "part", "message"), BROKEN.values(), ids=BROKEN)
def test_a_part_that_breaks_its_contract_is_named(
    kind: str, part: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TABLES[kind], "own", part)
    named = {"penalties": (Part("own"),)} if kind == "penalty" else {kind: Part("own")}
    recipe = Recipe(**{"encoder": SMALL, "adversary": Part("random"), "transform": Part("jitter"), **named})
    with pytest.raises(InputError, match=message):
        build_learner(recipe, CONTEXT)


@pytest.mark.parametrize("adversary", ["search", "learned", "free", "best_of"])
def test_trying_the_parts_changes_nothing(adversary: str) -> None:
    penalties = (Part("colour_distance", {"budget": 0.1}),)
    recipe = Recipe(encoder=SMALL, adversary=Part(adversary), penalties=penalties)
    states = []
    for tried in (True, False):
        with seeded(0):
            learner = build_learner(recipe, CONTEXT, tried=tried)
        assert learner.meter.take().units == 0
        states.append(learner.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_what_cannot_be_played_is_one_line() -> None:
    recipe = Recipe(encoder=SMALL, adversary=Part("best_of", {"side": 8}))
    with pytest.raises(InputError, match=r"resnet12, colour, best_of: a round cannot be played; .* too small"):
        build_learner(recipe, CONTEXT)


def test_two_images_are_enough_to_try() -> None:
    for method, adversary in (("simclr", "free"), ("supcon", "search"), ("pcl", "best_of")):
        context = {**CONTEXT, "image_count": 2, "labels": torch.tensor([0, 1])}
        build_learner(Recipe(encoder=SMALL, method=Part(method), adversary=Part(adversary)), context)


def test_a_memory_of_images_is_refused_where_some_steps_would_leave_it_alone_on_several_processes() -> None:
    recipe = Recipe(encoder=SMALL, adversary=Part("free"), transform=Part("pixels"), devices=2, ramp=1.0)
    with pytest.raises(InputError, match=r"adversary free: expected one process, or a strength above 0 .* ramp = 1"):
        build_learner(recipe, CONTEXT)
    for change in ({"devices": 1}, {"ramp": 0.0}):
        build_learner(replace(recipe, **change), CONTEXT)


def test_without_an_adversary_any_strength_will_do() -> None:
    grey = Part("colour", {"space": "softmax"})
    recipe = Recipe(encoder=SMALL, adversary=Part("none"), transform=grey, ramp=1.0)
    build_learner(recipe, CONTEXT)
    with pytest.raises(InputError, match="strength, ramp"):
        build_learner(replace(recipe, adversary=Part("random")), CONTEXT)


def test_parameters_that_are_no_numbers_are_refused_where_pytorch_would_crash() -> None:
    """grid_sample's gradient on processors writes outside of its memory for coordinates that are NaN."""
    adversary, features = Learned(Rotation(), features=8), torch.randn(64, 8)
    features[0, 0] = torch.nan
    with pytest.raises(InputError, match="expected finite parameters"):
        adversary(torch.rand(64, 3, 32, 32), features)


@pytest.mark.parametrize("name", ["rotation", "translation", "affine", "crop", "perspective", "thin_plate"])
def test_every_geometric_transform_refuses_what_is_no_number(name: str) -> None:
    transform, images = TRANSFORMS[name](), torch.rand(2, 3, 32, 32)
    for value in (torch.nan, torch.inf):
        params = torch.zeros(2, *transform.parameter_shape((3, 32, 32)))
        params[1] = value
        with pytest.raises(InputError, match="expected finite parameters"):
            transform(images, params)


def test_chance_in_a_loop_of_ones_own_draws_from_the_box() -> None:
    images, transform = torch.rand(3, 3, 32, 32), Rotation()
    draws = [torch.Generator().manual_seed(0) for _ in range(2)]
    expected = transform(images, transform.sample(images, draws[0]))
    assert torch.equal(Random(transform)(images, generator=draws[1]), expected)


def test_a_penalty_is_told_in_the_outcome(photographs: Tensor) -> None:
    images = photographs.float()
    batch = Batch({"first": images, "second": images.flip(3)}, torch.arange(12), 0, 1.0, generator_for(0, 0))
    paid = {}
    for weight in (1.0, 3.0):
        settings = {"budget": 0.01, "weight": weight}
        recipe = Recipe(encoder=SMALL, penalties=(Part("colour_distance", settings),), adversary=Part("random"))
        with seeded(0):
            learner = build_learner(recipe, CONTEXT)
        outcome = learner(Batch(**{**vars(batch), "generator": generator_for(0, 0), "strength": 0.5}))
        paid[weight] = outcome.penalties["second*"].item()
        assert outcome.penalties.keys() == outcome.params.keys() == {"second*"}
    assert paid[1.0] > 0
    assert paid[3.0] == pytest.approx(3 * paid[1.0])
    without = build_learner(Recipe(encoder=SMALL, adversary=Part("random")), CONTEXT)
    assert without(batch).penalties == {}


def test_a_trained_adversary_can_be_had_again(tmp_path: Path, photographs: Tensor) -> None:
    recipe = Recipe(epochs=1, image_size=16, encoder=SMALL, transform=Part("rotation"))
    run = sparring.train(recipe, run=tmp_path / "run")
    learner = sparring.load_learner(run)
    assert not any(module.training for module in learner.modules())
    encoder = sparring.load_encoder(run)
    assert all(
        torch.equal(own, encoder.state_dict()[name]) for name, own in learner.method.encoder.state_dict().items()
    )
    own = torch.load(run / "last.ckpt", weights_only=True)["learner"]
    assert all(torch.equal(value, own[name]) for name, value in learner.state_dict().items())
    context = {**CONTEXT, "image_shape": (3, 16, 16)}
    with seeded(recipe.seed, "weights"):
        fresh = build_learner(recipe, context).adversary.state_dict()
    assert not torch.equal(fresh["head.weight"], learner.adversary.state_dict()["head.weight"])
    images = photographs.float()[:, :, :16, :16]
    batch = Batch({"first": images, "second": images.flip(3)}, torch.arange(len(images)), 0, 1.0, torch.Generator())
    hard = hard_views(learner, batch)
    assert hard.shape == images.shape
    one = Batch({"first": images[:1], "second": images[:1].flip(3)}, torch.arange(1), 0, 1.0, torch.Generator())
    torch.testing.assert_close(hard_views(learner, one), hard[:1], atol=1e-5, rtol=0)
    torch.testing.assert_close(learner.adversary(images.flip(3), encoder(images)), hard, atol=1e-5, rtol=0)
    assert not torch.equal(hard, images.flip(3))
    (run / "last.ckpt").unlink()
    with pytest.raises(InputError, match=r"expected a run with a checkpoint, found none; its last\.ckpt is gone"):
        sparring.load_learner(run)


def test_weights_of_other_parts_are_one_line(tmp_path: Path) -> None:
    run = sparring.train(Recipe(epochs=1, image_size=16, encoder=SMALL, transform=Part("rotation")), run=tmp_path / "a")
    other = sparring.train(Recipe(epochs=1, image_size=16, encoder=SMALL, transform=Part("jitter")), run=tmp_path / "b")
    state, others = (torch.load(each / "last.ckpt", weights_only=True) for each in (run, other))
    torch.save({**state, "learner": others["learner"]}, run / "last.ckpt")
    said = r"last\.ckpt: expected weights for the parts as they are now, got others \(size mismatch for adversary.head"
    with pytest.raises(InputError, match=said):
        sparring.load_learner(run)
    (run / "encoder.safetensors").unlink()
    with pytest.raises(InputError, match=said):
        sparring.train(resume=run)
    with safe_open(other / "encoder.safetensors", "pt") as file:
        about = file.metadata()
    save_file({"weight": torch.zeros(3)}, run / "encoder.safetensors", about)
    with pytest.raises(InputError, match=r"encoder\.safetensors: .*got others \(Missing key.*start a new run$"):
        sparring.load_encoder(run)


@pytest.mark.parametrize(
    ("code", "message"),
    [("x = 1\ny = (", r"mine\.py, line 2: .*never closed"), ("import nothing_of_this_name", "No module named")],
)
def test_a_file_of_parts_that_cannot_be_read_is_one_line(code: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(code)
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            load_parts([str(tmp_path / "mine.py")])
    with pytest.raises(InputError, match="which does not exist"):
        load_parts([str(tmp_path / "other.py")])


def test_an_encoder_of_ones_own_comes_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from sparring.encoders import ENCODERS, resnet12\n"
        "ENCODERS['tiny'] = lambda statistics: resnet12(statistics, width=0.0625)\n"
    )
    with monkeypatch.context() as added:
        added.setitem(ENCODERS, "tiny", None)
        recipe = Recipe(epochs=1, image_size=16, encoder=Part("tiny"), transform=Part("rotation"), parts=(str(mine),))
        run = sparring.train(recipe, run=tmp_path / "run")
        copied = tmp_path / "encoder.safetensors"
        copied.write_bytes((run / "encoder.safetensors").read_bytes())
        for kept in (run, run / "encoder.safetensors"):
            added.delitem(ENCODERS, "tiny")
            added.delitem(sys.modules, str(mine))
            assert sparring.load_encoder(kept)(torch.rand(2, 3, 16, 16)).shape == (2, 32)
        added.delitem(ENCODERS, "tiny")
        with pytest.raises(InputError, match=r"unknown encoder 'tiny'.*; if it is one of your own, import its file"):
            sparring.load_encoder(copied)


def test_grey_images_are_known() -> None:
    grey = torch.randint(256, (250, 1, 4, 4), dtype=torch.uint8).expand(-1, 3, -1, -1)
    coloured = grey.clone()
    coloured[::3, 0] += 1
    assert Images(grey, None, ()).is_grey()
    assert not Images(coloured, None, ()).is_grey()
    assert Images(grey.clamp(max=16), None, ()).brightest() == 16


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in PARTS for name in TABLES[kind]])
def test_every_setting_can_be_written_down(kind: str, name: str) -> None:
    given = {"own": 1, "inner": [Part("random"), {"name": "none"}]}
    told = json.loads(json.dumps(tabled(resolved(kind, Part(name, given)))))
    known = settings_of(TABLES[kind][name])
    optional = {key for key, each in known.items() if each.default is not each.empty}
    assert told.keys() == {"name", "own", "inner"} | optional
    assert (told["name"], told["own"], told["inner"]) == (name, 1, [{"name": "random"}, {"name": "none"}])
    assert all(told[key] == json.loads(json.dumps(known[key].default)) for key in optional)


@pytest.mark.parametrize(
    "adversary",
    [
        Part("best_of", {"opponent": {"name": "search", "transform": "pixels"}}),
        Part("blend", {"opponents": [{"name": "random", "transform": "colour"}, "random"]}),
    ],
    ids=["another transform", "several"],
)
def test_a_penalty_is_held_against_the_transform_that_is_played(adversary: Part) -> None:
    with pytest.raises(InputError, match="penalty kl_identity: expected the transform 'colour'"):
        build_learner(Recipe(encoder=SMALL, adversary=adversary, penalties=(Part("kl_identity"),)), CONTEXT)


def test_a_setting_may_be_called_as_a_table_that_holds_no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Rotation):
        def __init__(self, *, data: str) -> None:
            super().__init__()
            self.data = data

    monkeypatch.setitem(TRANSFORMS, "own", Own)
    assert build("transform", Part("own", {"data": "mine"}), CONTEXT).data == "mine"


def test_a_transform_without_a_constructor_takes_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flipped(Transform):
        def parameter_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, ...]:
            return (1,)

        def forward(self, images: Tensor, params: Tensor) -> Tensor:
            return images.flip(3)

    monkeypatch.setitem(TRANSFORMS, "flipped", Flipped)
    assert isinstance(build("transform", Part("flipped"), CONTEXT), Flipped)
    with pytest.raises(InputError, match="transform flipped takes no settings, got 'args'"):
        build("transform", Part("flipped", {"args": 1}), CONTEXT)


@pytest.mark.parametrize("transform", ["Transform", "Unknown"])
def test_annotations_may_be_text(transform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from sparring.adversaries import ADVERSARIES, Random\n"
        "from sparring.contracts import Transform\n"
        "class Odd(Random):\n"
        f"    def __init__(self, transform: {transform}, *, odds: float = 0.5) -> None:\n"
        "        super().__init__(transform)\n"
        "        self.odds = odds\n"
        "ADVERSARIES['odd'] = Odd\n"
    )
    monkeypatch.setitem(ADVERSARIES, "odd", Random)
    load_parts((str(file),))
    assert build("adversary", Part("odd", {"odds": 1}), {"transform": Rotation()}).odds == 1.0
    with pytest.raises(InputError, match="odds: expected a number, got 'all'"):
        build("adversary", Part("odd", {"odds": "all"}), {"transform": Rotation()})


def test_a_setting_without_an_annotation_has_the_type_of_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Rotation):
        def __init__(self, *, most=0.5, few=3, sizes=(1, 2), mode="fast", other=None, given) -> None:  # type: ignore[no-untyped-def]
            super().__init__()
            self.told = (most, few, sizes, mode, other, given)

    monkeypatch.setitem(TRANSFORMS, "own", Own)
    told = {"most": 1, "few": 4, "sizes": [3], "mode": "slow", "other": "colour", "given": [1]}
    assert build("transform", Part("own", told), CONTEXT).told == (1.0, 4, (3,), "slow", "colour", [1])
    for wrong, said in (({"most": "a"}, "most: expected a number"), ({"few": 0.3}, "few: expected a whole number")):
        with pytest.raises(InputError, match=said):
            build("transform", Part("own", {**told, **wrong}), CONTEXT)
