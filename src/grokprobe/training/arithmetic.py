"""The state of the processor that training depends on, set for as long as it lasts and put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def single_thread() -> Iterator[None]:
    """Runs torch on one thread, so that sums are taken in one order on every machine."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Takes numbers below the normal range, 1.2e-38 in float32, as zero in the calling thread.

    Weight decay shrinks the weights of a neuron that no longer fires towards zero by a constant factor a step; once
    they and their moments are denormal, every product with them is computed in microcode and an epoch takes several
    times as long. The switch belongs to a thread, so it is of use only inside :func:`single_thread`. A processor
    without it computes the same to within 1e-38, more slowly.
    """
    was_flushed = not bool(torch.full((1,), 1e-40).mul(1.0))
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was_flushed)


@contextmanager
def exact_products() -> Iterator[None]:
    """Has a GPU multiply float32 numbers as such; by default it rounds those of a convolution to 10 bits (TF32).

    Whoever has asked torch for TF32 in matrix products, which are exact by default, gets it in both.
    """
    matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    if matmul:
        yield
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolution
