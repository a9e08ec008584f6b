"""`sparring train` as a function, and the processes it runs in."""

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy

from sparring.assembly import build_learner, context_of
from sparring.datasets import DataSet, load_dataset
from sparring.errors import InputError
from sparring.evaluations.knn import about_k
from sparring.fit import Fit
from sparring.learner import Learner
from sparring.module_state import load_weights
from sparring.part import tabled
from sparring.parts import load_parts, resolved
from sparring.placement import changed
from sparring.precision import fabric_on
from sparring.randomness import seeded
from sparring.recipe import Recipe, check_recipe
from sparring.recipe_files import DEFAULT, load_recipe
from sparring.reports import write_report
from sparring.run import TAKEN, Run
from sparring.schedules import check_ranks

DARK = 32
"""Twelve bits read as sixteen end at 16; this is for thirteen."""


def launch(recipe: Recipe) -> Fabric:
    """Start the processes that a recipe asks for."""
    check_ranks(recipe, processes := recipe.devices * recipe.nodes)
    fabric = fabric_on(
        recipe.accelerator,
        devices=recipe.devices,
        num_nodes=recipe.nodes,
        # an adversary whose strength is 0 is skipped, and so are its weights
        strategy=DDPStrategy(find_unused_parameters=True) if processes > 1 else "auto",
    )
    if recipe.nodes > 1 and not _has_launcher(fabric):
        raise InputError(
            f"nodes: expected a launcher (torchrun, SLURM) or MASTER_ADDR and NODE_RANK for {recipe.nodes} machines, "
            "found none; see docs/scaling.md"
        )
    fabric.launch()
    return fabric


def _has_launcher(fabric: Fabric) -> bool:
    """Whether something has told this process where the other machines are."""
    environment = getattr(fabric.strategy, "cluster_environment", None)
    return "MASTER_ADDR" in os.environ or not isinstance(environment, LightningEnvironment)


