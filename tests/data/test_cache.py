"""The cache: same bits back, nothing damaged trusted, no disk needed."""

import errno
import hashlib
import json
import os

import pytest
import torch

from onward.data.cache import _HashingFile, cached
from onward.data.images import Decoded


@pytest.fixture
def source(random_images):
    """A decoder that counts how often it had to work."""

    class Source:
        calls = 0
        made = Decoded(random_images(6), random_images(4, seed=1), ("a", "b", "c"))

        def __call__(self) -> Decoded:
            self.calls += 1
            return self.made

    return Source()


def same(left: Decoded, right: Decoded) -> bool:
    pairs = [(left.train, right.train), (left.test, right.test)]
    equal = all(torch.equal(a.pixels, b.pixels) and torch.equal(a.labels, b.labels) for a, b in pairs)
    return equal and left.class_names == right.class_names


def test_the_second_time_comes_from_disk(source, cache):
    first = cached("set", ["v1"], source)
    again = cached("set", ["v1"], source)
    assert source.calls == 1 and same(first[0], again[0]) and first[1] == again[1]
    assert [path.name.split("-")[0] for path in cache.iterdir()] == ["set"]


def test_another_source_is_another_entry(source):
    for identity in (["v1"], ["v2"], ["v1", 32]):
        cached("set", identity, source)
    assert source.calls == 3


def test_writing_into_the_arrays_leaves_the_cache_alone(source):
    cached("set", [], source)
    cached("set", [], source)[0].train.pixels.zero_()
    assert same(cached("set", [], source)[0], source.made) and source.calls == 1


FILES = ["train_pixels.npy", "train_labels.npy", "test_pixels.npy", "test_labels.npy", "entry.json"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("place", [0, 12, 90, -1])
def test_a_flipped_bit_is_found_and_repaired(source, cache, file, place):
    cached("set", [], source)
    path = next(cache.iterdir()) / file
    intact = path.read_bytes()
    content = bytearray(intact)
    content[place] ^= 4
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert same(cached("set", [], source)[0], source.made)
    assert source.calls == 2 and path.read_bytes() == intact
    assert same(cached("set", [], source)[0], source.made) and source.calls == 2


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("keep", [0, 0.5])
def test_a_truncated_file_is_found_and_repaired(source, cache, file, keep):
    cached("set", [], source)
    path = next(cache.iterdir()) / file
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.warns(UserWarning, match="damaged"):
        assert same(cached("set", [], source)[0], source.made)
    assert source.calls == 2


@pytest.mark.parametrize("file", FILES)
def test_a_lost_file_is_repaired(source, cache, file):
    cached("set", [], source)
    (next(cache.iterdir()) / file).unlink()
    with pytest.warns(UserWarning, match="damaged"):
        assert same(cached("set", [], source)[0], source.made)
    assert source.calls == 2


@pytest.mark.timeout(20)
@pytest.mark.parametrize("file", FILES)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(source, cache, file):
    cached("set", [], source)
    path = next(cache.iterdir()) / file
    path.unlink()
    os.mkfifo(path)
    with pytest.warns(UserWarning, match="damaged .*named pipe"):
        assert same(cached("set", [], source)[0], source.made)
    assert source.calls == 2


@pytest.mark.parametrize("body", ["[" * 100_000, "[]", '{"sha256": []}', '{"sha256": 3}'])
def test_a_sealed_entry_of_another_form_is_decoded_again(source, cache, body):
    cached("set", [], source)
    entry = next(cache.iterdir()) / "entry.json"
    entry.write_text(hashlib.sha256(body.encode()).hexdigest() + "\n" + body)
    with pytest.warns(UserWarning, match="damaged"):
        assert same(cached("set", [], source)[0], source.made)
    assert source.calls == 2


def test_a_full_disk_leaves_nothing_behind(source, cache, monkeypatch):
    def full(self, content):
        self.file.write(content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_HashingFile, "write", full)
    with pytest.warns(UserWarning, match="No space left on device.*going on without"):
        assert same(cached("set", [], source)[0], source.made)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_done_without(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert same(cached("set", [], source)[0], source.made)


def test_an_interrupted_write_is_never_taken_for_an_entry(source, cache, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr("onward.data.cache.os.replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cached("set", [], source)
    assert list(cache.iterdir()) == []
    cached("set", [], source)
    assert source.calls == 2


def test_a_failing_decoder_leaves_no_entry(cache):
    def fail() -> Decoded:
        raise ValueError("bad source")

    with pytest.raises(ValueError, match="bad source"):
        cached("set", [], fail)
    assert not cache.exists()


def test_another_pillow_decodes_again(source, monkeypatch):
    cached("set", [], source)
    monkeypatch.setattr("PIL.__version__", "0.0")
    cached("set", [], source)
    assert source.calls == 2


def test_the_entry_says_what_it_holds(source, cache):
    _, digest = cached("set", [], source)
    facts = json.loads((next(cache.iterdir()) / "entry.json").read_text().split("\n", 1)[1])
    assert facts["checksum"] == digest and facts["class_names"] == ["a", "b", "c"]
