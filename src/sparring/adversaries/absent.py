"""No opponent: plain self-supervised learning on the base views."""

from sparring.contracts import Adversary, Proposal, Turn


class Absent(Adversary):
    """Leave every view as it is: the vanilla method."""

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(params=None)

    def control(self) -> Adversary:
        return self
