"""How many steps an epoch has, and whether processes can share them out. Imports no torch."""

from sparring.errors import InputError
from sparring.recipe import Recipe


def check_ranks(recipe: Recipe, ranks: int) -> None:
    """Refuse a batch that cannot be shared out among the processes, two images or more to each."""
    if recipe.batch_size % ranks or recipe.batch_size < 2 * ranks:
        expected = f"expected a multiple of the {ranks} processes, at least {2 * ranks}"
        fits = ranks * max(2, recipe.batch_size // ranks)
        raise InputError(f"batch_size: {expected}, got {recipe.batch_size}; try --batch-size {fits}")


def count_steps(recipe: Recipe, images: int, ranks: int) -> int:
    """Steps per epoch; a batch or a warm-up that cannot be is one clear line."""
    for name in ("warmup", "ramp"):
        if (got := getattr(recipe, name)) > recipe.epochs:
            expected = f"expected at most the {recipe.epochs} epochs of training, got {got:g}"
            raise InputError(f"{name}: {expected}; try --{name} {recipe.epochs / 10:g}")
    check_ranks(recipe, ranks)
    if images < 2:
        raise InputError(f"{recipe.data}: expected at least 2 training images, got {images}")
    if recipe.batch_size > images:
        fits = 2 ** (images.bit_length() - 1)
        expected = f"expected at most the {images} training images"
        raise InputError(f"batch_size: {expected}, got {recipe.batch_size}; try --batch-size {fits}")
    return recipe.replays * (images // recipe.batch_size)
