"""Methods side by side: finished runs, their accuracy under noise, and what a step of each costs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any

import torch

from onward.algorithms import Backprop
from onward.compare.comparable import check_networks, check_same_images
from onward.compare.comparison import (
    ComparedSweep,
    Comparison,
    MethodResult,
    OnChip,
    Spread,
    TrainingEnergy,
    UnderNoise,
)
from onward.compare.pixel_noise import without_pixels
from onward.compare.recovery import ChipTraining
from onward.compare.robustness import CleanAccuracy, Print, RunEvaluator
from onward.core import Count, Range, Whole, check_fields
from onward.core.metrics import MEASURES, ClassMetrics, format_metric
from onward.costs.methods import epochs_to, measure_methods, short
from onward.data import Splits, load
from onward.hardware import SWEEPS, Condition, conditions
from onward.recipes import Recipe
from onward.runs.environment import choose_device, environment
from onward.runs.finished import Run, obtain
from onward.runs.localities import in_words_on
from onward.runs.train import RunOptions

_WORDS = ("name", "description", "published", "backprop", "seed")  # of a recipe: they decide no method
_LONGEST = 60  # characters that tell one recipe from another in a label


@dataclass(frozen=True)
class ComparisonSettings:
    """The measurements of a comparison, the same for every method. Raises ValueError for impossible numbers."""

    conditions: tuple[Condition, ...] = ()
    """Noise to evaluate under."""
    chips: Count = 5
    """Chips of every condition in which chips differ."""
    test_images: Count | None = None
    """Evaluate on the first images of the test split; None: on all."""
    recovery: tuple[Condition, ...] = ()
    """Chips to learn on."""
    stream: ChipTraining = field(default_factory=ChipTraining)
    """Training on a chip."""
    steps: Whole = 5
    """Timed steps of each method; 0: no memory, time and energy."""
    target: Annotated[float, Range(0, 1, above=True)] | None = None
    """Validation accuracy for energy and time to a target, a fraction; None: the best that every method reaches."""

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True)
class Method:
    """A recipe and its finished runs, one per seed, each with its data."""

    recipe: Recipe
    runs: tuple[Run, ...]
    data: Splits


def compare(
    recipes: Sequence[Recipe], seeds: int, question: ComparisonSettings, options: RunOptions, *, say: Print = print
) -> Comparison:
    """Train what is missing, evaluate and measure.

    Raises ValueError if the recipes have not the same images or a method does not fit its network, before anything is
    trained, and what training and evaluating raise.
    """
    check_same_images(recipes)
    data = load(recipes[0].data, data_dir=options.data_dir)
    check_networks(recipes, data)
    methods = []
    for recipe in recipes:
        runs = []
        for seed in range(seeds):
            run = obtain(replace(recipe, seed=seed), data, options)
            say(f"{run.folder.path}  test {MEASURES[data.task]} {format_metric(data.task, run.test_accuracy)}")
            runs.append(run)
        methods.append(Method(recipe, tuple(runs), data))
    return describe(methods, question, options, say=say)


def describe(
    methods: Sequence[Method], question: ComparisonSettings, options: RunOptions, *, say: Print = print
) -> Comparison:
    """Evaluate and measure methods whose runs have finished. Raises ValueError for runs that predict unlike things."""
    tasks = dict.fromkeys(method.data.task for method in methods)
    if len(tasks) > 1:
        raise ValueError(f"these runs predict {' and '.join(tasks)}, which have no metric in common: report them apart")
    forms = [method.data.inputs for method in methods]
    question = replace(question, conditions=without_pixels(question.conditions, forms, say))
    device = choose_device(options.device)
    tests = [[RunEvaluator(run, m.data, device, images=question.test_images) for run in m.runs] for m in methods]
    labels = labels_of([method.recipe for method in methods])
    rows = [
        _method_result(method, methods[0].recipe, label, on_test, question, say)
        for method, label, on_test in zip(methods, labels, tests, strict=True)
    ]
    comparison = Comparison(
        methods=tuple(rows),
        sweeps=tuple(_sweeps(question.conditions)),
        chips=question.chips,
        seeds=tuple(run.recipe.seed for run in methods[0].runs),
        test_images=len(tests[0][0].test),
        data=methods[0].data.note or methods[0].data.name,
        stream=question.stream if question.recovery else None,
        environment=environment(device),
        controls=(),
        target=None,
    )
    if not question.steps:
        return comparison
    say("measuring memory, time and energy of a step")
    return _with_costs(comparison, methods, question, device)


def by_recipe(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs of each recipe together. Raises ValueError for two of the same seed."""
    groups: list[list[Run]] = []
    for run in runs:
        alike = (g for g in groups if g[0].recipe.identity() == run.recipe.identity())
        group = next(alike, None)
        if group is None:
            groups.append([run])
        elif any(run.recipe.seed == other.recipe.seed for other in group):
            raise ValueError(f"{run.folder.path} has the recipe and the seed of another run; name one of them")
        else:
            group.append(run)
    return groups


