"""No opponent: plain self-supervised learning on the base views."""

from sparring.contracts import Chance, Proposal, Turn


class Absent(Chance):
    """Leave every view as it is: the vanilla method."""

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(params=None)
