"""The `onward` command: list, train, evaluate, predict, export, measure, compare, report, simulate, ..."""

import os
import sys
from collections.abc import Callable, Sequence

import torch

from onward.cli import compare, evaluate, export, listing, measure, predict, reproduce, results, simulate, train
from onward.cli.arguments import CommandLineError, nearest
from onward.distributed import PipelineFault
from onward.runs import Interrupted
from onward.runs.allocator import keep_freed_memory
from onward.runs.pipelined import leave

_USAGE = """usage: onward COMMAND ...

  list                     algorithms, recipes and data sets, a line each
  train [RECIPE]           carry out a recipe; without a name, the default on scikit-learn's digits
  train --resume RUN       go on with a run that was stopped
  evaluate RUN             accuracy of a finished run, by inference rule and by block
  predict RUN IMAGE...     class, confidence and the scores of each block
  export RUN --out DIR     the model without the blocks that its inference rule does not read
  measure RECIPE           operations, time and memory of a training step, beside backprop's
  compare RECIPE...        accuracy, also under noise, memory, time and energy side by side; a page with figures
  report RUN...            the same page for finished runs
  simulate RECIPE          a pipeline over many devices on paper: step time, utilisation, memory of each stage
  reproduce RECIPE         run it with several seeds and stand the result beside the published number
  results                  make results/RESULTS.md from the recorded runs

`onward COMMAND --help` explains a command; `onward train RECIPE --help` lists what can be changed in a recipe.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 2 for a user's error with one line, 128 + signal if stopped."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE, end="")
        return 0 if words else 2
    commands = _commands()
    keep_freed_memory()
    torch.set_flush_denormal(True)  # numbers too small to matter would slow a processor down by half
    try:
        if words[0] not in commands:
            raise CommandLineError(f"unknown command {words[0]!r}{nearest(words[0], commands)}; see onward --help")
        commands[words[0]](words[1:])
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code
    except PipelineFault as fault:
        leave(str(fault))
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("onward: stopped", file=sys.stderr)
        return 130
    except torch.OutOfMemoryError:
        print("onward: the device has too little memory; try a smaller --batch-size or --memory-limit", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"onward: {error}", file=sys.stderr)
        return 2
    finally:
        torch.set_flush_denormal(False)
    return 0


def _commands() -> dict[str, Callable[[Sequence[str]], None]]:
    return {
        "list": listing.run,
        "train": train.run,
        "evaluate": evaluate.run,
        "predict": predict.run,
        "export": export.run,
        "measure": measure.run,
        "compare": compare.run,
        "report": compare.run_report,
        "simulate": simulate.run,
        "reproduce": reproduce.run,
        "results": results.run,
    }
