"""The study's interpolating colour space (Eq. 6) and its constrained relatives."""

import math
from itertools import permutations
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from sparring.colours import apply_colour
from sparring.contracts import ImageShape, Transform
from sparring.schema import check_range, checked
from sparring.tensors import magnitude

Space = Literal["mix", "softmax", "grey", "doubly_stochastic"]

CHANNELS = "rgb"
LOGITS: dict[str, int] = {"mix": 9, "softmax": 9, "grey": 3, "doubly_stochastic": 6}
WITHOUT_IDENTITY = ("softmax", "grey")


class Colour(Transform):
    """Each new channel is a weighted mean of red, green and blue: C_i = a_i1 R + a_i2 G + a_i3 B, rows sum to 1.

    - `softmax`: A = softmax of 3x3 logits per row, as in the study; zero is grey, so it has no identity.
    - `grey`: the same with one row for all three channels, so that every choice is without colour; no identity either.
    - `mix`: M = (1 - a) I + a A with 0 <= a <= `a_max`; zero is the identity.
    - `doubly_stochastic`: the same mix, and A's columns sum to 1 as well, so that no channel can take over: a convex
      combination of the six channel permutations (Birkhoff's theorem).

    Args:
        space: which of the four.
        a_max: largest share of A in the mix, in [0, 1].
        sharpness: logits reach from -sharpness to sharpness; at 5 a row can put all but 1e-4 on one channel.

    Source: Eq. 6 of "Adversarial Augmentations for Contrastive Learning" (Lubana and Aldeeb).
    """

    def __init__(self, *, space: Space = "mix", a_max: float = 0.4, sharpness: float = 5.0) -> None:
        super().__init__()
        check_range("colour: a_max", a_max, 0, 1)
        check_range("colour: sharpness", sharpness, -math.inf)
        self.space, self.a_max, self.sharpness = checked(space, Space, "colour: space"), a_max, sharpness
        self.has_identity = space not in WITHOUT_IDENTITY
        self.register_buffer("corners", torch.eye(3)[torch.tensor(list(permutations(range(3))))], persistent=False)

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (LOGITS[self.space] + self.has_identity,)

    def unsigned(self, params: Float[Tensor, "b p"]) -> Bool[Tensor, "b p"]:
        return (torch.arange(params.shape[1], device=params.device) < self.has_identity).expand_as(params)

    def _amount(self, params: Float[Tensor, "b p"]) -> Float[Tensor, " b"]:
        return self.a_max * magnitude(params[:, 0])

    def _stochastic(self, logits: Float[Tensor, "b p"]) -> Float[Tensor, "b 3 3"]:
        if self.space == "doubly_stochastic":
            weights = (self.sharpness * logits).softmax(dim=-1)
            return torch.einsum("bk,kij->bij", weights, self.corners.to(logits.dtype))
        return (self.sharpness * logits.view(len(logits), -1, 3)).softmax(dim=-1).expand(-1, 3, 3)

    def matrix(self, params: Float[Tensor, "b p"]) -> Float[Tensor, "b 3 3"]:
        """The colour matrix of each image: row i holds what goes into output channel i."""
        if not self.has_identity:
            return self._stochastic(params)
        amount = self._amount(params)[:, None, None]
        eye = torch.eye(3, dtype=params.dtype, device=params.device)
        return (1 - amount) * eye + amount * self._stochastic(params[:, 1:])

    def forward(self, images: Float[Tensor, "b 3 h w"], params: Float[Tensor, "b p"]) -> Float[Tensor, "b 3 h w"]:
        return apply_colour(images, F.pad(self.matrix(params), (0, 1)))

    def describe(self, params: Float[Tensor, "b p"]) -> dict[str, Float[Tensor, " b"]]:
        matrix = self.matrix(params)
        named = {
            f"colour/{to}_from_{source}": matrix[:, i, j]
            for i, to in enumerate(CHANNELS)
            for j, source in enumerate(CHANNELS)
        }
        return {**named, "colour/mix": self._amount(params)} if self.has_identity else named
