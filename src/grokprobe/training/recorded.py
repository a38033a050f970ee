"""A computation on fixed tensors that a GPU repeats without being told every kernel again."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

Result = TypeVar("Result")


class Recorded(Generic[Result]):
    """Calls ``function``; on CUDA its first call is an ordinary one, the second is recorded, and later ones replay it.

    Launching the small kernels of a step one by one takes longer than they do; a CUDA graph launches all of them at
    once. The function must work on the same tensors at every call, change them in place, read nothing back and have no
    effect besides; recording does not compute, so it is followed by a replay. Its result is overwritten by the next
    call. What torch refuses to record is called as it is from then on.

    Elsewhere than on CUDA it is the function.
    """

    def __init__(self, function: Callable[[], Result], device: torch.device) -> None:
        self._function = function
        self._device = device
        self._is_recordable = device.type == "cuda"
        self._stream: torch.cuda.Stream | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Result | None = None

    def __call__(self) -> Result:
        """Returns what the function returns."""
        if not self._is_recordable:
            return self._function()
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)
            return self._warm_up(self._stream)
        if self._graph is None:
            try:
                self._result, self._graph = _record(self._function, self._stream)
            except RuntimeError:  # an operation that waits for the device, or allocates outside of torch
                self._is_recordable = False
                return self._function()
        self._graph.replay()
        return self._result  # pyright: ignore[reportReturnType] - set with the graph

    def _warm_up(self, stream: torch.cuda.Stream) -> Result:
        """Calls the function on the stream that will be recorded: libraries set themselves up at their first call."""
        present = torch.cuda.current_stream(self._device)
        stream.wait_stream(present)
        with torch.cuda.stream(stream):
            result = self._function()
        present.wait_stream(stream)
        return result


def _record(function: Callable[[], Result], stream: torch.cuda.Stream) -> tuple[Result, torch.cuda.CUDAGraph]:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        result = function()
    return result, graph
