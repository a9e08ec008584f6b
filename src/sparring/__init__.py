"""sparring: self-supervised image encoders trained against an adversary that learns how to augment.

Names are imported when they are first used, so that `sparring --help` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparring.errors import InputError as InputError
    from sparring.learner import Learner as Learner
    from sparring.recipe import Part as Part, Recipe as Recipe, Views as Views
    from sparring.recipe_files import load_recipe as load_recipe
    from sparring.saved import load_encoder as load_encoder
    from sparring.sweeps import sweep as sweep
    from sparring.training import load_learner as load_learner, train as train

_HOMES = {
    "sparring.errors": ("InputError",),
    "sparring.learner": ("Learner",),
    "sparring.recipe": ("Part", "Recipe", "Views"),
    "sparring.recipe_files": ("load_recipe",),
    "sparring.saved": ("load_encoder",),
    "sparring.sweeps": ("sweep",),
    "sparring.training": ("load_learner", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sparring' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
