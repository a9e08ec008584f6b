"""`sparring bench`: what a learned view costs, how near the loop is to its limit, and a peer beside it."""

from sparring.bench.run import bench

__all__ = ["bench"]
