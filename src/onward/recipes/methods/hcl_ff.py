"""HCL-FF (Yao, Chen, Kuo 2026).

Network, optimizer, epochs, batch size, clipping and temperatures of the long rows are those of the paper and the
released code; they are for a GPU. The temperature falls over the steps of all epochs, the first 50 of which are the
warm-up. Differs: trees are defined by hand, where the source clusters the classes of a first training; colors change in
every image, where the source leaves one in five unchanged; gray images are shifted, where the source also rotates and
scales them.
"""

from onward.algorithms import HCLFF
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import ResNet17, TinyCNN
from onward.recipes import class_trees
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="hcl_ff", description="4-layer CNN",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=HCLFF(tree=class_trees.MNIST), net=TinyCNN(width=50, dropout=0.0),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=0.0001, clip_norm=1.0), epochs=20, batch_size=64,
        backprop_rate=0.001,
    ),
    Recipe(
        method="hcl_ff", description="ResNet17 of two fifths of the width",
        data=DataSettings(name="mnist", validation_fraction=1 / 12, augmentation=Augmentation(crop=3)),
        algorithm=HCLFF(tree=class_trees.MNIST, warm_steps=21450, steps=21450),
        net=ResNet17(width=40, dropout=0.0, concat="by_class", last_stride=1),
        trainer=TrainerSettings(
            learning_rate=0.08, final_learning_rate=0.06, schedule_every="epoch", weight_decay=0.0001, clip_norm=1.0,
            precision="bf16",
        ),
        epochs=50, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.9965, source="Yao, Chen, Kuo 2026"),
    ),
    Recipe(
        method="hcl_ff", description="ResNet17 of two fifths of the width",
        data=DataSettings(
            name="fashion_mnist", validation_fraction=1 / 12, augmentation=Augmentation(crop=3, flip=True),
        ),
        algorithm=HCLFF(tree=class_trees.FASHION_MNIST, warm_steps=21450, steps=64350),
        net=ResNet17(width=40, dropout=0.0, concat="by_class", last_stride=1),
        trainer=TrainerSettings(
            learning_rate=0.08, final_learning_rate=0.008, schedule_every="epoch", weight_decay=0.0001, clip_norm=1.0,
            precision="bf16",
        ),
        epochs=150, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.9387, source="Yao, Chen, Kuo 2026"),
    ),
    Recipe(
        method="hcl_ff", description="ResNet17",
        data=DataSettings(
            name="cifar10", validation_fraction=0.1,
            augmentation=Augmentation(flip=True, resized_crop=0.4, color_jitter=0.2, grayscale=0.2),
        ),
        algorithm=HCLFF(tree=class_trees.CIFAR10, warm_steps=17550, steps=351000),
        net=ResNet17(dropout=0.0, concat="by_class", last_stride=1),
        trainer=TrainerSettings(
            learning_rate=0.08, final_learning_rate=0.0002, schedule_every="epoch", weight_decay=0.0001, clip_norm=1.0,
            precision="bf16",
        ),
        epochs=1000, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.9168, source="Yao, Chen, Kuo 2026", deviation=0.0019, seeds=5),
    ),
    # The tree's levels take one block each, as in the released code.
    Recipe(
        method="hcl_ff", description="ResNet17",
        data=DataSettings(
            name="cifar100", validation_fraction=0.1,
            augmentation=Augmentation(flip=True, resized_crop=0.4, color_jitter=0.2, grayscale=0.2),
        ),
        algorithm=HCLFF(tree=class_trees.CIFAR100, pace="one_per_block", warm_steps=4350, steps=87000),
        net=ResNet17(dropout=0.0, concat="by_class", last_stride=1),
        trainer=TrainerSettings(
            learning_rate=0.08, final_learning_rate=0.0002, schedule_every="epoch", weight_decay=0.0001, clip_norm=1.0,
            precision="bf16",
        ),
        epochs=1000, batch_size=512, backprop_rate=0.001,
        published=Published(test_accuracy=0.7009, source="Yao, Chen, Kuo 2026", deviation=0.0015, seeds=5),
    ),
    # Minutes on two cores.
    Recipe(
        method="hcl_ff", scale="cpu", description="4-layer CNN",
        data=DataSettings(name="mnist", validation_fraction=1 / 12, augmentation=Augmentation(crop=3)),
        algorithm=HCLFF(tree=class_trees.MNIST), net=TinyCNN(width=50, dropout=0.0),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=0.0001, clip_norm=1.0, precision="bf16"), epochs=10,
        batch_size=64, backprop_rate=0.001,
        published=Published(test_accuracy=0.9965, source="Yao, Chen, Kuo 2026 (ResNet17, 50 epochs)"),
    ),
    Recipe(
        method="hcl_ff", scale="cpu", description="4-layer CNN",
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=Augmentation(flip=True)),
        algorithm=HCLFF(tree=class_trees.CIFAR10), net=TinyCNN(width=50, dropout=0.0),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=0.0001, clip_norm=1.0, precision="bf16"), epochs=10,
        batch_size=64, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9168, source="Yao, Chen, Kuo 2026 (ResNet17, 1000 epochs)", deviation=0.0019, seeds=5,
        ),
    ),
)
