"""What the README says works."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import CONTEXT
from PIL import Image
from torch import nn

import sparring
from sparring.adversaries import ADVERSARIES
from sparring.assembly import build_learner
from sparring.cli import main
from sparring.datasets import DATASETS
from sparring.encoders import ENCODERS
from sparring.errors import InputError
from sparring.evaluations import EVALUATIONS
from sparring.methods import METHODS
from sparring.parts import load_parts
from sparring.penalties import PENALTIES
from sparring.recipe import Part
from sparring.run import Run
from sparring.transforms import TRANSFORMS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = "\n".join((ROOT / name).read_text() for name in ("README.md", "docs/images.md", "docs/python.md"))
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def block(word: str) -> str:
    """The Python of the README, or of a page it leads to, with this word in it."""
    (found,) = [code for code in PYTHON.findall(PAGES) if word in code]
    return found


@pytest.fixture
def loop() -> dict[str, Any]:
    """The README's own training loop with lightly's modules."""
    names: dict[str, Any] = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(block("NegativeCosineSimilarity"), names)
    return names


def gradients(module: nn.Module) -> list[torch.Tensor]:
    return [weight.grad.clone() for weight in module.parameters() if weight.grad is not None]


def test_the_adversary_in_lightlys_loop_ascends_while_the_model_descends(loop: dict[str, Any]) -> None:
    views = torch.rand(2, 16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model, adversary = loop["model"], loop["adversary"]
    before = {name: [w.detach().clone() for w in loop[name].parameters()] for name in ("model", "adversary")}
    seen: dict[str, list[torch.Tensor]] = {}
    for name, optimiser in (("model", loop["descend"]), ("adversary", loop["ascend"])):
        optimiser.register_step_pre_hook(lambda *_, name=name: seen.update({name: gradients(loop[name])}))
    loop["step"](*views)
    for name, module, sign in (("model", model, -1), ("adversary", adversary, 1)):
        assert len(seen[name]) == len(before[name])
        assert any(gradient.abs().max() > 0 for gradient in seen[name])
        for old, weight, gradient in zip(before[name], module.parameters(), seen[name], strict=True):
            assert torch.allclose(weight, old + sign * 0.05 * gradient, atol=1e-6)


def test_the_loop_trains(loop: dict[str, Any], photographs: torch.Tensor) -> None:
    views = photographs.float(), photographs.float().flip(3)
    losses = [loop["step"](*views).item() for _ in range(12)]
    assert losses[-1] < losses[0]


def test_a_learner_plays_in_a_loop_of_ones_own(photographs: torch.Tensor) -> None:
    names: dict[str, Any] = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(block("BestOf"), names)
    images = photographs.float()
    losses = [names["play"](images, images.flip(3), torch.arange(12), step).item() for step in range(12)]
    assert losses[-1] < losses[0]


def test_the_command_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block("sparring.train").replace("epochs=1", "epochs=1, image_size=16"), names)
    assert names["run"] == Path("runs/sample-simsiam-learned-rotation-0")
    assert names["encoder"](torch.rand(2, 3, 16, 16)).shape == (2, 128)
    folder = Path("path/to/images")
    folder.mkdir(parents=True)
    for colour in ("red", "green", "blue", "white", "black", "grey"):
        Image.new("RGB", (80, 90), colour).save(folder / f"{colour}.png")
    exec(block("read_image"), names)
    assert names["features"].shape == (6, 128)
    main(["evaluate", *map(str, (names["run"], "--data", folder)), *["--features", "features.safetensors"]])
    exec(block("bank_files"), kept := {})
    assert sorted(kept["names"]) == [path.name for path in names["paths"]]
    assert kept["nearest"].tolist()[0] == 0
    exec(block("features_of").replace("image_size=32", "image_size=16"), names)
    assert names["figures"].keys() == {"knn"}
    assert names["figures"]["knn"] > 20  # of ten classes
    exec(block("degrees"), names)
    assert names["turned"].transform.settings == {"degrees": 45}
    build_learner(names["turned"], CONTEXT)
    exec(block("load_learner"), {**names, "images": names["images"][:, :, :16, :16], "sparring": sparring})
    assert sparring.load_encoder(names["run"] / "encoder.safetensors").feature_size == 128
    (tmp_path / "other.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"expected the encoder\.safetensors of a run, got another file"):
        sparring.load_encoder(tmp_path / "other.safetensors")


def test_parts_of_ones_own_train_in_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/extending.md: a part of each kind in a file, which the processes of a sweep must find."""
    monkeypatch.chdir(tmp_path)
    code = PYTHON.findall((ROOT / "docs" / "extending.md").read_text())
    Path("mine.py").write_text("\n".join(code))
    recipe = sparring.Recipe(
        epochs=1,
        image_size=16,
        parts=("mine.py",),
        transform=Part("fog", {"thickest": 0.3}),
        adversary=Part("wider"),
        method=Part("finding", {"sharpness": 4}),
        encoder=Part("tiny", {"width": 16}),
        penalties=(Part("darkness", {"allowed": -1.0}),),
    )
    with monkeypatch.context() as added:
        own_parts = {"fog": TRANSFORMS, "wider": ADVERSARIES, "darkness": PENALTIES}
        for name, table in {**own_parts, "finding": METHODS, "tiny": ENCODERS}.items():
            added.setitem(table, name, None)  # type: ignore[arg-type]
        (cell,) = sparring.sweep(recipe, out="runs", seeds=1)
        assert cell.failure == ""
        assert sparring.load_encoder(cell.path)(torch.rand(2, 3, 16, 16)).shape == (2, 16)
        capsys.readouterr()
        main(["list", "--parts", "mine.py", "--json"])
        shown = {row["name"]: row["settings"] for row in json.loads(capsys.readouterr().out)}
        assert (shown["fog"], shown["tiny"]) == ({"thickest": 0.5}, {"width": 32})
        assert {"wider", "darkness", "finding"} <= shown.keys()
        shares = [line["adversary/fog/share"] for line in Run(cell.path).metrics() if "adversary/fog/share" in line]
        assert all(share == pytest.approx(0.3 * 2 / 3, abs=0.03) for share in shares)  # the mean of a root is 2/3
        assert shares
        paid = [line["penalty/second*"] for line in Run(cell.path).metrics() if "loss" in line]
        assert paid
        assert all(0.5 < cost < 1 for cost in paid)  # allowed is -1, and fog is brighter by up to 0.3
        plain = sparring.train(sparring.Recipe(epochs=1, image_size=16, encoder=Part("resnet12")), run="plain")
        added.setitem(EVALUATIONS, "size", None)
        added.delitem(sys.modules, str(tmp_path / "mine.py"), raising=False)
        main(["evaluate", str(plain), "--probe", "size", "--parts", "mine.py"])
        assert Run(plain).evaluations()["sample"]["figures"] == {"size": 128.0}
        added.delitem(DATASETS, "noise")
        added.delitem(sys.modules, str(tmp_path / "mine.py"), raising=False)
        own = sparring.train(sparring.Recipe(data="noise", image_size=16, epochs=1, parts=("mine.py",)), run="own")
        known = json.loads((own / "environment.json").read_text())
        assert (known["train_images"], known["settings"]["encoder"]["width"]) == (480, 0.25)
        assert Run(own).recipe().data == "noise"
        assert Run(own).metrics()[-1]["knn"] > 50
    with pytest.raises(InputError, match="parts: expected a Python file, such as"):
        load_parts(["none.py"])


def test_every_command_line_is_understood() -> None:
    from sparring.cli import parse

    blocks = re.findall(r"```\n(.*?)```", PYTHON.sub("", README), re.DOTALL)
    lines = [
        line.partition("  #")[0] for block in blocks for line in block.splitlines() if line.startswith("sparring ")
    ]
    assert len(lines) >= 12
    import shlex

    for line in lines:
        assert callable(parse(shlex.split(line)[1:]))
