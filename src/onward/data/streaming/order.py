"""The order of a stream: shuffled by pieces and by a buffer, from a seed alone; every image occurs once."""
# N rows, S steps, B images in a batch, L lanes, D rows of a lane

import math

import torch
from jaxtyping import Int64
from torch import Tensor

LANES = 8


def stream_order(piece_of: Int64[Tensor, "N"], *, batch_size: int, buffer: int, seed: int) -> Int64[Tensor, "S B"]:
    """Which rows each batch of an epoch takes, if row n lies in piece `piece_of[n]`; a last, partial batch is dropped.

    Pieces are put into random order and cut into equal lanes, as many as divide a batch, up to eight. Each lane fills
    positions of its own in every batch: a reader of some positions of all batches reads some lanes only. Inside a lane
    every row is delayed by a random number of rows, up to the lane's share of `buffer`. So at most `buffer` rows have
    been passed and not yet been used, as with a shuffle buffer; but the order is known without filling one.
    """
    generator = torch.Generator().manual_seed(seed)
    rank = torch.randperm(int(piece_of.max()) + 1, generator=generator)
    rows = rank[piece_of].argsort(stable=True)
    lanes = math.gcd(batch_size, LANES)
    length = len(rows) // lanes
    delay = torch.rand(lanes, length, generator=generator, dtype=torch.float64) * (buffer / lanes)
    delayed = (torch.arange(length) + delay).argsort(dim=1, stable=True)
    steps, share = len(rows) // batch_size, batch_size // lanes
    taken = rows[: lanes * length].view(lanes, length).gather(1, delayed)[:, : steps * share]
    return taken.reshape(lanes, steps, share).transpose(0, 1).reshape(steps, batch_size)
