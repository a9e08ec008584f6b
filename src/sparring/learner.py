"""One round of the game: encode the clean views, let the adversary harden, encode again, compare."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from sparring.adversaries import Absent, Random
from sparring.contracts import Adversary, Embedding, Method, Proposal, Turn

Pairs = tuple[tuple[str, str], ...]


@dataclass
class Batch:  # not frozen, since Fabric rebuilds what a module takes and returns; so for Outcome
    """What one round is played with."""

    views: Mapping[str, Float[Tensor, "b c h w"]]
    """The base views, `first` and `second`, in [0, 1]."""
    indices: Int[Tensor, "b"]
    """Each image's place in the data set."""
    step: int
    strength: float
    """Multiplies the adversary's parameters; 0 skips it."""
    generator: torch.Generator


@dataclass
class Outcome:
    """What one round gave."""

    loss: Float[Tensor, ""]
    """The encoder descends it, the adversary ascends it: mean comparison less mean penalty."""
    comparison: Float[Tensor, "b"]
    """Loss per image, detached."""
    embeddings: Mapping[str, Embedding]
    """By view, detached."""
    params: Mapping[str, Tensor]
    """The parameters that were used, by hardened view, detached; without an entry where none were."""


def base_name(view: str) -> str:
    """The base view behind a hardened one."""
    return view.removesuffix("*")


def partner_of(view: str) -> str:
    """The clean view that a hardened one is played against."""
    return "first" if base_name(view) == "second" else "second"


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """BatchNorm still normalises by the batch, but leaves its running statistics bit-equal."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _own_objective(proposal: Proposal, comparison: Float[Tensor, "b"]) -> Tensor | float:
    """What the adversary ascends besides the comparison: less its penalty, and the score of what it sampled."""
    penalty = 0.0 if proposal.penalty is None else proposal.penalty.mean()
    if proposal.log_probability is None:
        return -penalty
    advantage = comparison - comparison.mean()
    return (advantage * proposal.log_probability).mean() - penalty


class Learner(nn.Module):
    """A method and an adversary that share one loss and one backward pass.

    Args:
        method: encoder, heads and comparison.
        adversary: who hardens the starred views.
        pairs: which views are compared; the loss is the mean over the pairs.
        probability: share of the images whose view is hardened.
        autocast: context in which the method encodes; views, adversary and losses keep full precision.
    """

    def __init__(
        self,
        method: Method,
        adversary: Adversary,
        *,
        pairs: Pairs = (("first", "second*"),),
        probability: float = 1.0,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
    ) -> None:
        super().__init__()
        self.method, self.adversary, self.pairs, self.probability = method, adversary, pairs, probability
        self.autocast = autocast

    def forward(self, batch: Batch) -> Outcome:
        with torch.autocast(batch.indices.device.type, enabled=False):
            return self._play(batch)

    def _play(self, batch: Batch) -> Outcome:
        names = sorted({name for pair in self.pairs for name in pair}, key=lambda name: (name.endswith("*"), name))
        embeddings: dict[str, Embedding] = {}
        proposals: dict[str, Proposal] = {}
        for name in names:
            view = batch.views[base_name(name)]
            if name.endswith("*"):
                partner = embeddings.get(partner_of(name)) or self._glance(batch.views[partner_of(name)], batch.indices)
                view, proposals[name] = self.harden(view, partner.detach(), batch, self.adversary)
            embeddings[name] = self._encode(view, batch.indices)
        comparison = torch.stack([self.method.compare(embeddings[a], embeddings[b]) for a, b in self.pairs]).mean(0)
        extras = [_own_objective(proposal, comparison.detach()) for proposal in proposals.values()]
        params = {name: p.params.detach() for name, p in proposals.items() if p.params is not None}
        seen = {name: embedding.detach() for name, embedding in embeddings.items()}
        return Outcome(comparison.mean() + sum(extras), comparison.detach(), seen, params)

    def harden(
        self, images: Float[Tensor, "b c h w"], partner: Embedding, batch: Batch, adversary: Adversary
    ) -> tuple[Float[Tensor, "b c h w"], Proposal]:
        """The view that the adversary makes of `images`, and what it chose."""
        if batch.strength == 0:
            return images, Proposal(None)

        def hardness(params: Tensor, side: int = 0) -> Tensor:
            hard = adversary.transform(images, batch.strength * params)
            small = F.interpolate(hard, side, mode="bilinear", antialias=True) if side else hard
            with frozen_statistics(self.method):
                return self.method.compare(partner, self._encode(small, batch.indices))

        def own_features() -> Tensor:
            return self._glance(images, batch.indices).features

        turn = Turn(images, batch.indices, partner.features, hardness, own_features, batch.step, batch.generator)
        proposal = adversary.propose(turn)
        if proposal.params is None:
            return images, proposal
        hard = adversary.transform(images, batch.strength * proposal.params)
        if self.probability < 1:
            draw = torch.rand(len(images), generator=batch.generator, device=batch.generator.device)
            hard = torch.where((draw < self.probability).to(hard.device)[:, None, None, None], hard, images)
        return hard, proposal

    @torch.no_grad()
    def probe(self, batch: Batch) -> dict[str, float]:
        """Mean loss on this batch under the adversary, under its random control, and untouched; changes nothing."""
        transform = self.adversary.transform
        opponents = {"adversary": self.adversary, "random": Random(transform), "clean": Absent(transform)}
        partner = self._glance(batch.views["first"], batch.indices)
        losses = {}
        for name, opponent in opponents.items():
            hard, _ = self.harden(batch.views["second"], partner, batch, opponent)
            with frozen_statistics(self.method):
                embedding = self._encode(hard, batch.indices)
            losses[f"hardness/{name}"] = self.method.compare(partner, embedding).mean().item()
        return losses

    @torch.no_grad()
    def show(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """The second view as the adversary hardens it; changes nothing."""
        partner = self._glance(batch.views["first"], batch.indices)
        return self.harden(batch.views["second"], partner, batch, self.adversary)[0]

    @torch.no_grad()
    def _glance(self, images: Float[Tensor, "b c h w"], indices: Int[Tensor, "b"]) -> Embedding:
        """Embed a view that is not itself compared."""
        with frozen_statistics(self.method):
            embedding = self._encode(images, indices)
        torch.clear_autocast_cache()  # its copies of the weights were made without a graph
        return embedding

    def _encode(self, images: Float[Tensor, "b c h w"], indices: Int[Tensor, "b"]) -> Embedding:
        with self.autocast():
            embedding = self.method.encode(images.contiguous(memory_format=torch.channels_last))
        return replace(embedding.at_least_float32(), indices=indices)
