"""lightly's SimSiam and kNN, used as its documentation shows."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sparring.bench.clock import Turn
from sparring.bench.contestants import Arena
from sparring.contracts import Features
from sparring.errors import InputError
from sparring.parts import build, context_of

CHUNK = 512


def require_lightly() -> None:
    """Refuse a comparison with what is not installed."""
    if find_spec("lightly") is None:
        raise InputError("--against lightly: expected lightly, found none; pip install lightly")


class Pictures(Dataset):
    """PIL images under a transform, as a torchvision data set gives them."""

    def __init__(self, pixels: UInt8[Tensor, "n 3 h w"], transform: Callable[[Image.Image], Any]) -> None:
        self.pixels, self.transform = pixels.permute(0, 2, 3, 1).numpy(), transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> list[Tensor]:
        return self.transform(Image.fromarray(self.pixels[index]))


def lightly_steps(arena: Arena) -> Turn:
    """Its SimSiam on the same backbone: its transform, a DataLoader with a worker per thread, its loss, float32."""
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules import SimSiamPredictionHead, SimSiamProjectionHead

    encoder = build("encoder", arena.size.encoder, context_of(arena.data))
    heads = SimSiamProjectionHead(encoder.feature_size, 2048, 2048), SimSiamPredictionHead(2048, 512, 2048)
    model, criterion = nn.ModuleList([encoder, *heads]), NegativeCosineSimilarity()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
    batches = _batches(arena)

    def play(steps: int) -> None:
        for _ in range(steps):
            projections = [model[1](model[0](view)) for view in next(batches)]
            predictions = [model[2](projection) for projection in projections]
            losses = [criterion(predictions[mine], projections[1 - mine].detach()) for mine in (0, 1)]
            (sum(losses) / 2).backward()
            optimiser.step()
            optimiser.zero_grad()

    return play


def _batches(arena: Arena) -> Iterator[list[Tensor]]:
    from lightly.transforms import SimSiamTransform

    pixels = arena.data.train.pixels
    pictures = Pictures(pixels, SimSiamTransform(input_size=pixels.shape[-1], gaussian_blur=0.0))
    loader = DataLoader(
        pictures,
        arena.size.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=torch.get_num_threads(),
        persistent_workers=True,
    )
    while True:
        yield from loader


def lightly_knn(features: Features) -> Tensor:
    """Its kNN predictions, in chunks of 512 queries."""
    from lightly.utils.benchmarking import knn_predict

    bank, labels = F.normalize(features.bank).T, features.bank_labels
    assert labels is not None
    chunks = F.normalize(features.queries).split(CHUNK)
    return torch.cat([knn_predict(chunk, bank, labels, int(labels.max()) + 1, 200, 0.1)[:, 0] for chunk in chunks])
