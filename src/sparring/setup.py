"""What a run is set up with: precision, optimisers, number of steps."""

import torch
from torch.optim import SGD, Optimizer

from sparring.errors import InputError
from sparring.learner import Learner
from sparring.recipe import Recipe

PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16}


def precision_of(recipe: Recipe, device: torch.device) -> torch.dtype:
    """What the encoder computes in: as the recipe says, or as the device likes best."""
    return PRECISIONS.get(recipe.precision) or native_precision(device)


def native_precision(device: torch.device) -> torch.dtype:
    """bf16 where the processor multiplies matrices in it natively (AVX512-BF16, AMX, recent GPUs), else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = device.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in checks)
    return torch.bfloat16 if native else torch.float32


def make_optimisers(learner: Learner, recipe: Recipe) -> list[Optimizer]:
    """One that descends for the method, and what ascends for an adversary that has weights."""
    parameters, momentum, decay = learner.method.parameters(), recipe.momentum, recipe.weight_decay
    descending = SGD(parameters, lr=0.0, momentum=momentum, weight_decay=decay, fused=True)
    return [descending, *learner.adversary.optimisers(recipe.adversary_learning_rate)]


def count_steps(recipe: Recipe, images: int, ranks: int) -> int:
    """Steps per epoch; a batch that cannot be is one clear line."""
    if recipe.batch_size % ranks:
        raise InputError(f"batch_size: expected a multiple of the {ranks} processes, got {recipe.batch_size}")
    if recipe.batch_size > images:
        expected = f"expected at most the {images} training images"
        raise InputError(f"batch_size: {expected}, got {recipe.batch_size}; try --batch-size {max(2, images // 4)}")
    return recipe.replays * (images // recipe.batch_size)
