"""Pickles from elsewhere, read without running what is in them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

ALLOWED = {
    ("multiarray", "_reconstruct"),
    ("multiarray", "scalar"),
    ("numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("_codecs", "encode"),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Arrays and nothing else; numpy 1's `numpy.core` is numpy 2's `numpy._core`."""
        if (module, name) == ("numpy", "dtype"):
            return _dtype
        if (module.removeprefix("numpy.core.").removeprefix("numpy._core."), name) not in ALLOWED:
            raise pickle.UnpicklingError(f"holds {module}.{name}; expected arrays only")
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def _dtype(kind: str, align: int, copy: int) -> np.dtype:
    # the official CIFAR files say 0 and 1, of which numpy 2.4.0 to 2.4.4 warn
    return np.dtype(kind, align=bool(align), copy=bool(copy))


def read_arrays(path: Path) -> dict[str, Any]:
    """The dictionary of arrays, lists and texts pickled in `path`; UnpicklingError where there is anything else."""
    with path.open("rb") as file:
        return _ArraysOnly(file, encoding="latin1").load()
