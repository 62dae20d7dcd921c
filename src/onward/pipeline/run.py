"""Training a recipe in many processes: placement of blocks, one run folder, and faults of ranks."""

import hashlib
import os
import platform
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onward.core import Count, EpochDone, Learner, LocalTrainer, Positive, check_fields
from onward.costs.blocks import Balance, block_costs
from onward.data import Splits, TrainLoader
from onward.pipeline import (
    PATIENCE,
    Message,
    MessagePrecision,
    PipelineFault,
    Ranks,
    Stages,
    carve,
    check_replicas,
    join,
    place,
    possible_cuts,
    stages_of,
)
from onward.pipeline.neighbors import StageNeighbors
from onward.pipeline.placement import check_stages
from onward.recipes import Recipe
from onward.runs import checkpoints
from onward.runs.codec import encode
from onward.runs.environment import choose_device, environment
from onward.runs.folder import RunFolder
from onward.runs.model import ModelSpec, spec_for
from onward.runs.result import Placement, RunEnvironment, RunResult
from onward.runs.start_messages import announce, images_of
from onward.runs.train import (
    Interrupted,
    RunOptions,
    begin,
    check_data,
    conclude,
    follow,
    judge,
    loggers_of,
    test_values,
)
from onward.screen import hold_back_all_but_first, shown
from onward.storage.disk import sweep
from onward.storage.forms import naming
from onward.storage.locks import trained_here
from onward.training.finite import check_finite
from onward.training.interrupt import StopRequest, stop_requests
from onward.training.logger import logged
from onward.training.loop import StepDone, Training
from onward.training.neighbors import Stopped
from onward.training.progress import Display

Outcome = tuple[RunFolder, RunResult]


@dataclass(frozen=True)
class Pipelining:
    """How a training is spread over processes; only bf16 messages change its result."""

    stages: tuple[Count, ...] = ()
    """Blocks of each stage, such as 4 4 9; nothing: balanced by cost, cut where least is sent."""
    replicas: Count = 1
    """Processes that share the batches of each stage."""
    messages: MessagePrecision = "exact"
    """exact, or bf16: half the bytes between stages, not the same bits."""
    balance: Balance = "measured"
    """The cost by which stages are balanced: measured seconds, or counted operations."""
    patience: Positive = PATIENCE
    """Seconds that one step, or one batch of an evaluation, may take before its rank counts as hung."""

    def __post_init__(self):
        check_fields(self)


def train_pipelined(
    recipe: Recipe | None, options: RunOptions, how: Pipelining, *, resume: Path | None = None, record: bool = True
) -> Outcome | None:
    """Train as `train` and `resume` do, as one of the processes that torchrun started.

    Weights, metrics and result are those of one process, bit for bit on the same CPU, if messages are exact and there
    are no replicas. Returns run folder and result on the rank that writes, None on all others. After a restart by
    torchrun the run continues from its last checkpoint.

    Raises ValueError for a user's error, Interrupted after a signal, PipelineFault if another rank failed.
    """
    ranks = join(leave, patience=how.patience)
    try:
        with ExitStack() as held:
            run = _Run(ranks, recipe, options, how, resume, held)
            run.notes = {} if record else {"record": False}
            return run.carry_out()
    except (Interrupted, PipelineFault):
        raise
    except BaseException as error:
        ranks.watch.report(f"rank {ranks.rank} on {socket.gethostname()} stopped: {_first_line(error)}", own=True)
        raise


class _Run:
    """The steps from a recipe to a result, on one rank."""

    def __init__(
        self,
        ranks: Ranks,
        recipe: Recipe | None,
        options: RunOptions,
        how: Pipelining,
        resume: Path | None,
        held: ExitStack,
    ):
        """Contexts entered into `held` stay open until this process leaves the run."""
        self.ranks, self.options, self.how, self.held = ranks, options, how, held
        self.notes: dict[str, Any] = {}
        self.resumed = RunFolder.open(resume) if resume is not None else None
        if recipe is None:
            assert self.resumed is not None
            recipe = self.resumed.recipe()
        self.recipe = recipe
        self.device = _device(options.device)
        loggers_of(options, Path())  # a missing package is reported before other ranks wait

    def carry_out(self) -> Outcome | None:
        recipe, ranks = self.recipe, self.ranks
        if recipe.trainer.order != "joint":
            raise ValueError(
                "order cascade trains one span at a time, so all but one stage would be idle: use order joint"
            )
        data = images_of(recipe, self.options.data_dir, self.options.workers, begun=self.resumed is not None)
        spec = spec_for(recipe.algorithm, recipe.net, data, recipe.class_weights)
        learner = spec.build(seed=recipe.seed)
        _check_rules(learner)
        ranks.check_same(self._fingerprint(data))
        batch_size = min(recipe.batch_size, len(data.train))
        check_replicas(learner, self.how.replicas, batch_size, recipe.trainer.micro_batches)
        stages = self._placement(data, spec, learner)
        ranks.link(len(stages), self.how.replicas, self.device, self.how.messages)
        owned = stages[ranks.stage]
        host = socket.gethostname()
        ranks.watch.name = f"rank {ranks.rank} on {host}, with blocks {owned.start} to {owned.stop - 1},"
        folder, kind = self._folder(data, stages)
        if kind == "finished":
            result = folder.result()
            assert result is not None
            self._part()
            return (folder, result) if ranks.writes else None
        if ranks.writes:
            announce(recipe, data, learner, self.device, folder.path)
        with stop_requests() as stop:
            neighbors = StageNeighbors(ranks, owned, requested=self._requested(stop))
            training = begin(recipe, data, carve(learner, owned).to(self.device), self.options, neighbors)
            if kind is not None:
                with naming(f"the checkpoint in {folder.path} does not fit this run"):
                    training.load_state(*checkpoints.read(folder.path, kind, owned))
            self._train(training, folder)
        return self._finish(training, folder, data, spec)

    def _fingerprint(self, data: Splits) -> dict[str, Any]:
        return {
            "version of the code": _source_digest(),
            "version of torch": torch.__version__,
            "recipe": encode(self.recipe),
            "data checksum": data.checksum,
            "kind of device": self.device.type,
            "pipeline": asdict(self.how),
            "byte order": platform.machine(),
        }

    def _placement(self, data: Splits, spec: ModelSpec, learner: Learner) -> Stages:
        count, cuts = len(learner.blocks), possible_cuts(learner.turns, len(learner.blocks))
        if self.how.replicas < 1 or self.ranks.world % self.how.replicas:
            raise ValueError(f"--replicas {self.how.replicas} must divide the {self.ranks.world} processes that run")
        if self.how.stages:
            return stages_of(self.how.stages, cuts, count)
        number = self.ranks.world // self.how.replicas
        check_stages(number, cuts)
        if number == 1:
            return (range(count),)
        if self.ranks.rank == 0:
            costs = self._costs(data, spec)
            chosen = place(costs.step, costs.entering, cuts, number)
            self.ranks.publish("placement", [[stage.start, stage.stop] for stage in chosen])
        return tuple(range(first, stop) for first, stop in self.ranks.wait_for("placement"))

    def _costs(self, data: Splits, spec: ModelSpec):
        learner = spec.build(seed=self.recipe.seed).laid_out(self.recipe.trainer, self.device)
        trainer = LocalTrainer(learner, self.recipe.trainer)
        loader = TrainLoader(data.train, batch_size=self.recipe.batch_size, device=self.device)
        return block_costs(trainer, *next(loader.epoch(0)), balance=self.how.balance)

    def _folder(self, data: Splits, stages: Stages) -> tuple[RunFolder, str | None]:
        """Return the run folder, and the checkpoint that all ranks continue from: its kind, None, or `finished`."""
        if self.ranks.rank == 0:
            self.ranks.publish("session", _session())
        if self.ranks.writes:
            folder = self._open(data, stages)
            self.held.enter_context(trained_here(folder.path))
            sweep(folder.path)
            checkpoint = checkpoints.latest(folder.path)
            kind = "finished" if folder.result() is not None else None if checkpoint is None else checkpoint[1]
            self.ranks.publish("run", {"folder": str(folder.path.resolve()), "kind": kind})
        announced = self.ranks.wait_for("run")
        if not (Path(announced["folder"]) / "config.json").is_file():
            raise ValueError(
                f"{announced['folder']} cannot be seen here; --runs-dir must be a folder that all hosts share"
            )
        return RunFolder(Path(announced["folder"])), announced["kind"]

    def _open(self, data: Splits, stages: Stages) -> RunFolder:
        session = self.ranks.wait_for("session")
        folder = self.resumed or _begun(self.options.runs_dir / self.recipe.name, session)
        if folder is not None:
            check_data(folder, data)
            return folder
        lengths = tuple(len(stage) for stage in stages)
        placement = Placement(**vars(replace(self.how, stages=lengths)), session=session)
        machine = vars(environment(self.device)) | self.notes
        begun = RunEnvironment(**machine, data_checksum=data.checksum, pipeline=placement)
        return RunFolder.create(self.options.runs_dir, self.recipe, begun)

    def _requested(self, stop: StopRequest) -> Callable[[], tuple[bool, int | None]]:
        """Return a function that is called before each step: whether to save after it, and the signal to stop by."""
        self.saved = time.monotonic()

        def requested() -> tuple[bool, int | None]:
            late = time.monotonic() - self.saved >= self.options.checkpoint_every
            return stop.signal is not None or late, stop.signal

        return requested

    def _save(self, training: Training, folder: RunFolder) -> None:
        tensors, notes = training.state()
        check_finite(tensors, f" after step {training.step}")  # a checkpoint must be a good one
        if self.ranks.replica == 0:
            checkpoints.save_blocks(folder.path, tensors, notes, training.owned)
        if self.ranks.writes:
            checkpoints.save_rest(folder.path, tensors, notes, len(training.learner.blocks))
        self.saved = time.monotonic()

    def _train(self, training: Training, folder: RunFolder) -> None:
        def after(event: StepDone | EpochDone) -> None:
            if isinstance(event, StepDone) and event.orders.save:
                self._save(training, folder)

        try:
            if self.ranks.writes:
                folder.keep_metrics(training.epoch, resumed=training.step > 0)
                total, noun = training.total_epochs, training.data.inputs.noun
                display = self.held.enter_context(Display(total, training.epoch, training.steps, noun=noun))
                loggers = loggers_of(self.options, folder.path)
                self.log = self.held.enter_context(logged(loggers, lambda: encode(self.recipe), training.epoch))
                follow(training, folder, display, self.log, after)
            else:
                for event in training:
                    after(event)
        except Stopped as stop:
            self._part()
            if self.ranks.writes:
                raise Interrupted(folder.path, stop.signal) from None
            raise SystemExit(128 + stop.signal) from None

    def _finish(self, training: Training, folder: RunFolder, data: Splits, spec: ModelSpec) -> Outcome | None:
        if self.ranks.replica:
            self._part()
            return None
        accuracies = judge(training, data)
        weights = _gather(self.ranks, training.learner, training.owned)
        outcome = None
        if self.ranks.writes:
            self.log.result = test_values(accuracies[1])
            whole = spec.build()
            whole.load_state_dict({**training.learner.state_dict(), **weights})
            check_finite(whole.state_dict(), f" after step {training.step}")
            whole.to(self.device)
            outcome = folder, conclude(folder, self.recipe, data, whole, training.train_seconds, accuracies)
        self._part()
        return outcome

    def _part(self) -> None:
        """Leave the run, the writing rank last of all, when everything is on disk."""
        if self.ranks.outbox is not None:
            self.ranks.outbox.put(Message("end"))
            self.ranks.outbox.close()
        self.ranks.publish(f"done/{self.ranks.rank}", True)
        for rank in range(self.ranks.world):
            self.ranks.wait_for(f"done/{rank}")
        self.ranks.end()


