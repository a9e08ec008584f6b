"""Encoders of finished runs, for use elsewhere."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from sparring.dual_norm import has_dual_norms, without_dual_norms
from sparring.encoders import ENCODERS, HALF, Encoder
from sparring.errors import InputError, unknown
from sparring.module_state import load_weights
from sparring.part import Part, tabled
from sparring.parts import build, load_parts
from sparring.randomness import seeded
from sparring.run import Run


def save_encoder(run: Run, encoder: nn.Module, part: Part, image_size: int) -> None:
    """Write encoder.safetensors with what is needed to build it again.

    Where norms are doubled it has those of clean views, and encoder-hard.safetensors those of hard ones.
    """
    about = {"encoder": json.dumps(tabled(part)), "image_size": str(image_size)}
    for hard in (True, False) if has_dual_norms(encoder) else (False,):
        state = without_dual_norms(encoder, hard=hard).state_dict()
        file = "encoder-hard.safetensors" if hard else "encoder.safetensors"
        run.save_tensors(file, {name: tensor.cpu() for name, tensor in state.items()}, about)


def load_encoder(run: str | Path) -> Encoder:
    """A run's trained encoder, in evaluation mode: images in [0, 1] (b 3 h w) to features (b d).

    One of your own comes with the run's `parts`; without the run, import its file before (docs/extending.md).

    Args:
        run: the run's folder, or its encoder.safetensors, wherever that lies.

    Raises:
        InputError: if there is no finished run, or another file, or an encoder that is not known.
    """
    file, about = _opened(run)
    size = int(about["image_size"])
    part = Part.of(json.loads(about["encoder"]))
    _load_own(part.name, file.parent)
    settings = {key: value for key, value in part.settings.items() if key != "pretrained"}
    context = {"image_shape": (3, size, size), "statistics": HALF}  # the data's own are among the weights
    with seeded("weights"):  # which are read, and no business of the caller's generator
        encoder = build("encoder", Part(part.name, settings), context)
    load_weights(encoder, load_file(file), file)
    return encoder.eval()


def _load_own(name: str, folder: Path) -> None:
    """The run's own parts, where its encoder is none of the library's, whose files need not be there any more."""
    if name not in ENCODERS and (folder / "recipe.toml").is_file():
        load_parts(Run(folder).recipe().parts)
    if name not in ENCODERS:
        remedy = "if it is one of your own, import its file first"
        raise InputError(f"{unknown('encoder', name, ENCODERS)}; {remedy}")


def image_size_of(run: str | Path) -> int:
    """Side in pixels of the images that a run's encoder was trained on; raises as `load_encoder` does."""
    return int(_opened(run)[1]["image_size"])


def _opened(run: str | Path) -> tuple[Path, dict[str, str]]:
    """The file of a finished run's encoder, and what it says of itself."""
    file = Path(run) if Path(run).is_file() else Path(run) / "encoder.safetensors"
    if not file.is_file():
        words = f"{run}: expected a finished run (with encoder.safetensors)"
        if not (Path(run) / "recipe.toml").is_file():
            raise InputError(f"{words}, found no run; `sparring train` makes one")
        raise InputError(f"{words}, found one that is not; go on with: {Run(Path(run)).again}")
    try:
        with safe_open(file, "pt") as opened:
            about = opened.metadata() or {}
    except SafetensorError:
        about = {}
    except OSError as error:
        raise InputError(f"{file}: expected a file that can be read, got one that cannot; {error}") from None
    if not {"encoder", "image_size"} <= about.keys():
        raise InputError(f"{file}: expected the encoder.safetensors of a run, got another file")
    return file, about
