"""A user's model as a learner: each block computes the part of the model between two cuts."""
# B batch

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Auxiliary, Goodness, Learner, LocalBlock, Span, Target, WrappedGoodness, seeded
from onward.modules.heads import Head, numbers_per_position
from onward.modules.plan import Plan
from onward.modules.reading import Reading
from onward.nets.layout import channels_first
from onward.nets.outputs import leading_tensor, mapped, read
from onward.nets.recorded_pass import Feed, batch_rows, hookable, modes_kept, state_kept
from onward.parts.inference.scores import LastGoodness
from onward.parts.supervision.labels import LabelInLoss


class _Reached(BaseException):
    """Ends a pass at the end of its stretch; a BaseException, which no `except Exception` of the model catches."""

    def __init__(self, output: Any):
        super().__init__()
        self.output = output


class Ended(NamedTuple):
    """A call of a module in the example's pass: its output, and whether a cut ends there."""

    name: str
    parent: str
    output: Any


@torch.no_grad()
def make_learner(
    model: nn.Module, plan: Plan, heads: Sequence[Head], spans: Sequence[Span], feed: Feed, example: Any
) -> Learner:
    """Return a learner of the stretches of a model; weights and heads are those of the model, not copies.

    Raises ValueError where the stretches' output is not the model's: something passes a cut beside the activity.
    """
    if not isinstance(example, Tensor):
        raise ValueError(
            "a learner takes one tensor, and this model takes several: train it by step and fit, or give "
            "onward.local a feed that takes a single tensor apart"
        )
    if numbers_per_position(plan):
        raise ValueError(
            f"a learner's targets are one row of numbers or labels for each example, and this model gives "
            f"{list(plan.parts[-1].shape)}: train it by step and fit"
        )
    if plan.tied:
        raise ValueError(
            f"{plan.tied[0]} is tied across blocks, and each block of a learner has weights of its own: untie it, or "
            "train the model by step and fit"
        )
    ended = _ended(model, example, feed)
    cuts = [part.cut for part in plan.parts[:-1]]
    _check_unpacked(ended, cuts)
    blocks = []
    for k, head in enumerate(heads):
        body = Stretch(model, cuts, k, plan.parts[k].weights, feed, example, _bypassed(ended, cuts[k - 1]) if k else {})
        positions = tuple(
            channels_first(torch.empty(plan.parts[-1].shape, device="meta"), plan.parts[-1].layout).shape[2:]
        )
        filled = head.block
        seen = Seen(head.reading, positions, twice=filled.auxiliary is not None)
        blocks.append(
            LocalBlock(
                body,
                goodness=None if filled.goodness is None else ReadGoodness(filled.goodness, seen),
                objective=filled.objective,
                auxiliary=None if filled.auxiliary is None else ReadAuxiliary(filled.auxiliary, seen),
                rate_share=filled.rate_share,
            )
        )
    learner = Learner(blocks, supervision=LabelInLoss(), spans=spans, rules={"last_block": LastGoodness()})
    _check_same(model, learner, feed, example)
    with modes_kept(model):  # frozen norms stay in evaluation mode, as in a step of the model itself
        return learner.train(model.training)


class Seen:
    """How parts read an activity without a label: positions are those of the model's output.

    What goodness read with a graph is kept until the auxiliary of the same block reads it: one graph leads to both.
    """

    def __init__(self, reading: Reading, positions: tuple[int, ...], *, twice: bool):
        self.reading, self.positions, self.twice = reading, positions, twice
        self.held: tuple[Tensor, Tensor] | None = None

    def first(self, activity: Tensor) -> Tensor:
        fixed = self.reading.layout in ("tokens", "time_first")
        own = tuple(channels_first(activity, self.reading.layout).shape[2:])
        seen = self.reading(activity, None, own if fixed else self.positions)
        if self.twice and seen.requires_grad:
            self.held = (activity, seen)
        return seen

    def again(self, activity: Tensor) -> Tensor:
        held, self.held = self.held, None
        return held[1] if held is not None and held[0] is activity else self.first(activity)


