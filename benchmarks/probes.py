"""Seconds for kNN and for a linear probe on frozen features: sparring, and lightly as a peer.

    sparring evaluate RUN --features FILE.safetensors
    python benchmarks/probes.py --features FILE.safetensors [--repetitions 5] [--out FILE.json]

Contestants take turns within one run. kNN: k = 200, t = 0.1, lightly's `knn_predict` in chunks of 512 queries; how many
predictions differ is counted. Linear probe: scikit-learn's L-BFGS with C chosen from five on held-out images, against
lightly's `LinearClassifier` (SGD, 90 epochs, batch 256, on Lightning) on the same features, once each.
"""

import json
import logging
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from sparring.bench.peer import lightly_knn
from sparring.contracts import Features
from sparring.environment import environment
from sparring.evaluations import Knn, Linear
from sparring.memory import peak


@dataclass
class Options:
    features: Path
    """What `sparring evaluate RUN --features FILE.safetensors` saved."""
    repetitions: int = 5
    """Turns of each kNN."""
    out: Path | None = None
    """JSON file to write."""
    only: str | None = None
    """Run one contestant once and print its peak memory: how this script calls itself."""


def _read(path: Path) -> Features:
    return Features(**{name: value.clone() for name, value in load_file(path).items()})  # read, not only mapped


def ours_knn(features: Features) -> Tensor:
    return Knn().predict(features)[0]


def ours_linear(features: Features) -> float:
    return Linear()(features)["linear"]


def lightly_linear(features: Features) -> float:
    import pytorch_lightning
    from lightly.utils.benchmarking import LinearClassifier

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    classes, size = int(features.bank_labels.max()) + 1, features.bank.shape[1]
    model = LinearClassifier(nn.Identity(), 256, feature_dim=size, num_classes=classes, topk=(1,))
    trainer = pytorch_lightning.Trainer(
        max_epochs=90, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    bank = TensorDataset(features.bank, features.bank_labels)
    trainer.fit(model, DataLoader(bank, 256, shuffle=True, drop_last=True))
    predicted = model.eval()(features.queries).argmax(dim=1)
    return (predicted == features.query_labels).float().mean().item() * 100


KNN: dict[str, Callable[[Features], Tensor]] = {"sparring": ours_knn, "lightly": lightly_knn}
LINEAR: dict[str, Callable[[Features], float]] = {"sparring": ours_linear, "lightly": lightly_linear}


def peak_memory(name: str, options: Options) -> float:
    """MiB that one kNN adds to the resident peak, in a process of its own."""
    command = [sys.executable, __file__, "--features", str(options.features), "--only", name]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main(options: Options) -> None:
    features = _read(options.features)
    if options.only:
        small = Features(features.bank, features.queries[:2], features.bank_labels, features.query_labels)
        KNN[options.only](Features(small.bank[:1000], small.queries, small.bank_labels[:1000], small.query_labels))
        before = peak()
        KNN[options.only](features)
        print(peak() - before)
        return
    seconds: dict[str, list[float]] = {name: [] for name in KNN}
    predicted = {}
    for repetition in range(options.repetitions + 1):  # the first warms up
        for name, knn in KNN.items():
            began = time.perf_counter()
            predicted[name] = knn(features)
            if repetition:
                seconds[name].append(time.perf_counter() - began)
    differing = (predicted["sparring"] != predicted["lightly"]).sum().item()
    memory = {name: peak_memory(name, options) for name in KNN}
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{tuple(features.queries.shape)} queries, {tuple(features.bank.shape)} bank; {differing} predictions differ")
    for name, values in seconds.items():
        print(
            f"kNN     {name:10s} {medians[name]:6.2f} s ({min(values):.2f} to {max(values):.2f})"
            f"  {medians['lightly'] / medians[name]:.2f}x  {memory[name]:6.0f} MiB"
        )
    linear = {}
    for name, probe in LINEAR.items():
        began = time.perf_counter()
        accuracy = probe(features)
        linear[name] = {"seconds": time.perf_counter() - began, "accuracy": accuracy}
        print(f"linear  {name:10s} {linear[name]['seconds']:6.2f} s  {accuracy:.2f} %")
    if options.out:
        knn_result = {"seconds": seconds, "peak_mib": memory, "differing": differing}
        shape = {"bank": list(features.bank.shape), "queries": list(features.queries.shape)}
        result = {"environment": environment("lightly", "scikit-learn"), **shape, "knn": knn_result, "linear": linear}
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