def train(
    recipe: Recipe | None = None,
    *,
    run: str | Path | None = None,
    resume: str | Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Train an encoder against an adversary and write a run's folder with its report; returns its path.

    Args:
        recipe: what to train on what, and how; the shipped recipe `best` if not given, as in the command.
        run: the new run's folder; one under `runs/` is named after the recipe if not given.
        resume: an interrupted run's folder, instead of `run`; a recipe beside it may differ only in where it runs and
            where its images lie.
        overwrite: clear a folder that already holds a run.

    Raises:
        InputError: if the recipe, the data or the folder cannot be used; nothing has been changed then.
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    check_recipe(recipe)
    if resume and (run or overwrite):
        raise InputError(f"resume={str(resume)!r} goes on in the run's own folder; leave run and overwrite out")
    if resume:
        folder = _unfinished(Path(resume))
        recipe = _continued(folder, recipe or folder.recipe())
    else:
        recipe = recipe or load_recipe(DEFAULT)
        folder = Run(Path(run) if run else _free_path(recipe))
        folder.check_free(overwrite=overwrite)
    fabric = launch(recipe)
    folder = Run(Path(fabric.broadcast(str(folder.path))))
    with ExitStack() as stack:
        if refused := fabric.broadcast(_hold(folder, stack) if fabric.is_global_zero else ""):
            raise InputError(refused)
        _train(recipe, folder, fabric, resumed=bool(resume))
    return folder.path


def _hold(folder: Run, stack: ExitStack) -> str:
    """Keep other processes out until the stack ends; why that cannot be, else."""
    try:
        free = stack.enter_context(folder.held())
    except InputError as error:
        return str(error)
    return "" if free else TAKEN.format(folder.path)


def _train(recipe: Recipe, folder: Run, fabric: Fabric, *, resumed: bool) -> None:
    with fabric.rank_zero_first():
        data = load_data(recipe)
    state = folder.load_checkpoint(recipe, data.train) if resumed else None  # other images are refused before all else
    fit = Fit(recipe, data, fabric, folder, tried=not resumed)  # a run that has begun, or a sweep's cell, was tried
    if resumed:
        fit.restore(state)
    del state  # or a second copy of all weights would last as long as the run
    if fabric.is_global_zero:
        begin = folder.place if resumed else folder.claim
        begin(recipe)
        folder.describe_environment(_facts(fit, data))
        print(_about(data, recipe), file=sys.stderr)
    fit.train()
    if fabric.is_global_zero:
        write_report([folder.path])


def load_learner(run: str | Path) -> Learner:
    """A run's method and adversary as its last checkpoint has them, in evaluation mode; its images must still be there.

    BatchNorm uses its running statistics then, so that what a learned adversary makes of a view does not depend on the
    others in its batch; what a search finds against negatives does.

    Raises:
        InputError: if there is no run, no checkpoint of it, or something of its recipe is not there any more.
    """
    folder = Run.open(Path(run))
    recipe = folder.recipe()
    data = load_data(recipe)
    state = folder.load_checkpoint(recipe, data.train)
    if state is None:
        remedy = "its last.ckpt is gone" if folder.finished else f"go on with: {folder.again}"
        raise InputError(f"{run}: expected a run with a checkpoint, found none; {remedy}")
    with seeded(recipe.seed, "weights"):
        learner = build_learner(recipe, context_of(data), tried=False)
    load_weights(learner, state["learner"], folder.checkpoint)
    return learner.eval()


def load_data(recipe: Recipe) -> DataSet:
    """The data set that a recipe names, be it one of its own parts."""
    load_parts(recipe.parts)
    return load_dataset(**source_of(recipe))


def require_accuracy(recipe: Recipe, who: str) -> None:
    """Refuse images on which no kNN accuracy can be measured, by which `who` goes."""
    data = load_data(recipe)
    if data.test is None or data.test.labels is None or data.train.labels is None:
        raise InputError(f"{who} goes by kNN accuracy on labelled {recipe.evaluate_on} images; {recipe.data} has none")


def source_of(recipe: Recipe) -> dict[str, Any]:
    """What `load_dataset` takes from a recipe."""
    return {
        "name": recipe.data,
        "image_size": recipe.image_size,
        "root": recipe.data_root,
        "max_broken": recipe.max_broken,
        "evaluate_on": recipe.evaluate_on,
        "labels": recipe.labels,
    }


def _unfinished(path: Path) -> Run:
    run = Run.open(path)
    if run.finished:
        raise InputError(
            f"{path}: expected an interrupted run, got one that reached its last epoch; start a new one with --run"
        )
    return run


def _continued(run: Run, recipe: Recipe) -> Recipe:
    """The recipe to go on with: the run's own, but for where it runs and where its images lie."""
    own = run.recipe()
    if run.checkpoint.exists():  # which tells whether they are the same images
        own = replace(own, data=recipe.data)
    if change := changed(own, recipe):
        key, own, asked = change
        raise InputError(f"{run.path}: expected {key} = {own}, as the run began, got {asked}; leave it out of --resume")
    return recipe


def _free_path(recipe: Recipe) -> Path:
    name = f"{Path(recipe.data).name}-{recipe.method.name}-{recipe.adversary.name}-{recipe.transform.name}"
    return next(path for i in count() if not (path := Path("runs") / f"{name}-{i}").exists())


def _about(data: DataSet, recipe: Recipe) -> str:
    """How many images there are, and what was decided about them."""
    tested = f", {len(data.test):,} {recipe.evaluate_on}" if data.test else ""
    count = f"data  {len(data.train):,} training{tested} images"
    grey = "the images look grey: changing their colour changes little" if data.train.is_grey() else ""
    bright = data.train.brightest()
    dark = (
        f"the images are nearly black, at most {bright} of 255 in a hundred of them: stretch them first"
        if bright < DARK
        else ""
    )
    return "; ".join(filter(None, (count, data.note, _about_neighbours(data, recipe), grey, dark)))


def _about_neighbours(data: DataSet, recipe: Recipe) -> str:
    return about_k(recipe.knn_k, data.train.labels) if data.test else ""


def _facts(fit: Fit, data: DataSet) -> dict[str, object]:
    """What a reader of the results must know about data, size and settings that the recipe leaves to their defaults."""
    recipe = fit.recipe
    return {
        "data_note": data.note,
        "knn_note": _about_neighbours(data, recipe),
        "train_images": len(data.train),
        "test_images": len(data.test) if data.test else 0,
        "settings": {
            f"penalty_{part.name}" if kind == "penalty" else kind: tabled(resolved(kind, part))
            for kind, part in recipe.named_parts()
        },
        "encoder_weights": sum(weight.numel() for weight in fit.learner.method.encoder.parameters()),
        "device": str(fit.fabric.device),
        "processes": fit.fabric.world_size,
        "precision": str(fit.precision),
        "threads": torch.get_num_threads(),
    }
