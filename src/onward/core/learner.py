"""The learner: blocks, supervision, spans, and the inference rules that read out a class."""
# B batch, C classes, L blocks that have a goodness

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from onward.core.block import LocalBlock, check_heads, check_objectives, shared
from onward.core.evidence import ObservedEvidence
from onward.core.form import InputForm
from onward.core.former_names import with_current_names
from onward.core.gradients import common_defaults
from onward.core.history import Description, EpochDone, Origin
from onward.core.inputs import check_finite, check_labels, check_pairs
from onward.core.labels import Task, check_several, check_values, class_indices, named_indices
from onward.core.metrics import RunningError, are_right
from onward.core.ranges import LARGEST, Count, check_value
from onward.core.renamed import Renamed
from onward.core.settings import TrainerSettings
from onward.core.slots import Evidence, Goodness, InferenceRule, Stream, Supervision, TakesInputs
from onward.core.span import Span, Turns, as_turns, clip

T = TypeVar("T")


class Learner(nn.Module):
    """A network with its supervision, spans and inference rules: all that training and prediction depend on.

    `spans` are those of every step, or turns that successive steps take. `rules` names the ways to read out a class;
    the first one is the default. `prepare` turns images with values in [0, 1] into the network's input. What `fit` and
    `load` return also has a `history`, and a `description` to save it with.

    Raises ValueError if the slots do not fit each other.
    """

    description: Description | None = None
    """How it was built; None for a learner built by hand."""
    history: tuple[EpochDone, ...] = ()
    """Its training, epoch by epoch; empty if unknown."""
    origin: Origin | None = None
    """The run that it was read from, if any."""

    def __init__(
        self,
        blocks: Sequence[LocalBlock],
        *,
        supervision: Supervision,
        spans: Sequence[Span] | Turns,
        rules: Mapping[str, InferenceRule],
        prepare: nn.Module | None = None,
    ):
        super().__init__()
        if not rules:
            raise ValueError("a learner needs at least one inference rule; see onward.parts.inference.scores")
        for name, rule in rules.items():
            if not isinstance(rule, InferenceRule):
                raise ValueError(f"rule {name} must be an InferenceRule, got {type(rule).__name__}")
        # A module list is no Sequence to a type checker, though it behaves as one.
        self.blocks: Sequence[LocalBlock] = nn.ModuleList(blocks)  # pyright: ignore[reportAttributeAccessIssue]
        self.supervision = supervision
        self.turns = as_turns(spans, len(blocks))
        self.rules = nn.ModuleDict(rules)
        self.prepare = prepare if prepare is not None else nn.Identity()
        check_objectives(blocks, self.spans, supervision)
        check_heads(blocks)

    @property
    def spans(self) -> tuple[Span, ...]:
        """Every span that occurs in a training, in the order of the blocks they end at."""
        return tuple(sorted({span for turn in self.turns for span in turn}, key=lambda span: (span.last, span.first)))

    headline = Renamed("default_rule")

    @property
    def default_rule(self) -> str:
        """The name of the first inference rule, which predictions use unless another is named."""
        return next(iter(self.rules))

    @property
    def head(self) -> Goodness | None:
        """The classifier that this learner ends in, which backprop keeps in its control; None if it has none."""
        last = self.blocks[-1]
        return last.goodness if last.head else None

    @property
    def num_heads(self) -> int:
        """How many blocks are heads: classifiers behind the blocks of the network."""
        return sum(block.head for block in self.blocks)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, in the order of the scores; empty where they are not known."""
        return () if self.description is None else self.description.class_names

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def input_form(self) -> InputForm | None:
        """The form of its inputs: images, a table, windows, tokens; None if its preparation defines none."""
        return next((part.form for part in self.prepare.modules() if isinstance(part, TakesInputs)), None)

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """The shape of one input, of images (channels, height, width); None if its preparation defines none."""
        form = self.input_form
        return None if form is None else form.shape

    @property
    def task(self) -> Task:
        """What it predicts: one class, numbers, or several labels."""
        return self._rule(None).task

    def check_inputs(self, images: Any) -> Tensor:
        """Return inputs as `prepare` takes them: images [B, channels, H, W], uint8 or floats in [0, 1], or other inputs
        of the form that it was trained on.

        Takes what `onward.from_arrays` takes; a learner whose preparation defines no form takes finite numbers of any
        shape. Raises ValueError with the value and the remedy.
        """
        form = self.input_form
        return check_finite(images, "images") if form is None else form.check(images)

    def place(self, images: Tensor) -> Tensor:
        """Return checked inputs on the learner's device, images as floats in the width of its weights."""
        form = self.input_form
        if form is not None and not form.unit:  # its preparation handles wider numbers and token ids
            return images.to(self.device)
        width = torch.float64 if next(self.parameters()).dtype == torch.float64 else torch.float32
        x = images.to(self.device)
        return x.to(width) / 255 if x.dtype == torch.uint8 else x.to(width)

    def laid_out(self, settings: TrainerSettings, device: torch.device | None = None) -> "Learner":
        """Arrange the weights in memory as in training, on `device` if given; return this learner."""
        if device is not None:
            self.to(device)
        if settings.channels_last:
            for tensor in (*self.parameters(), *self.buffers()):
                if tensor.ndim == 4:  # `Module.to` would also try those of 5 axes, and fail
                    tensor.data = tensor.data.to(memory_format=torch.channels_last)
        return self

    def truncated(self, rule: str | None = None) -> "Learner":
        """Return a learner without the blocks behind the last one that a rule reads; it predicts exactly the same.

        Raises ValueError for an unknown rule, or one that reads all blocks, however many there are.
        """
        count = self.blocks_needed(rule)
        if count is None:
            ranged = [name for name in self.rules if self.blocks_needed(name) is not None]
            raise ValueError(
                f"the inference rule {rule or self.default_rule} reads all blocks, so none can be left out; "
                f"rules of this learner that end at a block: {', '.join(ranged) or 'none'}"
            )
        return self.shortened(count, rule=rule)

    def blocks_needed(self, rule: str | None = None) -> int | None:
        """Return how many blocks, from the first on, a rule reads; None: all, however many there are.

        Raises ValueError for an unknown rule.
        """
        scored = [k for k, block in enumerate(self.blocks) if block.goodness is not None and not block.head]
        read = self._rule(rule)
        count = read.blocks_needed(len(scored))
        if count is None and self.num_heads and not read.reads_head:
            count = len(scored)
        return None if count is None else scored[count - 1] + 1

    def shortened(self, blocks: int, *, rule: str | None = None) -> "Learner":
        """Return a learner of the first `blocks` blocks and one rule; it shares weights and all else with this one.

        The other rules are dropped: without the later blocks they would give other scores under the same name.
        Raises ValueError for an unknown rule, or a number of blocks that it does not have.
        """
        if not 1 <= blocks <= len(self.blocks):
            raise ValueError(f"{blocks} of {len(self.blocks)} blocks cannot be kept: choose 1 to {len(self.blocks)}")
        shorter = Learner(
            list(self.blocks[:blocks]),
            supervision=self.supervision,
            spans=clip(self.turns, blocks),
            rules={rule or self.default_rule: self._rule(rule)},
            prepare=self.prepare,
        )
        if self.description is not None:
            shorter.description = self.description.shortened(blocks, shorter.default_rule)
        shorter.history = self.history
        return shorter.train(self.training)

    walk = Renamed("run_blocks")

    def run_blocks(self, stream: Stream) -> Iterator[tuple[LocalBlock, Float[Tensor, "B ..."], Stream]]:
        """Run all blocks on a stream; yield each block with its activity and the stream that it hands on."""
        for block in self.blocks:
            activity, stream = block(*stream)
            yield block, activity, stream

    def readings(self, stream: Stream, read: Callable[[LocalBlock, Tensor], T]) -> Iterator[tuple[T, Tensor]]:
        """Run all blocks on a stream; yield `read(block, activity)` of each block, and the tensor that it hands on.

        Nothing else stays in memory: without a graph, a handoff may overwrite its activity, as in a training step.
        """
        for block in self.blocks:
            x, *skips = stream
            del stream
            activity = block.run_body(x, *skips)
            reading = read(block, activity)
            hand_on = block.handoff if shared(activity, x, *skips) or torch.is_grad_enabled() else block.hand_on
            del x
            stream = hand_on(activity, *skips)
            del activity, skips
            yield reading, stream[0]

    def forward(self, images: Tensor, *, rule: str | None = None) -> Float[Tensor, "B C"]:
        """Return the class scores [B, C] of images [B, channels, H, W], uint8 or floats in [0, 1]."""
        return self._rule(rule)(ObservedEvidence(self, images))

    @torch.no_grad()
    def predict_scores(self, images: Any, *, rule: str | None = None, batch_size: int = 500) -> Float[Tensor, "B C"]:
        """Return class scores [B, C] of images as `from_arrays` takes them: uint8 or floats in [0, 1].

        Raises ValueError for an unknown rule, for images of another shape than the network was built for, for values
        outside the range of pixels, and for scores that are not finite.
        """
        read = self._rule(rule)
        return self._read(images, batch_size, read, dim=0)

    def predict(self, images: Any, *, rule: str | None = None, batch_size: int = 500) -> Shaped[Tensor, "B *K"]:
        """Return the most likely class of each input; see `predict_scores`.

        Regression gives numbers, [B] or [B, K]; several labels give truth values [B, K].
        """
        scores, task = self.predict_scores(images, rule=rule, batch_size=batch_size), self._rule(rule).task
        if task == "labels":
            return scores > 0
        if task == "values":
            return scores.squeeze(1) if scores.shape[1] == 1 else scores
        return scores.argmax(dim=1)

    def predict_names(self, images: Any, *, rule: str | None = None, batch_size: int = 500) -> list:
        """Return the name of the most likely class of each image; see `predict_scores`.

        Where a row has several labels, a tuple of their names. Raises ValueError if the learner has no class names,
        and for regression.
        """
        task = self._rule(rule).task
        if task == "values":
            raise ValueError("numbers are predicted, which have no names: use predict")
        if not self.class_names:
            raise ValueError("the names of the classes are not known to a learner built by hand: use predict")
        classes = self.predict(images, rule=rule, batch_size=batch_size).tolist()
        if task == "labels":
            return [tuple(name for name, on in zip(self.class_names, row, strict=True) if on) for row in classes]
        return [self.class_names[k] for k in classes]

    def predict_proba(self, images: Any, *, rule: str | None = None, batch_size: int = 500) -> Float[Tensor, "B C"]:
        """Return class probabilities [B, C] of images: the softmax of their scores; see `predict_scores`.

        For a rule whose scores are probabilities or votes, they are normalized instead. They are not calibrated.
        """
        scores = self.predict_scores(images, rule=rule, batch_size=batch_size)
        return self._rule(rule).probabilities(scores)

    def score(self, images: Any, labels: Any, *, rule: str | None = None, batch_size: int = 500) -> float:
        """Return the share of inputs whose most likely class is their label, an accuracy between 0 and 1.

        Several labels: the share of inputs with all labels right. Numbers: R2, 1 if perfect, 0 for their mean; of
        constant numbers 1 if all are predicted exactly, else 0.
        Raises ValueError for a label that is no class, unless there is one label per input, and without any input.
        """
        if self._rule(rule).task == "classes" and self.class_names:
            labels = named_indices(labels, self.class_names)
        x, y = self.check_inputs(images), self.check_targets(labels, rule=rule)
        check_pairs(x, y)
        if not len(y):
            raise ValueError("images is empty: give at least one image to score")
        predicted, y = self.predict(x, rule=rule, batch_size=batch_size).cpu(), y.cpu()
        if self.task != "values":
            return float(are_right(predicted, y.to(predicted.dtype)).double().mean())
        errors = RunningError(y.shape[1])
        errors.add(y, predicted.reshape(y.shape))
        return errors.r2

    def check_targets(self, labels: Any, *, rule: str | None = None) -> Shaped[Tensor, "B *K"]:
        """Return labels as the training had them, given as `onward.from_arrays` takes them.

        Class indices or names of classes [B], of which a number is always an index; numbers [B] or [B, K]; zeros and
        ones [B, K]. Raises ValueError for all others with the value and the remedy.
        """
        task, names = self._rule(rule).task, self.class_names
        if task == "classes":
            return class_indices(labels, names) if names else check_labels(labels)
        return (check_values if task == "values" else check_several)(labels, width=len(names) or None)

    @torch.no_grad()
    def score_blocks(self, images: Any, *, batch_size: int = 500) -> Float[Tensor, "L B C"]:
        """Return the class scores of every block that has a goodness; see `predict_scores`."""
        return self._read(images, batch_size, lambda evidence: evidence.block_scores, dim=1)

    def save(self, folder: Path | str) -> None:
        """Write weights and description into a folder, from which `onward.load` reads the same learner back.

        Raises ValueError for a learner that was built by hand and has no description, for weights that are not finite,
        and for the folder of a finished run; OSError if it cannot be written.
        """
        self._described().save(self, folder)

    def push_to_hub(self, repo: str, *, private: bool = False, token: str | None = None) -> str:
        """Push weights, description and a model card to the Hugging Face hub as "user/model"; return the address.

        `onward.load("user/model")` reads it back. An existing card is kept. `token` is that of `hf auth login` unless
        given. Raises ValueError as `save` does, and OSError if the hub cannot be reached or refuses.
        """
        return self._described().push_to_hub(self, repo, private=private, token=token)

    def module(self, *, rule: str | None = None) -> nn.Module:
        """Return a plain module in evaluation mode that turns images [B, channels, H, W] into class scores [B, C].

        It is a copy: images are uint8 or floats in [0, 1], objectives and auxiliary networks are left out, and so are
        blocks that the rule does not read. Raises ValueError for an unknown rule.
        """
        kept = self.blocks_needed(rule)
        return Classifier(self if kept is None else self.shortened(kept, rule=rule), rule or self.default_rule).eval()

    @common_defaults()
    def _read(self, images: Any, batch_size: int, read: Callable[[Evidence], Tensor], *, dim: int) -> Tensor:
        """Return what `read` gives for images, batch by batch, joined along `dim`, the axis of the images."""
        x, size = self.check_inputs(images), check_value("batch_size", batch_size, Count)
        if len(x) == 0:  # one image gives the shape of the result
            return self._read(x.new_zeros(1, *x.shape[1:]), 1, read, dim=dim).narrow(dim, 0, 0)
        with self._evaluating():
            scores = torch.cat([read(ObservedEvidence(self, self.place(part))) for part in x.split(size)], dim=dim)
        if not scores.isfinite().all():
            first = int((~scores.isfinite()).movedim(dim, 0).flatten(1).any(1).int().argmax())
            noun = "images" if self.input_form is None else self.input_form.noun
            largest = float(x[first].double().abs().max())
            why = "its weights have diverged; train with a lower learning rate"
            if largest > LARGEST:
                why = f"it reaches to {largest:g}, which 32 bits cannot hold; give it in a larger unit"
            raise ValueError(f"the scores of {noun}[{first}] are not finite: {why}")
        return scores

    def _described(self) -> Description:
        if self.description is None:
            raise ValueError(
                "a learner built by hand has no description to be saved with: save its state_dict, or that of the "
                "model behind `as_learner`; one that algorithm(net(shape, classes), classes) makes may have "
                "learner.description = onward.runs.spec_for(algorithm, net, data)"
            )
        return self.description

    def _rule(self, name: str | None) -> InferenceRule:
        if name is not None and not (isinstance(name, str) and name in self.rules):
            raise ValueError(f"unknown inference rule {name!r}; this learner has {', '.join(self.rules)}")
        return cast(InferenceRule, self.rules[name or self.default_rule])

    def _load_from_state_dict(self, state_dict, prefix: str, *rest) -> None:
        own = {name.removeprefix(prefix): value for name, value in state_dict.items() if name.startswith(prefix)}
        for name in own:
            del state_dict[prefix + name]
        today = with_current_names(own, self.state_dict().keys())
        state_dict.update({prefix + name: value for name, value in today.items()})
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)


class Classifier(nn.Module):
    """The computation from images to class scores by one inference rule: a copy of a learner without training parts."""

    def __init__(self, learner: Learner, rule: str):
        super().__init__()
        self.learner = copy.deepcopy(learner).requires_grad_(False)
        self.learner.rules = nn.ModuleDict({rule: self.learner.rules[rule]})
        for block in self.learner.blocks:
            block.objective = block.auxiliary = None

    def forward(self, images: Tensor) -> Float[Tensor, "B C"]:
        return self.learner(images)
