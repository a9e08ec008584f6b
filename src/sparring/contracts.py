"""The contracts that all parts keep, transform, adversary, penalty and method, and what passes between them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from sparring.encoders import Encoder, ImageShape as ImageShape
from sparring.errors import InputError, check_is
from sparring.randomness import Draws, uniform
from sparring.schema import check_range


class Transform(nn.Module, ABC):
    """What may change: stateless, batched, differentiable in images and parameters; the constructor holds the bound.

    Parameters live in the box [-1, 1]; zero is the identity unless `has_identity` is false.
    """

    has_identity = True
    """Whether zero leaves images as they are: what strengths, blends and policies build on."""

    @abstractmethod
    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        """Shape of one image's parameters."""

    def project(self, params: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        """The nearest parameters that are allowed."""
        return params.clamp(-1, 1)

    def steepest(self, gradient: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        """The move of length 1 that raises the loss most, by this transform's own measure of length."""
        return gradient.sign()

    def unsigned(self, params: Float[Tensor, " b *p"]) -> Bool[Tensor, " b *p"]:
        """Which entries have a sign without effect, so that 0 is their least value; none unless a transform says so."""
        return torch.zeros_like(params, dtype=torch.bool)

    def ascend(
        self, params: Float[Tensor, " b *p"], gradient: Float[Tensor, " b *p"], length: float
    ) -> Float[Tensor, " b *p"]:
        """Allowed parameters after a steepest step; an unsigned entry stops at 0 instead of growing on beyond it."""
        unsigned = self.unsigned(params)
        slope = gradient.masked_fill(unsigned & (params == 0) & (gradient < 0), 0)
        moved = params + length * self.steepest(slope)
        return self.project(moved.masked_fill(unsigned & (params * moved < 0), 0))

    def require_identity(self, owner: str) -> None:
        """One clear line, on behalf of `owner`, if there is none."""
        if not self.has_identity:
            raise InputError(
                f"{owner}: expected a transform that leaves the image as it is at zero, got one without an identity; "
                'for colour take {name = "colour", space = "mix"}'
            )

    @abstractmethod
    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, " b *p"]) -> Float[Tensor, "b c h w"]:
        """Images in [0, 1] to harder images in [0, 1]."""

    def sample(self, images: Float[Tensor, "b c h w"], generator: Draws = None) -> Float[Tensor, " b *p"]:
        """Parameters for each of these images, uniform in the box and projected onto what is allowed."""
        return self.project(2 * uniform(self.size_for(images), generator, images) - 1)

    def size_for(self, images: Float[Tensor, "b c h w"]) -> tuple[int, ...]:
        """The size of the parameters of all of these images together."""
        b, channels, height, width = images.shape
        return (b, *self.parameter_shape((channels, height, width)))

    def describe(self, params: Float[Tensor, " b *p"]) -> dict[str, Float[Tensor, " b"]]:
        """What the parameters mean, by name and in physical units, for the log."""
        return {}


@dataclass(frozen=True)
class Turn:
    """All that an adversary may look at."""

    images: Float[Tensor, "b c h w"]
    """The view that is to be made harder."""
    indices: Int[Tensor, " b"]
    """Each image's place in the data set."""
    partner_features: Callable[[], Tensor]
    """Of the partner view, detached; costs one encoder forward where that view is not itself compared."""
    hardness: Callable[..., Tensor]
    """Loss per image if these parameters were used: `hardness(params, side=0, running=False)`, at full size or at
    `side` pixels, BatchNorm by the batch or by its running statistics; differentiable, changes nothing, costs one
    encoder forward."""
    own_features: Callable[[], Tensor]
    """Of the view itself, detached; costs one encoder forward."""
    step: int
    generator: torch.Generator


@dataclass(frozen=True)
class Proposal:
    """What an adversary chose: parameters (None: leave the view as it is), and its own costs per image."""

    params: Float[Tensor, " b *p"] | None
    penalty: Float[Tensor, " b"] | None = None
    log_probability: Float[Tensor, " b"] | None = None
    """Of a sampled choice: the learner reinforces it by its hardness (Williams 1992), where no gradient reaches it."""

    def objective(self, losses: Float[Tensor, " b"]) -> Float[Tensor, ""] | float:
        """What the adversary ascends besides the loss: less its penalty, and the score of what it sampled."""
        penalty = 0.0 if self.penalty is None else self.penalty.mean()
        if self.log_probability is None:
            return -penalty
        reward = losses if self.penalty is None else losses - self.penalty.detach()
        return ((reward - reward.mean()) * self.log_probability).mean() - penalty

    def of(self, played: Bool[Tensor, " b"]) -> "Proposal":
        """The same parameters, with costs and log-probabilities of the images alone for which they are played."""
        costs = {name: getattr(self, name) for name in ("penalty", "log_probability")}
        return replace(self, **{name: values * played for name, values in costs.items() if values is not None})


