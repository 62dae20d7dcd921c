"""What surrounds every command that computes: the processor's settings, and what a stop or a full memory comes to."""

from collections.abc import Callable, Sequence

import torch

from onward.distributed import PipelineFault
from onward.runs import Interrupted
from onward.runs.allocator import is_out_of_memory, keep_freed_memory
from onward.runs.pipelined import leave
from onward.screen import say


def work(command: Callable[[Sequence[str]], None], words: Sequence[str]) -> int:
    """Run a command; return its exit code. Raises ValueError and OSError for what a user can mend."""
    keep_freed_memory()
    torch.set_flush_denormal(True)  # numbers too small to matter would slow a processor down by half
    try:
        command(words)
    except Interrupted as stop:
        say(stop, error=True)
        return stop.exit_code
    except PipelineFault as fault:
        leave(str(fault))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        say("onward: there is too little memory; try a smaller --batch-size, --memory-limit or network", error=True)
        return 2
    finally:
        torch.set_flush_denormal(False)
    return 0
