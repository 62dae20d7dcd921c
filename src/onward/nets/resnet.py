"""DeeperForward's seventeen-layer residual network."""

from dataclasses import dataclass

from torch import nn

from onward.nets.net import AddFork, Architecture, Carry, ConcatFork, Drop, Fork, Net, Shape, check_dropout, conv_body


@dataclass(frozen=True)
class ResNet17(Architecture):
    """One convolution and four stages of four; skip connections add inside a stage and concatenate at its end.

    A skip connection starts after every even layer and ends two layers later. Stages after the first begin with
    stride 2. 30.603 M parameters at width 100 for colour images (DeeperForward, released code).
    Raises ValueError for a width below 1 or a bad dropout.
    """

    width: int = 100
    """Channels of the first stage; each later stage has twice as many."""
    dropout: float = 0.2
    """Probability of dropping a unit, after every ReLU."""

    def __post_init__(self):
        check_dropout(self.dropout)
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        bodies = [conv_body(shape[0], self.width, dropout=self.dropout)]
        joins: list[nn.Module] = [Fork()]
        widths = [self.width]
        for stage in range(4):
            width = self.width * 2**stage
            for layer in range(4):
                stride = 2 if stage > 0 and layer == 0 else 1
                bodies.append(conv_body(width, width, stride=stride, dropout=self.dropout))
                widths.append(width)
            joins += [Carry(), AddFork(), Carry(), ConcatFork() if stage < 3 else Drop()]
        return Net(bodies, joins, widths, [nn.Identity() for _ in bodies])
