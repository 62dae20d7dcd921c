"""Rows that were removed on 28 November 2026: never trained, and in no published table. Their names still work.

They are found by their former names, with a note on the nearest current row; nothing else reads this file.
"""

from onward.algorithms import (
    FFGAFSNN,
    HCLFF,
    HFF,
    CaFo,
    CwComp,
    DeeperForward,
    DistanceForward,
    EarlyExits,
    MonoForward,
    PredSim,
    RandomFeatures,
)
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import VGG14, Airbench, CaFoCNN, MonoCNN, Plain17, ResNet17, ResNet33, ResNet100, TinyCNN, Trifecta12
from onward.recipes import class_trees
from onward.recipes.budgets import MUON, MUON_READ_OUT
from onward.recipes.recipe import Published, Recipe

_PUBLISHED = TrainerSettings(
    learning_rate=0.08, final_learning_rate=0.008, schedule_every="epoch", weight_decay=0.0001, precision="bf16"
)
"""DeeperForward's training as published."""

_SHORT = TrainerSettings(learning_rate=0.02, weight_decay=0.0005, precision="bf16")
"""Its short one."""

ROWS = (
    Recipe(
        name="deeper_forward-square_variance-cifar10", description="ResNet17 with mean squares and unit variances",
        data=DataSettings(name="cifar10", size=32),
        algorithm=DeeperForward(goodness="mean_square"), net=ResNet17(),
        trainer=_PUBLISHED, epochs=150, batch_size=128, backprop_rate=0.001,
    ),
    Recipe(
        name="deeper_forward-mean_length-cifar10", description="ResNet17 with means and unit lengths",
        data=DataSettings(name="cifar10", size=32),
        algorithm=DeeperForward(normalizer="length"), net=ResNet17(),
        trainer=_PUBLISHED, epochs=150, batch_size=128, backprop_rate=0.001,
    ),
    Recipe(
        name="deeper_forward-resnet33-cifar10", description="ResNet33",
        data=DataSettings(name="cifar10", size=32),
        algorithm=DeeperForward(), net=ResNet33(),
        trainer=_PUBLISHED, epochs=150, batch_size=128, backprop_rate=0.001,
    ),
    Recipe(
        name="deeper_forward-resnet100-cifar10", description="ResNet100",
        data=DataSettings(name="cifar10", size=32),
        algorithm=DeeperForward(), net=ResNet100(),
        trainer=_PUBLISHED, epochs=150, batch_size=128, backprop_rate=0.001,
    ),
    Recipe(
        name="deeper_forward-square_length-cifar10-fast",
        description="ResNet17 with mean squares and unit lengths, a fifth of the width",
        data=DataSettings(name="cifar10", augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(goodness="mean_square", normalizer="length"), net=ResNet17(width=20, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
        published=Published(test_accuracy=0.7938, source="Sun et al. 2025, table 4 (full width, 150 epochs)"),
    ),
    Recipe(
        name="deeper_forward-square_variance-cifar10-fast",
        description="ResNet17 with mean squares and unit variances, a fifth of the width",
        data=DataSettings(name="cifar10", augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(goodness="mean_square"), net=ResNet17(width=20, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
    ),
    Recipe(
        name="deeper_forward-mean_length-cifar10-fast",
        description="ResNet17 with means and unit lengths, a fifth of the width",
        data=DataSettings(name="cifar10", augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(normalizer="length"), net=ResNet17(width=20, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
    ),
    Recipe(
        name="deeper_forward-vgg14-cifar10-fast", description="VGG14, a seventh of the width",
        data=DataSettings(name="cifar10", augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(), net=VGG14(width=10, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
        published=Published(test_accuracy=0.8176, source="Sun et al. 2025, table 1 (full width, 150 epochs)"),
    ),
    Recipe(
        name="deeper_forward-vgg14-mnist-fast", description="VGG14, a seventh of the width",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=DeeperForward(), net=VGG14(width=10, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
        published=Published(test_accuracy=0.9965, source="Sun et al. 2025, table 1 (full width, 150 epochs)"),
    ),
    Recipe(
        name="deeper_forward-vgg14-fashion_mnist-fast", description="VGG14, a seventh of the width",
        data=DataSettings(name="fashion_mnist", validation_fraction=1 / 6, augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(), net=VGG14(width=10, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
        published=Published(test_accuracy=0.9244, source="Sun et al. 2025, table 1 (full width, 150 epochs)"),
    ),
    Recipe(
        name="deeper_forward-plain17-cifar10-fast", description="Plain17, a fifth of the width",
        data=DataSettings(name="cifar10", augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(), net=Plain17(width=20, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
        published=Published(test_accuracy=0.8116, source="Sun et al. 2025, table 4 (full width, 150 epochs)"),
    ),
    Recipe(
        name="deeper_forward-resnet33-cifar10-fast", description="ResNet33, a fifth of the width",
        data=DataSettings(name="cifar10", augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(), net=ResNet33(width=20, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
    ),
    Recipe(
        name="deeper_forward-resnet100-cifar10-fast", description="ResNet100, a tenth of the width",
        data=DataSettings(name="cifar10", augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(), net=ResNet100(width=10, dropout=0.1),
        trainer=_SHORT, epochs=10, batch_size=32, backprop_rate=0.001,
    ),
    Recipe(
        name="distance_forward-plain-cifar10", description="12 conv, without collaboration",
        data=DataSettings(name="cifar10", augmentation=Augmentation(crop=4, flip=True)),
        algorithm=DistanceForward(anchors="learned", grid=4, collaboration="none", unit_length=False), net=Trifecta12(),
        trainer=TrainerSettings(optimizer="adam", learning_rate=0.001, precision="bf16"), epochs=100, batch_size=128,
        backprop_rate=0.001,
    ),
    Recipe(
        name="distance_forward-random_feedback-cifar10", description="12 conv, random feedback over two layers",
        data=DataSettings(name="cifar10", augmentation=Augmentation(crop=4, flip=True)),
        algorithm=DistanceForward(anchors="learned", grid=4, random_feedback=True, unit_length=False), net=Trifecta12(),
        trainer=TrainerSettings(optimizer="adam", learning_rate=0.001, precision="bf16"), epochs=100, batch_size=128,
        backprop_rate=0.001,
    ),
    Recipe(
        name="distance_forward-svhn-fast", description="airbench network",
        data=DataSettings(name="svhn", validation_fraction=0.05, augmentation=Augmentation(crop=2, padding="reflect")),
        algorithm=DistanceForward(anchors="learned", grid=4, collaboration="disjoint", unit_length=False),
        net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
        published=Published(test_accuracy=0.959, source="Wu et al. 2024; network and settings are ours"),
    ),
    Recipe(
        name="distance_forward-imagenette-fast", description="airbench network",
        data=DataSettings(
            name="imagenette", size=64, validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=DistanceForward(anchors="learned", grid=4, collaboration="disjoint", unit_length=False),
        net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
        published=Published(test_accuracy=0.825, source="Wu et al. 2024; network and settings are ours"),
    ),
    Recipe(
        name="predsim-fashion_mnist-fast", description="airbench network",
        data=DataSettings(
            name="fashion_mnist", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=PredSim(decoder_features=1024), net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
        published=Published(test_accuracy=0.9535, source="Nøkland and Eidnes 2019, VGG8b"),
    ),
    Recipe(
        name="cafo_least_squares-mnist", description="3 conv, least squares",
        data=DataSettings(name="mnist"),
        algorithm=CaFo(predictor="least_squares"), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=1, batch_size=128, backprop_rate=0.001,
    ),
    Recipe(
        name="cafo_least_squares-fashion_mnist", description="3 conv, least squares",
        data=DataSettings(name="fashion_mnist"),
        algorithm=CaFo(predictor="least_squares"), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=1, batch_size=128, backprop_rate=0.001,
    ),
    Recipe(
        name="cafo_least_squares-fashion_mnist-fast", description="3 conv, least squares",
        data=DataSettings(name="fashion_mnist"),
        algorithm=CaFo(predictor="least_squares"), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=1, batch_size=128, backprop_rate=0.001,
    ),
    Recipe(
        name="cafo_least_squares-cifar10-fast", description="3 conv, least squares",
        data=DataSettings(name="cifar10"),
        algorithm=CaFo(predictor="least_squares"), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=1, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.6514, source="Zhao et al. 2023, note in the released code (full width)"),
    ),
    Recipe(
        name="cafo_feedback-mnist-fast", description="3 conv, feedback-aligned blocks",
        data=DataSettings(name="mnist"),
        algorithm=CaFo(feedback=True), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=10, batch_size=128, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9902, source="Spyra 2025 (arXiv 2509.19063), from logs, feedback (full width)",
        ),
    ),
    Recipe(
        name="cafo_feedback-cifar10-fast", description="3 conv, feedback-aligned blocks",
        data=DataSettings(name="cifar10"),
        algorithm=CaFo(feedback=True), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=10, batch_size=128, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.776, source="Spyra 2025 (arXiv 2509.19063), from logs, feedback (full width)",
        ),
    ),
    Recipe(
        name="random_features-fashion_mnist-fast", description="airbench network",
        data=DataSettings(
            name="fashion_mnist", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=RandomFeatures(), net=Airbench(),
        trainer=MUON_READ_OUT, epochs=8, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        name="random_features-cifar10-fast", description="airbench network",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=RandomFeatures(), net=Airbench(),
        trainer=MUON_READ_OUT, epochs=8, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        name="random_features-cifar100-fast", description="airbench network",
        data=DataSettings(
            name="cifar100", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=RandomFeatures(), net=Airbench(),
        trainer=MUON_READ_OUT, epochs=8, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        name="hff-fashion_mnist-fast", description="airbench network",
        data=DataSettings(
            name="fashion_mnist", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=HFF(grid=4), net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        name="early_exits-deeper_forward_mnist", description="4-layer CNN of half width",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=EarlyExits(), net=TinyCNN(width=50, dropout=0.1),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=0.0005, precision="bf16"), epochs=11, batch_size=32,
        backprop_rate=0.001,
    ),
    Recipe(
        name="early_exits-deeper_forward_fashion_mnist-shared", description="4-layer CNN of half width",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.05, augmentation=Augmentation(flip=True)),
        algorithm=EarlyExits(), net=TinyCNN(width=50, dropout=0.1),
        trainer=TrainerSettings(learning_rate=0.08, weight_decay=0.0005, precision="bf16"), epochs=4, batch_size=32,
        backprop_rate=0.001,
    ),
    Recipe(
        name="early_exits-mono_forward_mnist-fast", description="airbench network",
        data=DataSettings(name="mnist", validation_fraction=0.05, augmentation=Augmentation(crop=2, padding="reflect")),
        algorithm=EarlyExits(of=MonoForward(features=2048)), net=Airbench(),
        trainer=MUON, epochs=4, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        name="early_exits-mono_forward_fashion_mnist-fast", description="airbench network",
        data=DataSettings(
            name="fashion_mnist", validation_fraction=0.05,
            augmentation=Augmentation(padding="reflect", alternate_flip=True),
        ),
        algorithm=EarlyExits(of=MonoForward(features=2048)), net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        name="early_exits-mono_forward_cifar10-fast", description="airbench network",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=EarlyExits(of=MonoForward(features=2048)), net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        name="early_exits-heads_deeper_forward_mnist", description="4-layer CNN of half width, trained heads",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=EarlyExits(heads="trained"), net=TinyCNN(width=50, dropout=0.1),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=0.0005, precision="bf16"), epochs=11, batch_size=32,
        backprop_rate=0.001,
    ),
    Recipe(
        name="ffgaf_snn-cifar10-fast", description="4 spiking conv",
        data=DataSettings(name="cifar10", augmentation=Augmentation(crop=2, flip=True)),
        algorithm=FFGAFSNN(steps=4), net=MonoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.003, precision="bf16"), epochs=12, batch_size=64, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.7564,
            source="arXiv 2507.23643, abstract; network and settings are ours (full width, 8 steps)",
        ),
    ),
    Recipe(
        name="hcl_ff-fashion_mnist-fast", description="4-layer CNN",
        data=DataSettings(
            name="fashion_mnist", validation_fraction=1 / 12, augmentation=Augmentation(crop=3, flip=True),
        ),
        algorithm=HCLFF(tree=class_trees.FASHION_MNIST), net=TinyCNN(width=50, dropout=0.0),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=0.0001, clip_norm=1.0, precision="bf16"), epochs=10,
        batch_size=64, backprop_rate=0.001,
        published=Published(test_accuracy=0.9387, source="Yao, Chen, Kuo 2026 (ResNet17, 150 epochs)"),
    ),
    Recipe(
        name="hcl_ff-cifar100-fast", description="4-layer CNN",
        data=DataSettings(name="cifar100", augmentation=Augmentation(flip=True)),
        algorithm=HCLFF(tree=class_trees.CIFAR100, pace="one_per_block"), net=TinyCNN(dropout=0.0),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=0.0001, clip_norm=1.0, precision="bf16"), epochs=10,
        batch_size=64, backprop_rate=0.001,
        published=Published(test_accuracy=0.7009, source="Yao, Chen, Kuo 2026 (ResNet17, 1000 epochs)"),
    ),
    Recipe(
        name="cwcomp-fashion_mnist-shared", description="airbench network",
        data=DataSettings(
            name="fashion_mnist", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=CwComp(), net=Airbench(width=60),
        trainer=MUON, epochs=4, batch_size=256, backprop_rate=0.1,
    ),
)
