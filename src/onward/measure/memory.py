"""Memory: tensors that autograd saves for a backward pass, and the peak of the process."""

import sys
import weakref
from collections.abc import Iterable

import torch
from torch import Tensor


class SavedBytes:
    """Counts, inside a `with`, the bytes of storage that autograd keeps alive: `alive` now and `peak` so far.

    A storage counts once, whole, however many saved tensors view it; `parameters` never count. Bytes are released with
    their graph. Independent of device and allocator, so equal code gives equal numbers; gradients, optimizer state and
    workspaces are not counted. A meter is for one thread.
    """

    def __init__(self, parameters: Iterable[Tensor] = ()):
        self.alive = 0
        self.peak = 0
        self._parameters = [p.untyped_storage() for p in parameters]
        self._uses: dict[int, int] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack)

    def __enter__(self) -> "SavedBytes":
        self._hooks.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._hooks.__exit__(*exception)

    def _pack(self, tensor: Tensor) -> "_Saved":
        # Detached: a saved tensor with a grad_fn would keep its own graph alive, and never be released.
        saved = _Saved(tensor.detach())
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        if size and all(key != parameter.data_ptr() for parameter in self._parameters):
            self._uses[key] = self._uses.get(key, 0) + 1
            if self._uses[key] == 1:
                self.alive += size
                self.peak = max(self.peak, self.alive)
            weakref.finalize(saved, self._release, key, size)
        return saved

    def _release(self, key: int, size: int) -> None:
        self._uses[key] -= 1
        if not self._uses[key]:
            del self._uses[key]
            self.alive -= size


class _Saved:
    def __init__(self, tensor: Tensor):
        self.tensor = tensor


def _unpack(saved: _Saved) -> Tensor:
    return saved.tensor


def peak_memory(device: torch.device) -> tuple[int, str]:
    """Return the most memory used so far, in bytes, and the name of the meter.

    On CUDA: the peak of allocated memory since the process began, or since `torch.cuda.reset_peak_memory_stats`.
    Elsewhere: the largest resident set of the process since it began, which includes libraries and data and cannot be
    reset. The two must not be compared with each other.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), "torch.cuda.max_memory_allocated"
    import resource  # exists on Unix alone

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "peak resident set (getrusage)"
