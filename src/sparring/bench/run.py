"""Measure, print, keep."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from sparring.bench.clock import Times, Turn, take_turns
from sparring.bench.contestants import VANILLA, Arena, contestants
from sparring.bench.elsewhere import elsewhere
from sparring.bench.limit import MATRIX, flops_of, limit, product
from sparring.bench.peer import lightly_knn, lightly_steps, require_lightly
from sparring.contracts import Features
from sparring.environment import environment
from sparring.evaluations import Knn
from sparring.files import check_writable, write_json
from sparring.memory import peak
from sparring.options import Bench
from sparring.recipe import Recipe
from sparring.recipe_files import dump_recipe, shipped_recipes
from sparring.training import load_data

CONSOLE = Console(highlight=False, markup=False)
LIMIT, LIGHTLY = "the limit", "lightly"
BANK, DIMENSIONS, CLASSES = 50_000, 256, 10
FAST = 20
"""Batches of views, and products, in a turn."""


@dataclass(frozen=True)
class Result:
    """What was measured, in the units of the names."""

    batch_size: int
    seconds_per_step: dict[str, tuple[float, ...]]
    """By contestant, a value for each repetition."""
    seconds_for_views: tuple[float, ...]
    """For both base views of a batch."""
    seconds_for_knn: dict[str, tuple[float, ...]]
    flops_per_step: int
    flops_per_second_of_a_product: float
    peak_mib: float
    """Of the whole process, which holds all contestants at once."""

    def rows(self) -> list[dict[str, float | str]]:
        """A row for each contestant: images per second and the ratios."""
        times = {name: Times(seconds) for name, seconds in self.seconds_per_step.items()}
        return [self._row(name, own, times) for name, own in times.items()]

    def _row(self, name: str, own: Times, times: dict[str, Times]) -> dict[str, float | str]:
        middle, least, most = own.rates(self.batch_size)
        row: dict[str, float | str] = {"contestant": name, "images_per_second": middle, "least": least, "most": most}
        row |= {"cost": own.median / times[VANILLA].median, "of_the_limit": times[LIMIT].median / own.median}
        return row | ({"over_lightly": times[LIGHTLY].median / own.median} if LIGHTLY in times else {})

    def figures(self) -> dict[str, float]:
        """What is not a contestant's: microseconds, shares and seconds."""
        times = {name: Times(self.seconds_per_step[name]) for name in (VANILLA, LIMIT)}
        share = {
            name: self.flops_per_step / own.median / self.flops_per_second_of_a_product for name, own in times.items()
        }
        return {
            "microseconds_for_two_views_of_an_image": 1e6 * Times(self.seconds_for_views).median / self.batch_size,
            "flops_share_of_a_product_vanilla": share[VANILLA],
            "flops_share_of_a_product_limit": share[LIMIT],
            **{f"seconds_for_knn_{name}": Times(own).median for name, own in self.seconds_for_knn.items()},
            "peak_mib": self.peak_mib,
        }


def bench(asked: Bench) -> None:
    """Let all take turns, show what came out, and keep it in a file."""
    size, peer = asked.size(), asked.against != "nobody"
    if peer:
        require_lightly()
    out = asked.out or Path(f"bench-{datetime.now():%Y-%m-%d-%H%M%S}.json")
    check_writable(out)
    recipes = list(shipped_recipes()) if asked.recipes == ("all",) else asked.recipes
    result = measure(size, recipes=recipes, peer=peer, repetitions=asked.repetitions, steps=asked.steps)
    around = {**environment(*([asked.against] if peer else [])), "threads": torch.get_num_threads()}
    kept = {
        "environment": around,
        "recipe": dump_recipe(replace(size, data_root=None)),
        "steps": asked.steps,
        **asdict(result),
    }
    kept |= {"table": result.rows(), "figures": result.figures()}
    write_json(out, kept)
    if asked.json:
        print(json.dumps(kept, indent=2))
    else:
        show(result)
        versions = ", ".join(f"{name} {around[name]}" for name in ("torch", "sparring"))
        where = f"{around['processor']}, {around['threads']} threads, {versions} {around['commit']}".rstrip()
        CONSOLE.print(f"measured on  {where}", soft_wrap=True)
        CONSOLE.print(f"figures  {out}", soft_wrap=True)


def measure(
    size: Recipe, *, recipes: Sequence[str], peer: bool, repetitions: int, steps: int, bank: int = BANK
) -> Result:
    """Seconds of all contestants in one alternation, then of views, of a matrix product, and of kNN."""
    arena = Arena(load_data(size), size)
    fit = arena.vanilla()
    training = {**contestants(arena, recipes), LIMIT: limit(fit)}
    features = random_features(bank)
    parts: dict[str, Turn] = {
        "views": lambda count: [fit.batches.training(0) for _ in range(count)],
        "product": product(fit.precision, fit.fabric.device),
    }
    neighbours: dict[str, Turn] = {"sparring": lambda count: Knn().predict(features)}
    neighbours |= {LIGHTLY: lambda count: lightly_knn(features)} if peer else {}
    with Console(stderr=True).status("") as status:
        turn = partial(take_turns, repetitions=repetitions, say=status.update)
        with elsewhere(lightly_steps, arena) if peer else nullcontext() as lightly:
            trained = turn(training | ({LIGHTLY: lightly} if lightly else {}), steps=steps)
        small, found = turn(parts, steps=FAST), turn(neighbours, steps=1)
    return Result(
        batch_size=size.batch_size,
        seconds_per_step={name: times.seconds for name, times in trained.items()},
        seconds_for_views=small["views"].seconds,
        seconds_for_knn={name: times.seconds for name, times in found.items()},
        flops_per_step=flops_of(arena),
        flops_per_second_of_a_product=2 * MATRIX**3 / small["product"].median,
        peak_mib=peak(),
    )


def random_features(bank: int) -> Features:
    """Unit features of ten classes, a fifth as many queries as in the bank."""
    generator = torch.Generator().manual_seed(0)
    rows, queries = (F.normalize(torch.randn(n, DIMENSIONS, generator=generator)) for n in (bank, bank // 5))
    return Features(rows, queries, torch.arange(len(rows)) % CLASSES, torch.arange(len(queries)) % CLASSES)


def show(result: Result) -> None:
    """Print the tables."""
    rows = result.rows()
    peer = "over_lightly" in rows[0]
    table = Table("", "images/s", "least to most", "cost", "of the limit", *(["over lightly"] if peer else []))
    for row in rows:
        values = [f"{row['images_per_second']:,.0f}", f"{row['least']:,.0f} to {row['most']:,.0f}"]
        values += [f"{row['cost']:.2f}", f"{row['of_the_limit']:.2f}"]
        table.add_row(str(row["contestant"]), *values, *([f"{row['over_lightly']:.2f}x"] if peer else []))
    CONSOLE.print(table)
    for name, value in result.figures().items():
        CONSOLE.print(f"{name.replace('_', ' '):42s} {value:10.2f}")
