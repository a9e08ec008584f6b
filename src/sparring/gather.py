"""Tensors of all ranks, with gradient; without a process group these are the identity."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def rank() -> int:
    """This process's place among all."""
    return dist.get_rank() if dist.is_initialized() else 0


def gather(local: Float[Tensor, "b k"]) -> Float[Tensor, "n k"]:
    """The rows of all ranks in the order of the ranks; the gradient flows back to each rank's own."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return local
    return torch.cat(all_gather(local))
