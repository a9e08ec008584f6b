"""A run's folder: what was asked, where it ran, what was measured, and how to go on."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from shlex import quote
from typing import Any

import torch
from safetensors.torch import save_file

from sparring.datasets import Images
from sparring.environment import command, environment
from sparring.errors import InputError, first_line
from sparring.files import lock, read_lines, replace_file, sync, write_json, write_text
from sparring.merging import merged
from sparring.placement import changed, located
from sparring.recipe import Recipe, from_table
from sparring.recipe_files import dump_recipe, load_recipe

FILES = (
    *("recipe.toml", "environment.json", "metrics.jsonl", "last.ckpt", "encoder.safetensors"),
    *("encoder-hard.safetensors", "evaluation.json", "report.html"),
)
FOLDERS = ("events", "gallery", "nearest", "figures")
TAKEN = "{}: another process is training it; wait until it ends, or end it"


class Run:
    """The folder of one run; only the first process writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path) -> "Run":
        """An existing run; anything else is one clear line."""
        if not (path / "recipe.toml").is_file():
            inside = sorted(path.glob("*/recipe.toml"))
            found = f"got a folder of runs; name one: {inside[0].parent}" if inside else "found none"
            raise InputError(f"{path}: expected a run's folder (with recipe.toml; `sparring train` makes one), {found}")
        return cls(path)

    def check_free(self, *, overwrite: bool) -> None:
        """Refuse a folder that holds anything, unless it may be overwritten."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: expected a folder for the run, got a file; choose another --run")
        if overwrite or not self.path.is_dir() or not any(self.path.iterdir()):
            return
        if self.recipe_path.exists() and not self.finished:
            holds, remedy = "an unfinished run, which is", f"go on with: {self.again}"
        else:
            holds = "a finished run, which is" if self.finished else "other files, which are"
            remedy = "choose another --run"
        raise InputError(
            f"{self.path} holds {holds} not overwritten; {remedy}, or pass --overwrite, which clears only "
            "what runs leave"
        )

    def claim(self, recipe: Recipe) -> None:
        """Make this the folder of a new run: clear an earlier run's own files, leave all others, write the recipe."""
        self.make()
        if self.recipe_path.is_file():  # else nothing here is a run's
            inside = [file for folder in FOLDERS for file in (self.path / folder).glob("*")]
            own = map(self.path.joinpath, reversed(FILES))  # the recipe last: by it a run is known
            for file in (*inside, *own):
                if file.is_file():
                    file.unlink()
        self.place(recipe)

    def make(self) -> None:
        """The folder itself."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path}: expected a folder that can be made and written to; {error.strerror}"
            ) from None

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Within, no other process may train it; False where one does already."""
        fresh = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.make()
        handle = os.open(self.path, os.O_RDONLY) if os.name == "posix" else None
        try:
            yield handle is None or lock(handle)
        finally:
            if handle is not None:
                os.close(handle)
            for folder in fresh:
                with suppress(OSError):
                    folder.rmdir()  # if nothing came of it

    def place(self, recipe: Recipe) -> None:
        """Let a run that has begun go on elsewhere: the same recipe but for its placement, and where its images lie."""
        write_text(self.recipe_path, dump_recipe(located(recipe)))

    @property
    def recipe_path(self) -> Path:
        """What was asked for, as TOML."""
        return self.path / "recipe.toml"

    @property
    def environment_path(self) -> Path:
        """Where it ran, as JSON."""
        return self.path / "environment.json"

    @property
    def checkpoint(self) -> Path:
        """The last state that was kept."""
        return self.path / "last.ckpt"

    @property
    def again(self) -> str:
        """The command that goes on with it."""
        return f"{command()} train --resume {quote(str(self.path))}"

    @property
    def begun(self) -> bool:
        """Whether there is anything to go on with."""
        return self.finished or self.checkpoint.exists() or bool(self.metrics())

    @property
    def finished(self) -> bool:
        """Whether training reached its last epoch."""
        return (self.path / "encoder.safetensors").exists()

    def recipe(self) -> Recipe:
        """What was asked for."""
        return load_recipe(self.recipe_path)

    def append(self, record: Mapping[str, float | int]) -> None:
        """Add one line of measurements."""
        events = self._events  # before the line is there: it reads where a resumed run goes on
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        for name in record.keys() - {"step", "epoch"}:
            events.add_scalar(name, record[name], int(record["step"]))

    def metrics(self) -> list[dict[str, Any]]:
        """All measurements; a last line that was cut off by a crash is left out."""
        file = self.path / "metrics.jsonl"
        return read_lines(file) if file.exists() else []

    def rewind(self, step: int) -> None:
        """Forget what was measured after `step`."""
        kept = [json.dumps(record) + "\n" for record in self.metrics() if record["step"] <= step]
        write_text(self.path / "metrics.jsonl", "".join(kept))

    @cached_property
    def _events(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        last = max((record["step"] for record in self.metrics()), default=-1)
        return SummaryWriter(self.path / "events", purge_step=last + 1)

    def save_checkpoint(self, state: Mapping[str, Any], recipe: Recipe) -> None:
        """Keep `state`, whole or not at all, after all that was measured until now."""
        sync(self.path / "metrics.jsonl")
        kept = {**state, "recipe": dump_recipe(located(recipe))}
        replace_file(self.checkpoint, lambda temporary: torch.save(kept, temporary))

    def load_checkpoint(self, recipe: Recipe, images: Images | None = None) -> dict[str, Any] | None:
        """The last state kept, or None if the run was interrupted before the first.

        Raises:
            InputError: if the file is damaged, of another recipe but for its placement, or of other images.
        """
        if not self.checkpoint.exists():
            return None
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except (RuntimeError, UnpicklingError, EOFError, ValueError) as error:
            said = first_line(error)
            raise InputError(
                f"{self.checkpoint}: expected a checkpoint, got one that cannot be read ({said}); "
                "without it the run starts from its beginning"
            ) from error
        if not isinstance(state, dict) or "recipe" not in state:
            raise InputError(f"{self.checkpoint}: expected a checkpoint of this version, got another; start a new run")
        began = from_table(tomllib.loads(state["recipe"]))
        if "digest" in state or Path(began.data).name == Path(recipe.data).name:  # images may have moved
            began = replace(began, data=recipe.data)
        if [Path(file).name for file in began.parts] == [Path(file).name for file in recipe.parts]:
            began = replace(began, parts=recipe.parts)
        if change := changed(began, recipe):
            key, there, here = change
            raise InputError(f"{self.path}: expected {key} = {there}, as the run began, got {here}; change it back")
        own = images and (len(images), images.digest())
        if own and (state["images"], state.get("digest", own[1])) != own:
            first = f"the {state['images']} training images it began with"
            remedy = "if those lie elsewhere, resume with --data FOLDER, or start a new run"
            raise InputError(f"{self.path}: expected {first}, got {own[0]} others; {remedy}")
        return dict(state)

    def save_tensors(self, name: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
        """Write a safetensors file, whole or not at all."""
        contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
        replace_file(self.path / name, lambda temporary: save_file(contiguous, temporary, metadata))

    def evaluations(self) -> dict[str, dict[str, Any]]:
        """What `sparring evaluate` found, by data set: `figures` by name, and what they were found with and beside."""
        file = self.path / "evaluation.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            return {
                data: {**own, "figures": {key: float(value) for key, value in own["figures"].items()}}
                for data, own in found.items()
            }
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{file}: expected what `sparring evaluate` writes, got {type(error).__name__}: {error}; delete it and "
                "evaluate again"
            ) from error

    def save_evaluation(self, data: str, record: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what was found on a data set to what was found before, whole or not at all."""
        known = self.evaluations()
        known[data] = merged(known.get(data, {}), record)
        write_json(self.path / "evaluation.json", known)

    def describe_environment(self, facts: Mapping[str, Any]) -> None:
        """Write what the run ran on, with `facts` about its data and size; after a resume, what is otherwise then."""
        now, before = {**environment(), **facts}, self._environment()
        if before:
            times = sum(name.startswith("resumed_") for name in before)
            now = {**before, f"resumed_{times + 1}": {key: now[key] for key in now if before.get(key) != now[key]}}
        write_json(self.environment_path, now)

    def _environment(self) -> dict[str, Any]:
        """Empty where a run was stopped before it got there."""
        try:
            return dict(json.loads(self.environment_path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}
