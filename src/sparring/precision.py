"""What the encoder computes in."""

from typing import Any

import torch
from lightning_fabric import Fabric

from sparring.errors import InputError
from sparring.recipe import Recipe

PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16}


def precision_of(recipe: Recipe, device: torch.device) -> torch.dtype:
    """What the encoder computes in: as the recipe says, or as the device likes best."""
    return PRECISIONS.get(recipe.precision) or native_precision(device)


def fabric_on(accelerator: str, **settings: Any) -> Fabric:
    """Lightning Fabric on these devices, with its other settings; one clear line where that cannot be."""
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, as for matrix products
    try:
        return Fabric(accelerator=accelerator, **settings)
    except (ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"accelerator {accelerator!r} cannot be used here; {error}; try --accelerator cpu") from None


def native_precision(device: torch.device) -> torch.dtype:
    """bf16 where the processor multiplies matrices in it natively (AVX512-BF16, AMX, recent GPUs), else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = device.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in checks)
    return torch.bfloat16 if native else torch.float32