def conditions_in_cache(methods: Sequence[Method], question: ComparisonSettings) -> ComparisonSettings:
    """Return settings with the noise and chips that are in the cache of every run, so that nothing is computed."""
    met: list[set[tuple[str, float | None, int]]] = []
    for method in methods:
        for run in method.runs:
            on_test = RunEvaluator(run, method.data, torch.device("cpu"), images=question.test_images)
            met.append(set(on_test.cached_conditions()))
    chips: dict[tuple[str, float | None], int] = {}
    for name, level, _ in set.intersection(*met):
        chips[name, level] = chips.get((name, level), 0) + 1
    levels: dict[str, list[float | None]] = {}
    for name, level in sorted(chips, key=lambda condition: (condition[0], condition[1] or 0.0)):
        levels.setdefault(name, []).append(level)
    evaluated = tuple(c for name, each in levels.items() for c in conditions([_word(name, each)]))
    fewest = min((chips[c.sweep, c.level] for c in evaluated if c.random), default=question.chips)
    return replace(question, conditions=evaluated, chips=fewest)


def with_first_budget(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Give every recipe network, images, epochs, batch size and precision of the first one."""
    first = recipes[0]
    return [
        replace(
            recipe,
            net=first.net,
            data=first.data,
            epochs=first.epochs,
            batch_size=first.batch_size,
            trainer=replace(recipe.trainer, precision=first.trainer.precision),
        )
        for recipe in recipes
    ]


def differences(recipe: Recipe, first: Recipe) -> list[str]:
    """Return how a recipe's network, data and budget differ from those of another, a phrase each."""
    phrases = {
        "network": lambda r: r.net,
        "data set": lambda r: r.data.name,
        "augmentation": lambda r: r.data.augmentation,
        "validation split": lambda r: (r.data.validation_fraction, r.data.split_seed),
        "epochs": lambda r: r.epochs,
        "batch size": lambda r: r.batch_size,
        "class weights": lambda r: r.class_weights,
        "precision": lambda r: r.trainer.precision,
    }
    return [f"{what} {short(of(recipe))}" for what, of in phrases.items() if of(recipe) != of(first)]


def short_names(names: Sequence[str]) -> list[str]:
    """Leave out the words after a dash that all names have, unless names would become one."""
    if len(names) < 2:
        return list(names)
    words = [name.split("-") for name in names]
    shared = set.intersection(*(set(rest) for _, *rest in words))
    shortened = ["-".join([first, *(word for word in rest if word not in shared)]) for first, *rest in words]
    return shortened if len(set(shortened)) == len(set(names)) else list(names)


def labels_of(recipes: Sequence[Recipe]) -> list[str]:
    """Return a label of its own for every recipe: its short name; where several have one, with what differs.

    Where that is long, or does not tell them apart, with a number.
    """
    names = short_names([recipe.name for recipe in recipes])
    labels = list(names)
    for name in set(names):
        positions = [k for k, other in enumerate(names) if other == name]
        for number, (k, settings) in enumerate(zip(positions, _apart([recipes[k] for k in positions]), strict=True), 1):
            labels[k] = f"{name} ({settings or number})" if len(positions) > 1 else name
    return labels


def _apart(recipes: Sequence[Recipe]) -> list[str]:
    """Return the settings in which recipes differ, a text each; empty where that is long or not unique."""
    settings = [_settings(recipe, ()) for recipe in recipes]
    varying = [name for name in _paths(settings) if len({row.get(name, "") for row in settings}) > 1]
    texts = [", ".join(f"{_word_of(name)} {row[name]}" for name in varying if name in row) for row in settings]
    return texts if len(set(texts)) == len(texts) and max(map(len, texts)) <= _LONGEST else [""] * len(texts)


def _word_of(path: tuple[str, ...]) -> str:
    """Return the name of a setting: its field, or for a field called `name` the field that holds it."""
    return (path[-2] if path[-1] == "name" else path[-1]).replace("_", " ")


def _paths(settings: Sequence[dict[tuple[str, ...], str]]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(path for row in settings for path in row))


def _settings(value: Any, path: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    """Return the settings that decide a training, one by one: dataclasses field by field, under the class's name."""
    if not hasattr(value, "__dataclass_fields__"):
        return {path: str(value)}
    rows = {path: type(value).__name__} if path else {}
    for each in fields(value):
        if path or each.name not in _WORDS:
            rows |= _settings(getattr(value, each.name), (*path, each.name))
    return rows


def _word(name: str, levels: Sequence[float | None]) -> str:
    """Return a sweep as it is written on the command line."""
    known = next((sweep for sweep in SWEEPS if sweep.name == name), None)
    if known is None:
        return name
    return f"{name}={','.join(str(float(level)) for level in levels if level is not None)}"


def _method_result(
    method: Method,
    first: Recipe,
    label: str,
    tests: Sequence[RunEvaluator],
    question: ComparisonSettings,
    say: Print,
) -> MethodResult:
    """Return the settings of a method, and its accuracies clean, under noise and on chips."""
    recipe, data, result = method.recipe, method.data, method.runs[0].result
    clean = [on_test.clean(say) for on_test in tests]
    return MethodResult(
        name=recipe.name,
        label=label,
        algorithm=type(recipe.algorithm).__name__,
        description=recipe.description,
        backprop=isinstance(recipe.algorithm, Backprop),
        network=short(recipe.net),
        locality=result.locality or in_words_on(recipe, data),
        data=data.note or data.name,
        data_checksum=data.checksum,
        validation_split=(recipe.data.validation_fraction, recipe.data.split_seed),
        task=data.task,
        class_names=tuple(data.class_names),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        precision=recipe.trainer.precision,
        differs=tuple(differences(recipe, first)),
        parameters=result.parameters,
        train_seconds=statistics.mean(run.result.train_seconds for run in method.runs),
        trained_on=result.device,
        runs=tuple(str(run.folder.path) for run in method.runs),
        seeds=tuple(run.recipe.seed for run in method.runs),
        curves=tuple(run.folder.metrics() for run in method.runs),
        test_images=len(tests[0].test),
        clean=_spread([[row.accuracy] for row in clean]),
        by_block=tuple(statistics.mean(values) for values in zip(*[row.by_block for row in clean], strict=True)),
        confusion=tuple(map(tuple, torch.tensor([row.confusion for row in clean]).sum(dim=0).tolist())),
        metrics=_metrics(clean),
        noise=tuple(_under(condition, tests, question, say) for condition in question.conditions),
        recovery=tuple(_on_chip(condition, tests, question, say) for condition in question.recovery),
    )


def _metrics(clean: Sequence[CleanAccuracy]) -> dict[str, float]:
    """Return the further metrics of runs, means over their seeds; those of classes follow from the confusion."""
    rows = [
        {"balanced_accuracy": ClassMetrics(torch.tensor(row.confusion)).balanced_accuracy}
        if row.confusion
        else row.metrics
        for row in clean
    ]
    return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}


def _under(condition: Condition, tests: Sequence[RunEvaluator], question: ComparisonSettings, say: Print) -> UnderNoise:
    accuracies = _spread([on_test.under(condition, chips=question.chips, say=say) for on_test in tests])
    return UnderNoise(condition.sweep, condition.json_level, **vars(accuracies))


def _on_chip(condition: Condition, tests: Sequence[RunEvaluator], question: ComparisonSettings, say: Print) -> OnChip:
    runs = [on_test.recovered(condition, question.stream, chips=question.chips, say=say) for on_test in tests]
    return OnChip(
        sweep=condition.sweep,
        level=condition.json_level,
        met=_spread([[r.met for r in run] for run in runs]),
        recovered=_spread([[r.recovered for r in run] for run in runs]),
        memory_bytes=max(r.memory_bytes for run in runs for r in run),
    )


def _spread(values: Sequence[Sequence[float]]) -> Spread:
    """Return mean and deviations of accuracies [seeds][chips]."""
    means = [statistics.mean(chips) for chips in values]
    within = [statistics.variance(chips) for chips in values if len(chips) > 1]
    return Spread(
        mean=statistics.mean(means),
        chip_deviation=statistics.mean(within) ** 0.5 if within else None,
        seed_deviation=statistics.stdev(means) if len(means) > 1 else None,
        values=tuple(tuple(chips) for chips in values),
    )


def _sweeps(conditions: Sequence[Condition]) -> list[ComparedSweep]:
    """Describe the sweeps among conditions, each with its levels; a preset is a sweep of one level without a number."""
    known = {sweep.name: sweep for sweep in SWEEPS}
    sweeps: list[ComparedSweep] = []
    for name in dict.fromkeys(condition.sweep for condition in conditions):
        sweep = known.get(name)
        sweeps.append(
            ComparedSweep(
                name=name,
                title=sweep.title if sweep else name,
                axis=sweep.axis if sweep else "",
                levels=tuple(condition.json_level for condition in conditions if condition.sweep == name),
                from_zero=sweep is not None and sweep.levels[0] < sweep.levels[-1],
                random=sweep is None or sweep.random,
            )
        )
    return sweeps


def _with_costs(
    comparison: Comparison, methods: Sequence[Method], question: ComparisonSettings, device: torch.device
) -> Comparison:
    """Give each row its cost; return the controls' costs, the target and the machine's rate by precision."""
    costs, controls, rates = measure_methods([(m.recipe, m.data) for m in methods], device, question.steps)
    curves = [row.histories for row in comparison.methods]
    target = question.target
    if target is None:
        target = min(max((e.validation_accuracy for e in c), default=0.0) for each in curves for c in each)
    rows = []
    for row, each, cost, method in zip(comparison.methods, curves, costs, methods, strict=True):
        steps = len(method.data.train) // min(method.recipe.batch_size, len(method.data.train))
        energy = _energy(cost.energy.joules * steps, [epochs_to(curve, target) for curve in each])
        rows.append(replace(row, cost=cost, energy=energy))
    return replace(comparison, methods=tuple(rows), controls=tuple(controls), target=target, peak_rate={**rates})


def _energy(per_epoch: float, needed: Sequence[int | None]) -> TrainingEnergy:
    """Return the energy of a training, `needed` the epochs of each seed to the target; None: never reached."""
    reached = [epochs for epochs in needed if epochs is not None]
    epochs = statistics.mean(reached) if len(reached) == len(needed) and reached else None
    return TrainingEnergy(per_epoch, epochs, None if epochs is None else epochs * per_epoch)
