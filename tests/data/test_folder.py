"""The user's own folders, good and bad."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from onward.data import DataSettings, load, read_labeled


def read(root, **changes):
    return load(DataSettings(name=str(root), **changes))


def test_classes_directly_get_a_stratified_test_split(class_folders):
    root = class_folders({"dog": 10, "cat": 15})
    made = read(root)
    assert made.class_names == ("cat", "dog") and made.name == "pets" and made.shape == (3, 8, 8)
    assert made.test.labels.bincount().tolist() == [3, 2]
    stored = {np.array(Image.open(file)).transpose(2, 0, 1).tobytes(): file.parent.name for file in root.rglob("*.png")}
    for part in (made.train, made.validation, made.test):
        for image, label in zip(part.pixels, part.labels, strict=True):
            assert stored.pop(image.numpy().tobytes()) == made.class_names[label]
    assert not stored


def test_the_test_split_never_moves(class_folders):
    root = class_folders({"dog": 20, "cat": 20})
    first, other = read(root), read(root, split_seed=8)
    assert torch.equal(first.test.pixels, other.test.pixels) and first.checksum == other.checksum
    assert not torch.equal(first.validation.pixels, other.validation.pixels)


def test_train_and_test_folders(class_folders):
    class_folders({"cat": 4, "dog": 4}, root="pets/train")
    root = class_folders({"cat": 3, "dog": 2}, root="pets/test").parent
    made = read(root)
    assert (len(made.train), len(made.validation), len(made.test)) == (6, 2, 5)
    assert made.test.labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_validation_folder_without_a_test_folder_is_no_test_split(class_folders, name):
    class_folders({"cat": 10, "dog": 10}, root="pets/train")
    root = class_folders({"cat": 3, "dog": 2}, root=f"pets/{name}").parent
    with pytest.warns(UserWarning, match="has a validation split but no test split: a fifth"):
        made = read(root)
    assert made.validation.labels.tolist() == [0, 0, 0, 1, 1]
    assert (len(made.train), len(made.test)) == (16, 4)
    assert len(read_labeled(root, ("cat", "dog"), channels=3, size=(8, 8))) == 5


def test_images_of_one_class_are_evaluated_whatever_the_form_of_its_name(class_folders):
    composed = "gr\u00fcn"
    root = class_folders({"gru\u0308n": 3})
    assert read_labeled(root, ("blau", composed), channels=3, size=(8, 8)).labels.tolist() == [1, 1, 1]
    (root / "metadata.csv").write_text("file_name,label\n" + f"gru\u0308n/{next(root.rglob('*.png')).name},blau\n")
    assert read_labeled(root, ("blau", composed), channels=3, size=(8, 8)).labels.tolist() == [0]
    with pytest.raises(ValueError, match="1 classes to learn: a classifier needs two or more"):
        read(root)


def test_listed_images_of_validation_are_not_tested_on(class_folders):
    root = class_folders({"cat": 10, "dog": 10})
    files = sorted(root.rglob("*.png"))
    held = files[3:5] + files[13:15]
    rows = [f"{file.relative_to(root)},{file.parent.name},{'val' if file in held else 'train'}" for file in files]
    (root / "metadata.csv").write_text("\n".join(["file_name,label,split", *rows]))
    with pytest.warns(UserWarning, match="no test split"):
        made = read(root)
    stored = torch.stack([torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in held])
    assert torch.equal(made.validation.pixels, stored) and made.validation.labels.tolist() == [0, 0, 1, 1]
    assert (len(made.train), len(made.test)) == (12, 4)


def test_a_validation_folder_beside_a_test_folder_is_the_validation_split(class_folders, recwarn):
    for split in ("train", "test", "val"):
        root = class_folders({"cat": 4, "dog": 4}, root=f"pets/{split}").parent
    made = read(root)
    assert len(made.validation) == len(made.test) == len(made.train) == 8 and not recwarn.list


def test_all_gray_folders_have_one_channel(class_folders):
    assert read(class_folders({"cat": 4, "dog": 4}, mode="L")).shape == (1, 8, 8)


def test_one_color_image_makes_all_color(class_folders):
    root = class_folders({"cat": 4, "dog": 4}, mode="L")
    Image.new("RGB", (8, 8), "red").save(root / "cat" / "red.png")
    assert read(root).shape == (3, 8, 8)


def test_size_resizes_everything(class_folders):
    root = class_folders({"cat": 4, "dog": 4})
    Image.new("RGB", (20, 11), "red").save(root / "cat" / "odd.png")
    assert read(root, size=6).shape == (3, 6, 6)


def test_differing_sizes_name_both_files(class_folders):
    root = class_folders({"cat": 4, "dog": 4})
    Image.new("RGB", (20, 11), "red").save(root / "dog" / "odd.png")
    with pytest.raises(ValueError, match=r"cat/000.png is 8x8 but .*dog/odd.png is 20x11 pixels: .*--data.size 32"):
        read(root)


def test_a_changed_folder_is_read_again(class_folders):
    root = class_folders({"cat": 4, "dog": 4})
    before = read(root).checksum
    assert read(root).checksum == before
    Image.new("RGB", (8, 8), "red").save(root / "dog" / "new.png")
    assert read(root).checksum != before


def test_hidden_files_and_stray_files_at_the_top_are_left_alone(class_folders):
    root = class_folders({"cat": 4, "dog": 4})
    (root / "README.md").write_text("pets")
    (root / "cat" / ".DS_Store").write_text("x")
    (root / ".git").mkdir()
    assert len(read(root).class_names) == 2


def empty_class(root):
    (root / "eel").mkdir()


def program_in_a_class(root):
    (root / "dog" / "bark.exe").write_text("woof")


def only_litter_in_a_class(root):
    (root / "eel").mkdir()
    (root / "eel" / "Thumbs.db").write_text("x")


def capital_train(root):
    for split in ("Train", "Test"):
        shutil.copytree(root / "dog", root / split / "dog")


def train_and_eval(root):
    for split in ("train", "eval"):
        shutil.copytree(root / "dog", root / split / "dog")
    for name in ("dog", "cat"):
        shutil.rmtree(root / name)


def lost_class(root):
    (root / "eel").symlink_to(root / "nowhere")


def unsorted(root):
    for file in (root / "dog").iterdir():
        file.rename(root / file.name)
    shutil.rmtree(root / "dog")
    shutil.rmtree(root / "cat")


def shards(root):
    no_classes(root)
    (root / "train-00000-of-00001.parquet").write_text("x")


def nested_class(root):
    (root / "dog" / "small").mkdir()


def single_class(root):
    shutil.rmtree(root / "dog")


def no_classes(root):
    shutil.rmtree(root / "dog")
    shutil.rmtree(root / "cat")


def one_image(root):
    (root / "eel").mkdir()
    Image.new("RGB", (8, 8)).save(root / "eel" / "a.png")


def two_images(root):
    one_image(root)
    Image.new("RGB", (8, 8)).save(root / "eel" / "b.png")


def only_train(root):
    (root / "train").mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (empty_class, "class folder .*eel is empty"),
        (program_in_a_class, "bark.exe cannot be read as an image"),
        (capital_train, r"Train looks like a training split: call it train, and the other one test"),
        (train_and_eval, r"has train/ but no test/ \(but eval: call the one to test on test/\)"),
        (lost_class, "eel is a link that leads to no folder: repair or remove it"),
        (unsorted, r"has no class folders, but 4 images that are not sorted into classes"),
        (shards, r"parquet cannot be read .*: copy it again"),
        (nested_class, "small is a folder inside the class 'dog'"),
        (single_class, "only the class folder 'cat'"),
        (no_classes, "has no class folders"),
        (one_image, "class 'eel' has a single sample"),
        (two_images, "class 'eel' has a single sample left"),
        (only_train, "has train/ but no test/"),
    ],
)
def test_bad_folders_say_what_is_wrong(class_folders, damage, message):
    root = class_folders({"cat": 4, "dog": 4})
    damage(root)
    with pytest.raises(ValueError, match=message):
        read(root)


@pytest.mark.filterwarnings("ignore:1 files in")
def test_a_class_with_litter_alone_is_empty(class_folders):
    root = class_folders({"cat": 4, "dog": 4})
    only_litter_in_a_class(root)
    with pytest.raises(ValueError, match=r"class folder .*eel is empty"):
        read(root)


def test_litter_beside_images_is_skipped_and_counted(class_folders):
    root = class_folders({"cat": 5, "dog": 5})
    clean = read(root).checksum
    for name in ("Thumbs.db", "desktop.ini", "001.txt", "labels.CSV", "001.xml", "001.json", "README.md"):
        (root / "cat" / name).write_text("x")
    with pytest.warns(UserWarning, match=r"7 files in .*pets are no images and were skipped, such as .*cat/001.json"):
        assert read(root).checksum == clean


def test_a_class_may_be_called_train(class_folders):
    root = class_folders({"bus": 5, "car": 5, "train": 5})
    assert read(root).class_names == ("bus", "car", "train")


def test_a_class_may_begin_with_underscores(class_folders):
    root = class_folders({"__background__": 5, "car": 5})
    (root / "__MACOSX").mkdir()
    assert read(root).class_names == ("__background__", "car")


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "a.pkl").write_text("x")
    with pytest.raises(ValueError, match=r"a.pkl is a file, not a folder: .*\.csv, .*onward.from_arrays"):
        read(tmp_path / "a.pkl")


def test_train_and_test_must_agree(class_folders):
    class_folders({"cat": 4, "dog": 4}, root="pets/train")
    root = class_folders({"cat": 4, "eel": 2}, root="pets/test").parent
    with pytest.raises(ValueError, match=r"class 'dog' is in .*train but not in .*test"):
        read(root)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a folder: give one"):
        read(tmp_path / "nowhere")


def test_the_error_names_where_a_relative_folder_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"pets is not a folder in {tmp_path}: give one"):
        read("./pets")


def test_two_ways_to_write_a_class_are_one_class_or_refused(class_folders, tmp_path):
    root = class_folders({"caf\u00e9": 4, "cafe\u0301": 4})
    if len(list(root.iterdir())) == 1:
        pytest.skip("this file system takes both for one")
    with pytest.raises(ValueError, match=r"pets has 'café' twice, as 'caf\\xe9' and as|two ways to write the same"):
        read(root)
    class_folders({"caf\u00e9": 4, "dog": 4}, root="both/train")
    root = class_folders({"cafe\u0301": 4, "dog": 4}, root="both/test").parent
    with pytest.raises(ValueError, match="two ways to write the same letters"):
        read(root)


def test_images_of_16_bits_are_not_cut_to_8(tmp_path, monkeypatch):
    """Two classes whose levels differ by less than one of 256, of which some files have 8 bits."""
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "cache"))
    for label, name in enumerate(("dark", "light")):
        (tmp_path / "deep" / name).mkdir(parents=True)
        for k in range(6):
            level = np.full((8, 8), 30000 + 90 * label + k, np.uint16)
            Image.fromarray(level).save(tmp_path / "deep" / name / f"{k}.{'png' if k % 2 else 'tif'}")
        Image.fromarray(np.full((8, 8), 51, np.uint8)).save(tmp_path / "deep" / name / "small.png")
    for _ in range(2):  # the second time from the cache
        data = load(DataSettings(name=str(tmp_path / "deep")))
        pixels = torch.cat([split.pixels for split in (data.train, data.validation, data.test)])
        assert pixels.dtype == torch.float32 and data.shape == (1, 8, 8) and data.inputs.unit
        assert len(pixels.unique()) == 13 and (pixels == 0.2).any(dim=(1, 2, 3)).sum() == 2
    seen = read_labeled(tmp_path / "deep", ("dark", "light"), channels=1, size=(8, 8))
    assert len(seen.pixels.unique()) == 13
