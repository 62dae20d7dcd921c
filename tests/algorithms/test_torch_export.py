"""Every algorithm's default rule leaves as a torch.export program, for batches of any size."""

import jaxtyping
import pytest
import torch

from onward.algorithms import (
    ALGORITHMS,
    ASGE,
    Algorithm,
    DeeperForward,
    EarlyExits,
    ForwardForward,
    MonoForward,
    RandomFeatures,
    RecurrentForwardForward,
)
from onward.core import LocalTrainer, TrainerSettings
from onward.data import Splits, from_arrays
from onward.nets import MLP, LocalFields, TinyCNN, TopographicMaps
from onward.runs import spec_for
from onward.training import Evaluator

QUICK = (DeeperForward, ForwardForward, ASGE, RandomFeatures)  # one for each way to read a class
EACH = [
    pytest.param(algorithm, marks=[] if type(algorithm) in QUICK else pytest.mark.slow)
    for algorithm in (*(algorithm() for algorithm in ALGORITHMS), EarlyExits(heads="trained"))
]


@pytest.fixture(scope="module")
def data() -> Splits:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return from_arrays(pixels, torch.arange(60) % 3)


@pytest.mark.parametrize("algorithm", EACH, ids=lambda algorithm: type(algorithm).__name__)
@pytest.mark.filterwarnings("ignore")  # of torch.export itself
def test_the_default_rule_can_be_exported(algorithm: Algorithm, data: Splits, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # sizes are symbols while a program is traced
    net = MLP(width=12, depth=3) if isinstance(algorithm, RecurrentForwardForward) else TinyCNN(width=3, dropout=0.0)
    learner = spec_for(algorithm, net, data).build(seed=0)
    trainer = LocalTrainer(learner, TrainerSettings())
    for step in range(2):
        trainer.step(data.train.pixels[:12], data.train.labels[:12], step=step)
    Evaluator(learner, TrainerSettings()).fit_rules(data.train, data.validation)
    learner.eval()
    batch = {"images": {0: torch.export.Dim("batch", min=2, max=512)}}
    with torch.no_grad():
        program = torch.export.export(learner, (data.test.pixels[:4],), dynamic_shapes=batch).module()
        for images in (data.test.pixels[:4], data.train.pixels[:9]):
            torch.testing.assert_close(program(images), learner(images), rtol=0, atol=1e-6)


def test_a_chosen_block_and_range_come_back_with_the_weights(data: Splits):
    for algorithm in (DeeperForward(), RandomFeatures()):
        spec = spec_for(algorithm, MLP(width=6, depth=3), data)
        learner, other = spec.build(seed=0), spec.build(seed=0)
        Evaluator(learner, TrainerSettings()).fit_rules(data.train, data.validation)
        rule, loaded = learner.rules[learner.default_rule], other.rules[learner.default_rule]
        other.load_state_dict(learner.state_dict())
        chosen = {name: value for name, value in vars(rule).items() if name in ("index", "range")}
        assert chosen and chosen == {name: getattr(loaded, name) for name in chosen}
        assert torch.equal(other.predict_scores(data.test.pixels), learner.predict_scores(data.test.pixels))


@pytest.mark.parametrize("net", [LocalFields(width=4, field=4, stride=2), TopographicMaps(width=2, field=3)])
@pytest.mark.filterwarnings("ignore")  # of torch.export itself
def test_locally_connected_networks_are_exported_for_batches_of_any_size(net, data: Splits, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    learner = spec_for(MonoForward(), net, data).build(seed=0).eval()
    sizes = {"images": {0: torch.export.Dim("batch", min=2, max=512)}}
    with torch.no_grad():
        program = torch.export.export(learner, (data.test.pixels[:4],), dynamic_shapes=sizes).module()
        torch.testing.assert_close(program(data.train.pixels[:9]), learner(data.train.pixels[:9]), rtol=0, atol=1e-6)
