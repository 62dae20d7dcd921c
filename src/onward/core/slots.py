"""The slots of an algorithm, as abstract classes: goodness, objective, auxiliary, supervision, inference rule."""
# B batch, C classes, D features, N loss terms, L scored blocks

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from onward.core.form import InputForm
from onward.core.labels import Task
from onward.core.ranges import check_fields
from onward.core.renamed import Renamed, adopt_overrides

Stream = tuple[Tensor, ...]
"""What one block hands to the next: its input, then the skip connections."""


IGNORED = -100
"""The label of a token that no loss counts, as in `torch.nn.functional.cross_entropy`."""


Label = Int64[Tensor, "B ..."] | Float[Tensor, "B ..."]
"""A class, one class per token [B, T], or numbers [B, C]."""


class Target(NamedTuple):
    """The labels of a batch and how its rows are arranged, as objectives need them.

    `sign` is +1 for a real view and -1 for a contrastive one; it is None where the label enters the loss instead.
    The rows are the first view of every image, then the second of every image, and so on: `views` of them.
    A label may also be one per token [B, T], with `IGNORED` where none counts, or numbers [B, C].
    `beside` holds the skip connections that enter the block whose loss is computed. `made` keeps, for all blocks of a
    batch, what was computed from the labels alone; with None it is computed for every block.
    """

    label: Label
    sign: Int64[Tensor, "B"] | None = None
    views: int = 1
    beside: Stream = ()
    made: dict[Hashable, tuple[Tensor, Tensor]] | None = None

    def of_label(self, make: Callable[..., Tensor], *values: Hashable) -> Tensor:
        """Return `make(label, *values)`, which must not be written to: for all blocks of a batch the same tensor."""
        key = (make, *values)
        label, made = (self.made or {}).get(key, (None, None))
        if made is None or label is not self.label:  # another label, where a part looks at some rows alone
            made = make(self.label, *values)
            if self.made is not None:
                self.made[key] = self.label, made
        return made


class Evidence(ABC):
    """The scores and handed-on activities of a learner's blocks on one batch: the input of an inference rule."""

    heads: int = 0
    """How many of the last scored blocks are heads, behind the blocks of the network."""

    @property
    @abstractmethod
    def block_scores(self) -> Float[Tensor, "L B C"]:
        """The scores of every block that has a goodness, those of heads last."""

    @property
    def local_scores(self) -> Float[Tensor, "L B C"]:
        """The scores of every block that has a goodness and is no head."""
        scores = self.block_scores
        return scores[: len(scores) - self.heads]

    @property
    @abstractmethod
    def handed_on(self) -> list[Float[Tensor, "B ..."]]:
        """The tensor that each block hands to the next, on a neutral view of the batch."""

    @property
    @abstractmethod
    def mirrored(self) -> "Evidence":
        """The same for the same images, mirrored left and right."""

    @abstractmethod
    def shifted(self, down: int, right: int) -> "Evidence":
        """The same for the same images, moved by some pixels; what comes in at a border is the image reflected."""

    def cells(self, grid: int) -> list[Float[Tensor, "B D"]]:
        """Handed-on tensors with maps averaged in `grid` x `grid` cells, in fp32 or wider; the result is cached."""
        if grid not in self._cells:
            self._cells[grid] = [_in_cells(handed_on, grid) for handed_on in self._maps()]
        return self._cells[grid]

    def _maps(self) -> Iterable[Float[Tensor, "B ..."]]:
        return self.handed_on

    @cached_property
    def _cells(self) -> dict[int, list[Float[Tensor, "B D"]]]:
        return {}


class CollectedEvidence(Evidence):
    """Evidence computed elsewhere: scores, and the handed-on tensors that a rule reads."""

    def __init__(
        self, block_scores: Float[Tensor, "L B C"], handed_on: Sequence[Float[Tensor, "B ..."]] = (), *, heads: int = 0
    ):
        self._block_scores, self._handed_on, self.heads = block_scores, list(handed_on), heads

    @property
    def block_scores(self) -> Float[Tensor, "L B C"]:
        return self._block_scores

    @property
    def handed_on(self) -> list[Float[Tensor, "B ..."]]:
        return self._handed_on

    @property
    def mirrored(self) -> Evidence:
        """Raises ValueError: the images were not collected."""
        raise _not_collected("mirror images")

    def shifted(self, down: int, right: int) -> Evidence:
        """Raises ValueError: the images were not collected."""
        raise _not_collected("shifted images")


