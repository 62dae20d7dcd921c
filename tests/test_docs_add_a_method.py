"""The page that adds a method does what it says: its text is run as it stands."""

import re
from pathlib import Path

import torch

from onward.algorithms import Backprop
from onward.core import Learner, LocalTrainer, TrainerSettings
from onward.measure import reached_blocks
from onward.nets import MLP

PAGE = Path(__file__).parent.parent / "docs" / "add_a_method.md"


def _blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_the_method_of_the_page_learns_and_is_local():
    names: dict = {"__name__": "a_page"}
    for block in _blocks():
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["accuracy"] > 0.9
    algorithm = names["Centered"]()
    learner = algorithm(MLP(width=8, depth=3)((1, 4, 4), 3), 3)
    assert isinstance(learner, Learner)
    x, y = torch.rand(6, 1, 4, 4), torch.arange(6) % 3
    assert reached_blocks(learner, x, y) == [[0], [1], [2]]
    control = Backprop(of=algorithm)(MLP(width=8, depth=3)((1, 4, 4), 3), 3)
    assert LocalTrainer(control, TrainerSettings()).step(x, y, step=0).isfinite().all()


def test_part_and_method_are_short():
    part, method, *_ = _blocks()
    lines = [line.strip() for line in (part + method).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("from ", "import "))]
    assert len(lines) < 40


def test_distances_equal_a_loop():
    names: dict = {"__name__": "a_page"}
    exec(compile(_blocks()[0], str(PAGE), "exec"), names)
    goodness, activity = names["Nearness"](3, 4), torch.rand(2, 4, 3, 3)
    for b in range(2):
        for c in range(3):
            gaps = [float(activity[b, d].mean() - goodness.centers[c, d].detach()) for d in range(4)]
            expected = -sum(gap**2 for gap in gaps) / 4
            torch.testing.assert_close(float(goodness(activity)[b, c].detach()), expected, rtol=1e-4, atol=1e-5)
