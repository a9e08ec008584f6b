"""lightly's SimSiam, SimCLR and kNN, used as its documentation shows."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sparring.assembly import context_of
from sparring.bench.clock import Turn
from sparring.bench.contestants import Arena
from sparring.contracts import Features
from sparring.encoders import Encoder
from sparring.errors import InputError, unknown
from sparring.parts import build

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


class Peer:
    """One of lightly's methods on an encoder of ours, in float32, with the settings of its CIFAR-10 benchmark.

    Args:
        name: simsiam or simclr.
        encoder: the backbone.
        side: of the images, in pixels.
    """

    def __init__(self, name: str, encoder: Encoder, side: int) -> None:
        from lightly.loss import NegativeCosineSimilarity, NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead, SimSiamPredictionHead, SimSiamProjectionHead
        from lightly.transforms import SimCLRTransform, SimSiamTransform

        size = encoder.feature_size
        if name == "simclr":
            heads, self.criterion, self.loss = [SimCLRProjectionHead(size, 512, 128)], NTXentLoss(), self._simclr
            self.transform: Any = SimCLRTransform(input_size=side, cj_strength=0.5, gaussian_blur=0.0)
        elif name == "simsiam":
            heads = [SimSiamProjectionHead(size, 2048, 2048), SimSiamPredictionHead(2048, 512, 2048)]
            self.criterion, self.loss = NegativeCosineSimilarity(), self._simsiam
            self.transform = SimSiamTransform(input_size=side, gaussian_blur=0.0)
        else:
            raise unknown("method of lightly's", name, ("simclr", "simsiam"))
        self.encoder, self.heads = encoder, nn.ModuleList(heads)
        weights = [*encoder.parameters(), *self.heads.parameters()]
        self.optimiser = torch.optim.SGD(weights, lr=0.06, momentum=0.9, weight_decay=5e-4)

    def loader(self, pixels: UInt8[Tensor, "n 3 h w"], batch_size: int) -> DataLoader:
        """Its transform in a worker per thread; workers start once."""
        return DataLoader(
            Pictures(pixels, self.transform),
            batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=torch.get_num_threads(),
            persistent_workers=True,
        )

    def step(self, views: list[Tensor]) -> None:
        """One update on two views."""
        self.loss(views).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()

    def _simclr(self, views: list[Tensor]) -> Tensor:
        return self.criterion(*(self.heads[0](self.encoder(view)) for view in views))

    def _simsiam(self, views: list[Tensor]) -> Tensor:
        projections = [self.heads[0](self.encoder(view)) for view in views]
        predictions = [self.heads[1](projection) for projection in projections]
        losses = [self.criterion(predictions[mine], projections[1 - mine].detach()) for mine in (0, 1)]
        return torch.stack(losses).mean()


def lightly_steps(arena: Arena) -> Turn:
    """Its SimSiam on the same backbone."""
    pixels = arena.data.train.pixels
    peer = Peer("simsiam", build("encoder", arena.size.encoder, context_of(arena.data)), pixels.shape[-1])
    batches = _endless(peer.loader(pixels, arena.size.batch_size))

    def play(steps: int) -> None:
        for _ in range(steps):
            peer.step(next(batches))

    return play


def _endless(loader: DataLoader) -> Iterator[list[Tensor]]:
    while True:
        yield from loader


def lightly_knn(features: Features) -> Tensor:
    """Its kNN predictions, in chunks of 512 queries."""
    from lightly.utils.benchmarking import knn_predict

    bank, labels = F.normalize(features.bank).T, features.bank_labels
    assert labels is not None
    chunks = F.normalize(features.queries).split(CHUNK)
    return torch.cat([knn_predict(chunk, bank, labels, int(labels.max()) + 1, 200, 0.1)[:, 0] for chunk in chunks])
