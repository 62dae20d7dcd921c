"""Reading a command line: flags that were renamed or removed."""

import os
from pathlib import Path

import pytest

from onward.cli.answers import check_writable
from onward.cli.arguments import check_place, parse
from onward.cli.flags import RecipeFlags, flags_of
from onward.cli.usage import CommandLineError
from onward.recipes import ROWS


@pytest.mark.parametrize("words", [["--trainer.averaging", "0.9"], ["--trainer.averaging=0.9"]])
def test_a_renamed_flag_works_and_is_named(words: list[str], capsys: pytest.CaptureFixture[str]):
    default = flags_of(ROWS["deeper_forward-digits"])
    found = parse(RecipeFlags, "train", [*words, "--algorithm.normaliser", "length"], default=default)
    assert found.trainer.ema_decay == 0.9 and getattr(found.algorithm, "normalizer", "") == "length"
    printed = capsys.readouterr().err
    assert "--trainer.averaging is now --trainer.ema-decay\n" in printed
    assert "--algorithm.normaliser is now --algorithm.normalizer\n" in printed


def test_a_removed_flag_says_what_to_do():
    default = flags_of(ROWS["deeper_forward-digits"])
    with pytest.raises(CommandLineError, match=r"--compile was removed: .* leave it out"):
        parse(RecipeFlags, "train", ["--compile"], default=default)


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("--trainer.avg", r"did you mean --trainer\.ema-decay\?"),
        ("--trainer.learn-rate", r"did you mean --trainer\.learning-rate"),
        ("--trainer.xyz", r"there are --trainer\.optimizer, --trainer\.learning-rate, "),
    ],
)
def test_an_unknown_flag_names_those_that_may_be_meant(flag: str, hint: str):
    default = flags_of(ROWS["deeper_forward-digits"])
    with pytest.raises(CommandLineError, match=hint):
        parse(RecipeFlags, "train", [flag, "3"], default=default)


def test_of_many_near_flags_few_are_named():
    with pytest.raises(CommandLineError, match="did you mean") as told:
        parse(RecipeFlags, "train", ["--dat", "3"], default=flags_of(ROWS["deeper_forward-digits"]))
    assert str(told.value).count("--") == 4  # the unknown one, and three


def test_weights_of_classes_are_a_word_or_numbers():
    default = flags_of(ROWS["deeper_forward-digits"])
    assert parse(RecipeFlags, "train", ["--class-weights", "balanced"], default=default).class_weights == "balanced"
    assert parse(RecipeFlags, "train", ["--class-weights", "1", "2.5"], default=default).class_weights == (1, 2.5)
    with pytest.raises(CommandLineError, match="--class-weights takes balanced or numbers, not 'heavy'"):
        parse(RecipeFlags, "train", ["--class-weights", "heavy"], default=default)


def test_a_device_or_a_pipe_is_no_place_for_a_file(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null"), Path("/dev/full")):
        with pytest.raises(ValueError, match=rf"^--csv {path} is a device or a pipe, which a file would replace"):
            check_writable(path, [])
    check_place("csv", tmp_path / "new.csv")
