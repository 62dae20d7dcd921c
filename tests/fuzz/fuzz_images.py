"""Image files of every mode and format, whole and damaged: the pixels written, those of Pillow, or refused."""
# H W map, C channels

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_case import Case, Target, Wrong
from PIL import Image

from onward.data import read_image

_LOSSLESS = {
    "PNG": ("L", "RGB", "RGBA", "LA", "P", "1"),
    "BMP": ("L", "RGB", "1"),
    "TIFF": ("L", "RGB", "RGBA", "1", "P"),
    "PPM": ("L", "RGB", "1"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("L", "P", "1"),
}
"""By format that keeps pixels as they are, the modes that it can hold."""

_TRANSPARENT = ("LA", "RGBA")
"""Modes of which colors are mixed with what is behind them, and rounded."""

_FOREIGN = ("EPS", "ICO", "TGA", "PCX", "SGI", "DDS", "IM", "JPEG2000", "PDF", "MSP", "XBM", "SPIDER")
"""Formats that Pillow can write and that must be refused: each is a parser for the maker of a file to attack."""


def prepare(folder: Path) -> None:
    Image.init()
    os.environ["PATH"] = str(folder)  # no program may be found


def case(case: Case, world: Any) -> None:
    case.draw.choices((_whole, _damaged, _deep, _foreign, _no_image, _asked), (10, 14, 4, 3, 3, 2))[0](case)


def _whole(case: Case) -> None:
    """Every pixel has to be the one that was written."""
    pixels, image, kind = _drawn(case)
    path = _written(case, image, kind)
    channels, size = case.draw.choice((1, 3)), pixels.shape[:2]
    found = read_image(path, channels=channels, size=size).numpy()
    wanted = _as_read(pixels, channels)
    if (off := _levels_off(found, wanted)) > (2 if image.mode in _TRANSPARENT else 0):
        raise Wrong(f"{off} gray levels from what was written, {channels} channels")


def _levels_off(found: np.ndarray, wanted: np.ndarray) -> int:
    return int(np.abs(found.astype(int) - wanted).max())


def _shown(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return colors [H W] or [H W 3] with alpha [H W], white behind them if what is seen is dark, else black."""
    seen, brightness = alpha / 255, _as_read(color, 1)[0]
    behind = 255 if (brightness * seen).sum() < 128 * seen.sum() else 0
    seen = seen.reshape(*seen.shape, *[1] * (color.ndim - 2))
    return np.rint(color * seen + behind * (1 - seen)).astype("u1")


def _by_pillow(image: Image.Image) -> np.ndarray:
    """Return colors [H W 3]."""
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    pixels = np.asarray(image.convert("RGBA"))
    return _shown(pixels[..., :3], pixels[..., 3])


def _drawn(case: Case) -> tuple[np.ndarray, Image.Image, str]:
    """Return pixels [H W] or [H W 3], an image that shows them, and a format that keeps them."""
    kind = case.pick(tuple(_LOSSLESS))
    mode = case.pick(_LOSSLESS[kind])
    rng = np.random.default_rng(case.draw.getrandbits(32))
    height, width = case.draw.randrange(1, 13), case.draw.randrange(1, 13)
    gray = rng.integers(0, 256, (height, width), dtype="u1")
    if mode == "1":
        gray = (gray > 127).astype("u1") * 255
        return gray, Image.fromarray(gray).convert("1", dither=Image.Dither.NONE), kind
    if mode == "L":
        return gray, Image.fromarray(gray), kind
    if mode == "LA":
        alpha = 255 - gray // 2
        return _shown(gray, alpha), Image.fromarray(np.stack([gray, alpha], -1), "LA"), kind
    if mode == "P":
        table = rng.integers(0, 256, (256, 3), dtype="u1")
        image = Image.fromarray(gray, "P")
        image.putpalette(table.tobytes())
        return table[gray], image, kind
    color = rng.integers(0, 256, (height, width, 3), dtype="u1")
    if mode == "RGB":
        return color, Image.fromarray(color), kind
    # WebP drops the color of what cannot be seen at all.
    alpha = rng.integers(1, 256, (height, width, 1), dtype="u1")
    return _shown(color, alpha[..., 0]), Image.fromarray(np.concatenate([color, alpha], -1)), kind


def _as_read(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Return pixels [C H W]: gray repeated, or color weighted as ITU-R 601 has it, in Pillow's whole numbers."""
    if pixels.ndim == 2:
        return np.repeat(pixels[None], channels, axis=0)
    if channels == 3:
        return pixels.transpose(2, 0, 1)
    red, green, blue = (pixels[..., k].astype("i8") for k in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype("u1")[None]


def _written(case: Case, image: Image.Image, kind: str) -> Path:
    suffix = case.draw.choice((f".{kind.lower()}", ".png", ".jpg", "", ".PNG", ".txt"))
    path = case.folder / f"image{suffix}"
    case.names = (str(path),)
    more: dict[str, Any] = {}
    if kind == "WEBP":
        more = {"lossless": True, "exact": True}
    if kind == "TIFF":
        more = {"compression": case.draw.choice((None, "tiff_lzw", "tiff_deflate", "packbits"))}
    if kind == "PNG" and case.chance(0.3):
        more = {"optimize": True}
    image.save(path, kind, **more)
    return path


def _damaged(case: Case) -> None:
    """What is read of a damaged file has to be what Pillow reads of it, and what was never 8 bits stays refused."""
    if case.chance(0.3):
        rng = np.random.default_rng(case.draw.getrandbits(32))
        image = Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype="u1"))
        path = case.folder / "image.jpg"
        image.save(path, case.pick(("JPEG", "WEBP")), quality=80)
        case.names = (str(path),)
    else:
        _, image, kind = _drawn(case)
        path = _written(case, image, kind)
    content = damaged(case, path.read_bytes())
    path.write_bytes(content)
    found = read_image(path, channels=3, size=(8, 8)).numpy()
    try:
        with Image.open(io.BytesIO(content)) as seen:
            seen.load()
            size = seen.size
            deep = found.dtype == np.float32
            wanted = np.asarray(seen.convert("F")) if deep else _by_pillow(seen)
            rounded = int(seen.has_transparency_data)
    except Exception as error:  # noqa: BLE001 (Pillow raises a dozen types)
        raise Wrong(f"Pillow cannot read it: {error}") from None
    if size != (8, 8):  # how it is scaled is another question
        found = read_image(path, channels=3, size=(size[1], size[0])).numpy()
    exif = _turned(content)
    if deep:
        if not exif and not np.allclose(found, wanted[None] / (1 if wanted.max() <= 1 else 65535), atol=1e-5):
            raise Wrong("other levels than Pillow's")
        return
    if not exif and _levels_off(found, wanted.transpose(2, 0, 1)) > rounded:
        raise Wrong("other pixels than Pillow's")
    if _depth(content) > 8:
        raise Wrong(f"{_depth(content)} bits per channel were cut to 8")


def _turned(content: bytes) -> bool:
    with Image.open(io.BytesIO(content)) as seen:
        return seen.getexif().get(0x0112, 1) != 1


def damaged(case: Case, content: bytes) -> bytes:
    """Return bytes that were changed in some way, noted in the case."""
    at = case.draw.randrange(max(1, len(content)))
    many = case.draw.choice((1, 2, 4, 16, 64))
    way = case.draw.choice(
        ("flip", "byte", "cut", "zeros", "ones", "drop", "twice", "append", "noise", "empty", "swap")
    )
    case.note(f"{way} at {at} of {len(content)} bytes, {many}")
    noise = bytes(case.draw.getrandbits(8) for _ in range(many))
    if way == "flip":
        return content[:at] + bytes([content[at] ^ 1 << case.draw.randrange(8)]) + content[at + 1 :] if content else b""
    if way == "swap":
        return content[at:] + content[:at]
    return {
        "byte": content[:at] + noise[:1] + content[at + 1 :],
        "cut": content[:at],
        "zeros": content[:at] + b"\0" * many + content[at + many :],
        "ones": content[:at] + b"\xff" * many + content[at + many :],
        "drop": content[:at] + content[at + many :],
        "twice": content[:at] + content[at : at + many] * 2 + content[at + many :],
        "append": content + noise,
        "noise": content[:at] + noise + content[at + many :],
        "empty": b"",
    }[way]


def _deep(case: Case) -> None:
    """Gray of up to 16 bits keeps its levels; more bits, or several channels of more than 8, are refused."""
    rng = np.random.default_rng(case.draw.getrandbits(32))
    height, width = case.draw.randrange(1, 9), case.draw.randrange(1, 9)
    deep = rng.integers(0, 2**16, (height, width), dtype="u2")
    way = case.pick(
        ("png gray", "png color", "png alpha", "png gray alpha", "ppm", "pgm", "tiff", "tiff 32", "tiff float")
    )
    path, wanted = case.folder / ("image." + case.draw.choice(("png", "tif", "ppm", "jpg"))), None
    case.names = (str(path),)
    if way.startswith("png"):
        samples, color = {"png gray": (1, 0), "png color": (3, 2), "png alpha": (4, 6), "png gray alpha": (2, 4)}[way]
        many = rng.integers(0, 2**16, (height, width, samples)).astype(">u2")
        path.write_bytes(_png(many, color))
        wanted = many[..., 0] / 65535 if samples == 1 else None
    elif way in ("ppm", "pgm"):
        top = case.pick((256, 1000, 65535))
        many = rng.integers(0, top + 1, (height, width, 3) if way == "ppm" else (height, width)).astype(">u2")
        path.write_bytes(f"P{6 if way == 'ppm' else 5}\n{width} {height}\n{top}\n".encode() + many.tobytes())
        wanted = many / top if way == "pgm" else None
    else:
        array = {"tiff": deep, "tiff 32": deep.astype("i4"), "tiff float": deep.astype("f4")}[way]
        Image.fromarray(array).save(path, "TIFF")
        wanted = {"tiff": deep / 65535, "tiff float": array if array.max() <= 1 else None}.get(way)
    found = read_image(path, channels=case.draw.choice((1, 3)), size=(height, width)).numpy()
    if wanted is None:
        raise Wrong("more than 16 bits, or more than 8 in several channels, were accepted")
    if not np.allclose(found, wanted[None], atol=1.5 / 65535):
        raise Wrong("other levels than the file has")


def _png(samples: np.ndarray, color: int) -> bytes:
    """Return a PNG of 16 bits per sample."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, color, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _depth(content: bytes) -> int:
    """Return the bits per channel that the file itself states, as far as its format has a place for that."""
    if content.startswith(b"\x89PNG"):
        return content[24]
    if content[:2] in (b"P5", b"P6"):
        numbers = content[2:60].split()
        return int(numbers[2]).bit_length() if len(numbers) > 2 and numbers[2].isdigit() else 8
    return 8


def _foreign(case: Case) -> None:
    rng = np.random.default_rng(case.draw.getrandbits(32))
    kind = case.pick(_FOREIGN)
    image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype="u1"))
    path = case.folder / ("image." + case.draw.choice(("png", "jpg", "eps", "tif")))
    case.names = (str(path),)
    try:
        image.convert({"MSP": "1", "XBM": "1", "SPIDER": "F"}.get(kind, "RGB")).save(path, kind)
    except (KeyError, OSError, ValueError):
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    read_image(path, channels=3, size=(32, 32))
    raise Wrong(f"{kind} was accepted")


def _no_image(case: Case) -> None:
    path = case.folder / "image.png"
    case.names = (str(path),)
    way = case.pick(tuple(_PLACES))
    _PLACES[way](path)
    read_image(path if case.chance(0.5) else str(path), channels=1, size=(8, 8))
    raise Wrong(f"{way} was accepted")


def _bomb(path: Path) -> None:
    header = struct.pack(">IIBBBBB", 2**16, 2**15, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + b"\0" * 4)


_PLACES: dict[str, Callable[[Path], Any]] = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a named pipe": lambda path: os.mkfifo(path),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
    "a link to endless zeros": lambda path: path.symlink_to("/dev/zero"),
    "a link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a link to a folder": lambda path: path.symlink_to(path.parent),
    "an empty file": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("P\n1 2 3"),
    "zeros": lambda path: path.write_bytes(b"\0" * 4096),
    "a signature": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
    "too many pixels": _bomb,
    "too many pixels of PPM": lambda path: path.write_bytes(b"P6\n99999999 99999999\n255\n"),
    "negative sizes": lambda path: path.write_bytes(b"P6\n-1 -1\n255\n"),
    "no size": lambda path: path.write_bytes(b"P6\n0 0\n255\n"),
}


def _asked(case: Case) -> None:
    """What is asked of an image may be impossible as well."""
    path = case.folder / "image.png"
    Image.fromarray(np.zeros((4, 4), dtype="u1")).save(path)
    channels: Any
    size: Any
    channels, size = case.draw.choice(
        (
            *((channels, (4, 4)) for channels in (2, 0, 4, -1, "L", None, 1.5)),
            *((1, size) for size in ((0, 4), (-1, 4), (4,), (4, 4, 4), 4, None, "44", (1.5, 4))),
        )
    )
    case.note(f"channels {channels!r}, size {size!r}")
    read_image(path, channels=channels, size=size)
    raise Wrong("it was accepted")


TARGET = Target("images", 24, prepare, case)
