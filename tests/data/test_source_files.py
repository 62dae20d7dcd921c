"""What stands in place of a data file (pipes, sockets, devices, broken and looping links), and what stamps notice."""

import os
import shutil
import socket
import time

import numpy as np
import pytest
from PIL import Image

from onward.data import DataSettings, load, read_image
from onward.data.source_files import stamp


def named_pipe(place):
    os.mkfifo(place)


def listening_socket(place):
    here = os.getcwd()
    os.chdir(place.parent)  # the path of a socket must be short
    try:
        socket.socket(socket.AF_UNIX).bind(place.name)
    finally:
        os.chdir(here)


def device(place):
    place.symlink_to("/dev/zero")


def broken_link(place):
    place.symlink_to(place.parent / "nowhere")


def looping_link(place):
    place.symlink_to(place)


ODD = [
    (named_pipe, "is not a file but a named pipe"),
    (listening_socket, "is not a file but a socket"),
    (device, "is not a file but a device"),
    (broken_link, "is a link to a file that does not exist"),
    (looping_link, r"cannot be read \(Too many levels of symbolic links\): repair or remove it"),
]


@pytest.mark.timeout(20)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(("make", "message"), ODD, ids=[make.__name__ for make, _ in ODD])
def test_what_is_no_file_is_refused_and_never_waited_for(class_folders, tmp_path, shard, make, message):
    root = class_folders({"cat": 4, "dog": 4})
    make(root / "cat" / "x.png")
    with pytest.raises(ValueError, match=rf"x.png {message}"):
        load(DataSettings(name=str(root)))
    with pytest.raises(ValueError, match=rf"x.png {message}"):
        read_image(root / "cat" / "x.png", channels=3, size=(8, 8))
    shard(tmp_path / "data" / "svhn" / "test-00000-of-00001.parquet", [0, 1])
    make(tmp_path / "data" / "svhn" / "train-00000-of-00001.parquet")
    for buffer in (None, 16):
        with pytest.raises(ValueError, match=rf"train-00000-of-00001.parquet {message}"):
            load(DataSettings(name="svhn", buffer=buffer), data_dir=tmp_path / "data", workers=0)


def test_a_folder_is_not_an_image(tmp_path):
    with pytest.raises(ValueError, match="is a folder, not an image: name the image files inside it"):
        read_image(tmp_path, channels=3, size=(8, 8))


def test_exchanged_files_of_one_size_and_time_are_noticed(class_folders):
    root = class_folders({"cat": 5, "dog": 5}, suffix="bmp")
    for file in root.rglob("*.bmp"):
        os.utime(file, ns=(10**18, 10**18))
    before = load(DataSettings(name=str(root)))
    cat, dog, aside = root / "cat" / "001.bmp", root / "dog" / "001.bmp", root / "aside.bmp"
    cat.rename(aside)
    dog.rename(cat)
    aside.rename(dog)
    assert load(DataSettings(name=str(root))).checksum != before.checksum


def test_rewritten_files_of_one_size_and_time_are_noticed(class_folders):
    root = class_folders({"cat": 5, "dog": 5}, suffix="bmp")
    before = load(DataSettings(name=str(root)))
    file = root / "cat" / "001.bmp"
    status = file.stat()
    time.sleep(0.02)  # a file system counts in steps of a few milliseconds
    pixels = 255 - np.array(Image.open(file))
    with open(file, "r+b") as content:
        Image.fromarray(pixels).save(content, "BMP")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    now = file.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (status.st_size, status.st_mtime_ns, status.st_ino)
    assert load(DataSettings(name=str(root))).checksum != before.checksum


@pytest.mark.parametrize("buffer", [None, 16])
def test_exchanged_shards_of_one_size_and_time_are_noticed(tmp_path, shard, buffer):
    folder = tmp_path / "data" / "svhn"
    shard(folder / "test-00000-of-00001.parquet", [0, 1, 0, 1])
    one = shard(folder / "train-00000-of-00001.parquet", [0, 1] * 6)
    other = shard(tmp_path / "other.parquet", [1, 0] * 6)
    assert one.stat().st_size == other.stat().st_size
    os.utime(one, ns=(10**18, 10**18))
    settings = DataSettings(name="svhn", size=6, buffer=buffer)
    before = load(settings, data_dir=tmp_path / "data", workers=0)
    shutil.copy(other, one)
    os.utime(one, ns=(10**18, 10**18))
    assert load(settings, data_dir=tmp_path / "data", workers=0).checksum != before.checksum


def test_an_untouched_file_keeps_its_stamp(tmp_path):
    (tmp_path / "a").write_text("a")
    assert stamp(tmp_path / "a") == stamp(tmp_path / "a")