def _gather(ranks: Ranks, learner: Learner, owned: range) -> dict[str, Tensor]:
    """Send the weights of all blocks to the last stage; return them there."""
    weights: dict[str, Tensor] = {}

    def on(message: Message) -> None:
        if ranks.outbox is not None:
            ranks.outbox.put(message)
        else:
            weights.update(zip(message.notes["names"], message.exact, strict=True))

    if ranks.inbox is not None:
        while (message := ranks.inbox.get("weights", "gathered")).kind == "weights":
            on(message)
    for k in owned:
        state = learner.blocks[k].state_dict()
        on(Message("weights", exact=list(state.values()), notes={"names": [f"blocks.{k}.{name}" for name in state]}))
    if ranks.outbox is not None:
        ranks.outbox.put(Message("gathered"))
    return weights


def _begun(parent: Path, session: str) -> RunFolder | None:
    """Return the run that this launch of torchrun began before it restarted its processes."""
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0 or not parent.is_dir():
        return None
    for path in sorted(parent.glob("seed-*"), key=lambda path: path.stat().st_mtime, reverse=True):
        placement = RunFolder(path).environment().pipeline
        if placement is not None and placement.session == session:
            return RunFolder(path)
    return None


def _session() -> str:
    """Return an identifier of this launch of torchrun: the same for all its processes, restarted ones included."""
    return f"{os.environ.get('TORCHELASTIC_RUN_ID', 'none')}@{socket.gethostname()}:{os.getppid()}"


def _device(name: str) -> torch.device:
    """Choose a device; of several GPUs, a different one for each local process."""
    device = choose_device(name)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    return device


def _source_digest() -> str:
    """Return a digest of this package's source files, committed or not."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _first_line(error: BaseException) -> str:
    return f"{str(error) or type(error).__name__}".splitlines()[0]


def leave(fault: str) -> None:
    """End this process at once; it has nothing left to save."""
    hold_back_all_but_first()
    os.write(2, f"onward: rank {os.environ.get('RANK', '?')} leaves: {shown(fault)}\n".encode())
    os._exit(1)


def _check_rules(learner: Learner) -> None:
    for name, rule in learner.rules.items():
        if not rule.pipelined:
            raise ValueError(
                f"the inference rule {name} reads more than a pipeline sends, which is scores and the mean of every "
                "map that is handed on: train it in one process"
            )
