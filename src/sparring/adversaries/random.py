"""The control: the same transform, driven by chance."""

from sparring.contracts import Chance, Proposal, Turn


class Random(Chance):
    """Draw each image's parameters uniformly from the box: the random control of every other adversary."""

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.transform.sample(turn.images, turn.generator))