class ReadGoodness(WrappedGoodness):
    """Another goodness, of an activity in any layout."""

    def __init__(self, goodness: Goodness, reading: Seen):
        super().__init__(goodness)
        self.reading = reading

    def seen(self, activity: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.reading.first(activity)

    def forward(self, activity: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.goodness(self.reading.first(activity))

    def training_scores(self, activity: Float[Tensor, "..."], target: Target) -> tuple[Float[Tensor, "..."], Target]:
        return self.goodness.training_scores(self.reading.first(activity), target)


class ReadAuxiliary(Auxiliary):
    """Another auxiliary, of an activity in any layout."""

    def __init__(self, auxiliary: Auxiliary, reading: Seen):
        super().__init__()
        self.auxiliary = auxiliary
        self.reading = reading
        vars(self)["couples_samples"] = auxiliary.couples_samples

    def forward(self, activity: Float[Tensor, "..."], target: Target) -> Float[Tensor, "N"]:
        return self.auxiliary(self.reading.again(activity), target)


class Stretch(nn.Module):
    """Computes a model between two cuts, by running it without everything before the first.

    The first one runs the model up to its cut. Another one runs it on the example, with what was computed for that in
    place of every module before the cut, and with its own input where the cut module would give its output.
    """

    def __init__(
        self,
        model: nn.Module,
        cuts: Sequence[str],
        k: int,
        weights: Sequence[str],
        feed: Feed,
        example: Tensor,
        bypassed: dict[str, list[Any]],
    ):
        super().__init__()
        self._whole = (model,)  # in a tuple: its other weights are not this block's
        self._enter = cuts[k - 1] if k else None
        self._leave = cuts[k] if k < len(cuts) else None
        self._feed, self._bypassed = feed, bypassed
        self._example = example.detach()
        self.looks_up = not k and not example.is_floating_point()
        """Whether its input stands for whole numbers, such as words, that no device converts."""
        modules, rest = _owned(model, set(weights))
        self.parts = nn.ModuleList(modules)
        self.own = nn.ParameterList(rest)

    def train(self, mode: bool = True) -> "Stretch":
        """Set the mode of the whole model: blocks are in one mode together."""
        super().train(mode)
        self._whole[0].train(mode)
        return self

    def forward(self, x: Tensor) -> Float[Tensor, "..."]:
        (model,) = self._whole
        with ExitStack() as stack:
            if self._leave is not None:
                hook = model.get_submodule(self._leave).register_forward_hook(_reached)
                stack.callback(hook.remove)
            if self._enter is None:
                entering = x if self._example.is_floating_point() else x.to(self._example.dtype)
                if self._example.is_contiguous():  # a trainer may have laid it out with channels last
                    entering = entering.contiguous()
            else:
                entering = self._example.to(x.device)
                stack.enter_context(_replayed(model, self._enter, self._bypassed, x))
            try:
                output = self._feed(model, entering)
            except _Reached as reached:
                output = reached.output
        activity = leading_tensor(output)
        assert activity is not None
        return activity.reshape(-1, 1) if activity.ndim < 2 else activity


def _reached(module: nn.Module, args: Any, output: Any) -> None:
    raise _Reached(output)


@contextmanager
def _replayed(model: nn.Module, enter: str, bypassed: dict[str, list[Any]], x: Tensor) -> Iterator[None]:
    """Make modules before a cut return their output for the example, and the cut module return x."""
    random = torch.get_rng_state()
    on_device = torch.cuda.get_rng_state(x.device) if x.is_cuda else None

    def give(name: str) -> Callable[..., Any]:
        left = iter(bypassed[name])

        def given(*args: Any, **kwargs: Any) -> Any:
            output = next(left)
            if name != enter:
                return mapped(lambda tensor: tensor.to(x.device), output)
            torch.set_rng_state(random)  # what was drawn on the way here is not this stretch's
            if on_device is not None:
                torch.cuda.set_rng_state(on_device, x.device)
            leading = leading_tensor(output)
            return mapped(lambda tensor: x if tensor is leading else tensor.to(x.device), output)

        return given

    with ExitStack() as stack:
        for name in bypassed:
            module = model.get_submodule(name)
            held = vars(module).get("forward")
            module.forward = give(name)
            stack.callback(_given_back, module, held)
        yield


def _given_back(module: nn.Module, forward: Any) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward


def _ended(model: nn.Module, example: Tensor, feed: Feed) -> list[Ended]:
    """Return the calls of one pass in evaluation mode, in the order of their ends, with their callers."""
    ended: list[Ended] = []
    running: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(state_kept(model))
        stack.enter_context(seeded(0, torch.device("cpu")))
        model.eval()

        def begin(name: str) -> None:
            running.append(name)

        def end(name: str, output: Any) -> None:
            running.pop()
            ended.append(Ended(name, running[-1] if running else "", mapped(torch.Tensor.clone, output)))

        for name, module in hookable(model):
            before = module.register_forward_pre_hook(lambda *_, name=name: begin(name))
            after = module.register_forward_hook(lambda module, args, output, name=name: end(name, output))
            stack.callback(before.remove)
            stack.callback(after.remove)
        feed(model, example)
    return ended


def _bypassed(ended: Sequence[Ended], cut: str) -> dict[str, list[Any]]:
    """Return the outputs of modules that ended before a cut: the outermost ones, and the cut module itself."""
    stop = next(index for index, call in enumerate(ended) if call.name == cut)
    done = {call.name for call in ended[: stop + 1]} - {call.name for call in ended[stop + 1 :]}
    bypassed: dict[str, list[Any]] = {}
    for call in ended[: stop + 1]:
        if call.name in done and call.parent not in done and call.name:
            bypassed.setdefault(call.name, []).append(call.output)
    return bypassed


def _check_unpacked(ended: Sequence[Ended], cuts: Sequence[str]) -> None:
    for call in ended:
        seen = read(call.output) if call.name in cuts else None
        if seen is not None and seen.mask is not None:
            raise ValueError(
                f"the cut {call.name} gives packed sequences, and a learner hands on tensors: train the model by step "
                "and fit, or let each layer unpack what it gives (pad_packed_sequence)"
            )


def _owned(model: nn.Module, weights: set[str]) -> tuple[list[nn.Module], list[nn.Parameter]]:
    """Return the outermost modules all of whose weights are among these, and the weights that are in none of them."""
    modules: list[nn.Module] = []
    inside: set[str] = set()
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        own = [f"{prefix}{n}" for n, _ in module.named_parameters()]
        if own and weights.issuperset(own) and not inside.issuperset(own):
            modules.append(module)
            inside.update(own)
    return modules, [p for n, p in model.named_parameters() if n in weights - inside]


def _check_same(model: nn.Module, learner: Learner, feed: Feed, example: Tensor) -> None:
    """Raise ValueError unless the stretches one after the other give the model's output, also for other batches.

    In evaluation mode and, where the model stands in it, in training mode, whose way through a model may be another.
    """
    rows = batch_rows(example)
    others = example[1:] if rows > 2 else example.flip(0)
    training = model.training
    for mode in (False, True) if training else (False,):
        for x in (example, others):
            own, again, stretched = (_output(model, learner, feed, x, mode, k) for k in range(3))
            if own is None or (stretched is not None and torch.equal(stretched.flatten(), own.flatten())):
                continue
            if again is None or not torch.equal(own, again):
                raise ValueError(
                    f"{type(model).__name__} gives another output each time it is run on the same batch (random "
                    "numbers of its own, a state that it keeps), so that its stretches cannot be checked against it: "
                    "train it by step and fit"
                )
            raise ValueError(
                f"the cuts of {type(model).__name__} form no chain: more than an activity passes them (a skip "
                "connection, a mask, a shape); train the model by step and fit, or cut elsewhere"
            )


def _output(model: nn.Module, learner: Learner, feed: Feed, x: Tensor, mode: bool, k: int) -> Tensor | None:
    """Return the output of the model or, for k = 2, of its stretches; None where they cannot be run on this batch."""
    with state_kept(model), seeded(0, torch.device("cpu")):
        learner.train(mode)
        try:
            if k < 2:
                return leading_tensor(feed(model, x))
            for block in learner.blocks:
                x = block.body(x)
            return x
        except (RuntimeError, ValueError, IndexError, StopIteration):
            return None