def _not_collected(what: str) -> ValueError:
    return ValueError(f"{what} need the images themselves, and only scores were collected: use one process")


def _in_cells(handed_on: Float[Tensor, "B ..."], grid: int) -> Float[Tensor, "B D"]:
    if handed_on.ndim > 2:
        if handed_on.ndim < 4 or grid == 1:
            handed_on = handed_on.mean(dim=tuple(range(2, handed_on.ndim)))
        else:
            handed_on = F.adaptive_avg_pool2d(handed_on, grid).flatten(1)
    return handed_on.float() if handed_on.dtype.itemsize < 4 else handed_on


Evidences = Callable[[], Iterable[tuple[Evidence, Tensor]]]
"""Zero-argument callable. Each call iterates once over a split, in order, yielding (evidence, labels)."""


class Goodness(nn.Module, ABC):
    """Reads an activity as one score per sample [B], or one per class [B, C]; higher is always better."""

    per_class: ClassVar[bool]

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        adopt_overrides(cls, follow="update_statistics")

    @abstractmethod
    def forward(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B *C"]: ...

    def training_scores(self, activity: Float[Tensor, "B ..."], target: Target) -> tuple[Float[Tensor, "B *C"], Target]:
        """Return the scores that the objective reads, and the target in their terms.

        Those of `forward`, unless a read-out of very many classes scores a sample of them, renumbered.
        """
        return self(activity), target

    def update_statistics(self, activity: Float[Tensor, "B ..."], target: Target) -> None:
        """Update, from a training batch whose scores were read, what no gradient trains, such as class centroids."""
        return None

    follow = Renamed("update_statistics")

    @property
    def keeps_statistics(self) -> bool:
        """Whether `update_statistics` changes anything."""
        return type(self).update_statistics is not Goodness.update_statistics

    def hidden_layers(self) -> nn.Module | None:
        """Return the layers between the activity and the read-out, whose matrices muon moves as those of a body."""
        return None

    def reduced(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Return a smaller activity with the same scores and statistics: what is stored of one that does not change.

        Such as the means over cells that a read-out takes; the activity itself by default.
        """
        return activity


class WrappedGoodness(Goodness):
    """Wraps another goodness, whose statistics it keeps updating.

    Raises ValueError if scores per class are needed and the other goodness gives one per sample.
    """

    def __init__(self, goodness: Goodness):
        super().__init__()
        vars(self)["per_class"] = getattr(type(self), "per_class", goodness.per_class)
        if self.per_class and not goodness.per_class:
            name, inner = type(self).__name__, type(goodness).__name__
            raise ValueError(f"{name} needs scores per class, but {inner} gives one per sample")
        self.goodness = goodness

    def seen(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Return the part of an activity that the other goodness reads: all of it by default."""
        return activity

    def update_statistics(self, activity: Float[Tensor, "B ..."], target: Target) -> None:
        if self.goodness.keeps_statistics:
            self.goodness.update_statistics(self.seen(activity), target)

    @property
    def keeps_statistics(self) -> bool:
        own = type(self).update_statistics is not WrappedGoodness.update_statistics
        return own or self.goodness.keeps_statistics

    def hidden_layers(self) -> nn.Module | None:
        return self.goodness.hidden_layers()


class Objective(ABC):
    """Turns scores and targets into a vector of loss terms, unreduced. A frozen dataclass: its fields are settings."""

    per_class: ClassVar[bool]
    signed: ClassVar[bool]
    couples_samples: ClassVar[bool] = False
    """Whether a term compares images of a batch, so that a share of the batch has other terms."""

    def __post_init__(self):
        check_fields(self)

    @abstractmethod
    def __call__(self, scores: Float[Tensor, "B *C"], target: Target) -> Float[Tensor, "N"]: ...

    def cross_entropy(self) -> "Objective | None":
        """Return the softmax cross-entropy in this objective, which backprop keeps in its control; None if it has
        none."""
        return None


@dataclass(frozen=True)
class WrappedObjective(Objective):
    """Wraps another objective and has its form: one score per class or per sample, one view or contrastive ones."""

    objective: Objective

    def __post_init__(self):
        super().__post_init__()
        inner = self.objective
        vars(self).update(per_class=inner.per_class, signed=inner.signed, couples_samples=inner.couples_samples)


class Auxiliary(nn.Module, ABC):
    """An additional loss on the activity itself, not on its scores; the mean of its terms is added to the loss."""

    couples_samples: ClassVar[bool] = False
    """Whether a term compares images of a batch, so that a share of the batch has other terms."""

    @abstractmethod
    def forward(self, activity: Float[Tensor, "B ..."], target: Target) -> Float[Tensor, "N"]: ...


class TakesInputs(nn.Module, ABC):
    """Prepares inputs of one form, against which the inputs of a learner are checked."""

    form: InputForm


class TakesImages(TakesInputs, ABC):
    """Prepares images of one shape, channels, height and width, with values in [0, 1]."""

    shape: tuple[int, ...]

    @property
    def form(self) -> InputForm:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Images of this shape."""
        return InputForm("images", self.shape, True)


class Supervision(ABC):
    """Defines how the label reaches the blocks. A frozen dataclass; its randomness comes from the generator alone."""

    signed: ClassVar[bool]
    mixes_images: ClassVar[bool] = True
    """Whether a view may combine several images of the batch. False lets a replica decode only its share of it."""

    def __post_init__(self):
        check_fields(self)

    @abstractmethod
    def train_view(self, x: Shaped[Tensor, "B ..."], y: Label, generator: torch.Generator) -> tuple[Stream, Target]:
        """Return the stream that enters block 0, and the target of every objective."""

    @abstractmethod
    def test_views(self, x: Float[Tensor, "B ..."]) -> Iterable[Stream]:
        """Return one stream if goodness is read per class, or one stream for each class to be tried.

        No stream at all for unsupervised methods: their blocks score no classes, and a rule has to be fitted.
        """

    @abstractmethod
    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        """Return a single stream without information about the class."""


class InferenceRule(nn.Module, ABC):
    """Turns the evidence of the blocks about a batch into class scores [B, C]; fitted values are in its state_dict."""

    reads_handed_on: ClassVar[bool] = False
    """Whether it reads handed-on tensors besides scores; in a pipeline it gets the mean of every map."""
    fits_on_training: ClassVar[bool] = False
    """Whether `fit` reads the training split."""
    reads_head: bool = True
    """Whether it reads the scores of a head; where it does not, a learner may be cut in front of its head."""
    pipelined: bool = True
    """Whether scores and the mean of every handed-on map are enough for it, as a pipeline sends no more."""

    report_progress: Callable[[int, int], None] = staticmethod(lambda done, steps: None)
    """Called with (steps done, all steps) during `fit`, by rules that are fitted in steps."""
    tell = Renamed("report_progress")

    num_classes: int | None = None
    """Number of classes, if it is known without the scores of blocks."""

    task: ClassVar[Task] = "classes"
    """Meaning of its scores: classes (the largest is predicted), values (the prediction itself) or labels (above 0)."""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        adopt_overrides(cls, reach="blocks_needed")

    @abstractmethod
    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]: ...

    def fit(self, train: Evidences, validation: Evidences) -> None:
        """Fit its parameters; selections use the validation split only."""
        return None

    def probabilities(self, scores: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        """Return the class probabilities of its scores: their softmax by default."""
        return scores.softmax(dim=1)

    def views(self, evidence: Evidence) -> Iterable[Evidence]:
        """Return the evidence about each view of the images that it reads: the images as they are.

        Raises ValueError for images that have no such view.
        """
        return [evidence]

    def same_views(self, rule: "InferenceRule") -> "InferenceRule":
        """Return another rule, which a control reads with, applied to the views of an image that this one reads."""
        return rule

    def blocks_needed(self, num_scored: int) -> int | None:
        """Return how many scored blocks, heads not counted, the rule reads from the first on; None: all of them.

        Without the blocks behind them the rule must give the same scores; see `Learner.truncated`.
        """
        return None

    reach = Renamed("blocks_needed")
