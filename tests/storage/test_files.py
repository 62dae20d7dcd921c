"""Files of a run: whole or not at all, and every damage is noticed."""

import errno
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onward.storage.files import read_json, read_tensors, write_json, write_tensors

_TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7, dtype=torch.int64), "empty": torch.zeros(0)}
_NOTES = {"epoch": 3, "list": [1, "x", None]}
_shared_tmp = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


def test_json_round_trip(tmp_path: Path):
    write_json(tmp_path / "x.json", _NOTES)
    assert read_json(tmp_path / "x.json") == _NOTES


def test_tensors_round_trip_keeps_bits_names_and_notes(tmp_path: Path):
    write_tensors(tmp_path / "x.safetensors", _TENSORS, _NOTES)
    tensors, notes = read_tensors(tmp_path / "x.safetensors")
    assert notes == _NOTES
    assert tensors.keys() == _TENSORS.keys()
    assert all(
        torch.equal(tensors[name], value) and tensors[name].dtype == value.dtype for name, value in _TENSORS.items()
    )


def test_channels_last_tensors_keep_their_values(tmp_path: Path):
    weight = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    write_tensors(tmp_path / "x.safetensors", {"w": weight}, {})
    assert torch.equal(read_tensors(tmp_path / "x.safetensors")[0]["w"], weight)


@_shared_tmp
@given(data=st.data())
def test_a_flipped_bit_in_json_is_refused_or_harmless(tmp_path: Path, data: st.DataObject):
    path = tmp_path / "x.json"
    write_json(path, _NOTES)
    _flip(path, data)
    try:
        assert read_json(path) == _NOTES
    except ValueError as error:
        assert str(path) in str(error)


@_shared_tmp
@given(data=st.data())
def test_a_flipped_bit_in_tensors_is_refused_or_harmless(tmp_path: Path, data: st.DataObject):
    path = tmp_path / "x.safetensors"
    write_tensors(path, _TENSORS, _NOTES)
    _flip(path, data)
    try:
        tensors, notes = read_tensors(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert notes == _NOTES
        assert all(torch.equal(tensors[name], value) for name, value in _TENSORS.items())


@_shared_tmp
@given(kept=st.integers(0, 200))
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int):
    write_json(tmp_path / "x.json", _NOTES)
    write_tensors(tmp_path / "x.safetensors", _TENSORS, _NOTES)
    for name, read in (("x.json", read_json), ("x.safetensors", read_tensors)):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: min(kept, len(whole) - 2)])
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b"\xff\xfe", b'{"sha256": "x"}', b"null"])
def test_foreign_json_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json"):
        read_json(tmp_path / "x.json")


def test_missing_files_are_named(tmp_path: Path):
    with pytest.raises(ValueError, match="does not exist"):
        read_json(tmp_path / "x.json")
    with pytest.raises(ValueError, match="does not exist"):
        read_tensors(tmp_path / "x.safetensors")


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_json(tmp_path / "x.json", {"old": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"x\.json.*No space left"):
        write_json(tmp_path / "x.json", {"new": 2})
    assert read_json(tmp_path / "x.json") == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_really_full_device_becomes_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "onward.storage.files.save_file", lambda plain, path, metadata: Path("/dev/full").write_bytes(b"x")
    )
    with pytest.raises(OSError, match=r"x\.safetensors.*No space left"):
        write_tensors(tmp_path / "x.safetensors", _TENSORS, {})
    assert list(tmp_path.iterdir()) == []


def _flip(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