class Adversary(nn.Module, ABC):
    """Who chooses: owns a transform, and parameters of its own if it learns."""

    hardens = True
    """Whether it changes any view."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        check_is(type(self).__name__.lower(), transform, Transform, "sparring.transforms.Colour()")
        self.transform = transform

    @abstractmethod
    def propose(self, turn: Turn) -> Proposal:
        """Choose parameters inside the transform's box; deterministic in the turn; changes nothing."""

    def forward(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None, *, generator: Draws = None
    ) -> Float[Tensor, "b c h w"]:
        """Harder images for a loop of your own; `features` are what it reads: the partner view's, or its own."""
        raise InputError(f"{type(self).__name__} needs the loss of the game: play it with a Learner (docs/python.md)")

    def optimisers(self, learning_rate: float) -> list[Optimizer]:
        """What ascends this adversary's own weights, if it has any."""
        weights = list(self.parameters())
        return [Adam(weights, lr=learning_rate, maximize=True)] if weights else []

    def after_step(self) -> None:
        """What changes once a step, after the optimisers."""

    def control(self) -> "Adversary":
        """Chance among the same choices, to hold this adversary against; itself if it is chance already."""
        from sparring.adversaries.chance import Random  # which is an adversary, too

        return Random(self.transform)


@dataclass(frozen=True)
class Move:
    """What an adversary did to one view."""

    images: Float[Tensor, "b c h w"]
    hard: Float[Tensor, "b c h w"]
    params: Float[Tensor, " b *p"]
    transform: Transform
    loss_of: Callable[[Tensor], Tensor]
    """Loss per image if the round compared this view, in [0, 1] (b c h w): differentiable in the view, never in the
    encoder's weights; costs one encoder forward."""


class Penalty(nn.Module, ABC):
    """How far, as a cost that the adversary pays; its gradient must not reach the encoder's weights.

    Args:
        weight: by which the learner multiplies what `forward` gives.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        check_range("weight", weight, 0)
        self.weight = weight

    @abstractmethod
    def forward(self, move: Move) -> Float[Tensor, " b"]:
        """Cost per image, 0 where the move is within bounds."""

    def after_step(self, encoder: Encoder) -> None:
        """What changes once a step."""


@dataclass
class Embedding:  # not frozen, since Fabric rebuilds what a module returns
    """What a method knows of one view."""

    features: Float[Tensor, "b d"]
    """Of the backbone: what is kept after training."""
    projection: Float[Tensor, "b k"]
    prediction: Float[Tensor, "b k"] | None = None
    """Of the other view's projection, where the method has a predictor."""
    target: Float[Tensor, "b k"] | None = None
    """The projection under a momentum encoder, where the method has one."""
    indices: Int[Tensor, " b"] | None = None
    """Each image's place in the data set; the learner fills it in."""

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Embedding":
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(part) for name, part in parts.items() if part is not None})

    def detach(self) -> "Embedding":
        """The same values, cut from the graph."""
        return self._map(Tensor.detach)

    def of_others(self) -> "Embedding":
        """Each row another image's: what a comparison with a stranger is."""
        return self._map(lambda part: part.roll(1, 0))

    def at_least_float32(self) -> "Embedding":
        """Half precision widened, the rest as it is: losses are not computed in bf16."""
        return self._map(lambda part: part.float() if part.dtype in (torch.bfloat16, torch.float16) else part)


class Method(nn.Module, ABC):
    """Encoder and heads, and the loss that compares two views."""

    encoder: Encoder
    projector: nn.Module

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        """Embed one view, here by encoder and projector alone; called once per view."""
        features = self.encoder(images)
        return Embedding(features, self.projector(features))

    @abstractmethod
    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        """Loss per image; pure."""

    def after_step(self, embeddings: Mapping[str, Embedding]) -> None:
        """What changes once a step (a momentum encoder, a queue): the only mutation.

        `embeddings` are the round's, by view (`first`, `second*`, ...), detached.
        """


@dataclass(frozen=True)
class Features:
    """An encoder's output on clean images: `bank` from the training images, `queries` from the test images."""

    bank: Float[Tensor, "n d"]
    queries: Float[Tensor, "m d"]
    bank_labels: Int[Tensor, " n"] | None = None
    query_labels: Int[Tensor, " m"] | None = None
