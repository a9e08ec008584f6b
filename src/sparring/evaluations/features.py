"""Features of clean images under a frozen encoder."""

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sparring.contracts import Features
from sparring.datasets import DataSet
from sparring.gather import shard, unshard
from sparring.memory import release

UNLABELLED_QUERIES = 2000  # without a test split, label-free measures read this many training images


@torch.no_grad()
def extract(
    encoder: nn.Module, pixels: UInt8[Tensor, "n c h w"], *, device: torch.device | str = "cpu", batch_size: int = 512
) -> Float[Tensor, "n d"]:
    """Features in float32 on the CPU; the encoder is in evaluation mode meanwhile. All ranks must call it."""
    was_training = encoder.training
    encoder.eval()
    chunks = []
    for chunk in shard(pixels).split(batch_size):
        images = chunk.to(device).float().div_(255).contiguous(memory_format=torch.channels_last)
        chunks.append(encoder(images).float().cpu())
        release()
    encoder.train(was_training)
    return unshard(torch.cat(chunks), len(pixels))


def features_of(data: DataSet, features: Callable[[Tensor], Tensor]) -> Features:
    """The features of a data set's training (bank) and test images (queries); without a test split a sample of both."""
    bank, test = data.train, data.test
    if test is None:
        sample = features(bank.pixels[:: max(1, len(bank) // UNLABELLED_QUERIES)])
        return Features(sample, sample)
    if bank.labels is None or test.labels is None:
        queries = features(test.pixels)
        return Features(queries, queries)
    return Features(features(bank.pixels), features(test.pixels), bank.labels, test.labels)
