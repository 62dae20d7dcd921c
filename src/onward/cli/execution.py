"""Execution of a command that computes: settings of the processor, and messages for a stop or too little memory."""

import warnings
from collections.abc import Callable, Sequence

from onward.pipeline import PipelineFault
from onward.pipeline.run import leave
from onward.runs import Interrupted
from onward.screen import say
from onward.training.process import is_out_of_memory, processor_set_up


def work(command: Callable[[Sequence[str]], None], words: Sequence[str]) -> int:
    """Run a command; return its exit code. Raises ValueError and OSError for a user's error."""
    shown_before, warnings.showwarning = warnings.showwarning, _show_warning
    try:
        with processor_set_up():
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
        warnings.showwarning = shown_before
    return 0


def _show_warning(message: Warning | str, *_: object) -> None:
    """Print a library's warning like an error: on one line, without its source file."""
    say(f"onward: warning: {message}", error=True)
