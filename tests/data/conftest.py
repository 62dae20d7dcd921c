"""A private cache for every test, and small image sets made on the spot."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onward.data import Images

REAL_DATA = os.environ.get("ONWARD_DATA", "")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def real_data() -> Path:
    if not Path(REAL_DATA or "/nonexistent").is_dir():
        pytest.skip("ONWARD_DATA names no folder with mnist, fashion_mnist and cifar10")
    return Path(REAL_DATA)


@pytest.fixture
def random_images():
    def make(count: int, *, shape: tuple[int, int, int] = (3, 8, 8), num_classes: int = 3, seed: int = 0) -> Images:
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
        return Images(pixels, torch.arange(count) % num_classes)

    return make


@pytest.fixture
def png():
    def encode(array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "PNG")
        return buffer.getvalue()

    return encode


@pytest.fixture
def class_folders(tmp_path):
    """Folders of noise images: `make({"cat": 5, "dog": 5})`; mode and size of all of them can be chosen."""

    def make(counts: dict[str, int], *, root: str = "pets", size=(8, 8), mode="RGB", suffix="png") -> Path:
        rng = np.random.default_rng(0)
        for name, count in counts.items():
            folder = tmp_path / root / name
            folder.mkdir(parents=True)
            for index in range(count):
                array = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
                Image.fromarray(array).convert(mode).save(folder / f"{index:03}.{suffix}")
        return tmp_path / root

    return make


@pytest.fixture
def shard(tmp_path, monkeypatch, png):
    """Write one parquet shard as the hub does and return its path."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "huggingface")

    def write(path, labels, *, names=None, image="image", label="label", shape=(6, 6, 3)) -> Path:
        rng = np.random.default_rng(len(labels))
        images = [{"bytes": png(rng.integers(0, 256, shape, dtype=np.uint8)), "path": None} for _ in labels]
        features = datasets.Features({image: datasets.Image()})
        features[label] = datasets.ClassLabel(names=names) if names else datasets.Value("int64")
        path.parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict({image: images, label: list(labels)}, features=features).to_parquet(path)
        return path

    return write
