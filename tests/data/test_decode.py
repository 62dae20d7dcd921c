"""Reading image files: modes, sizes and broken files."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image

from onward.data import read_image

COLORS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(path, array: np.ndarray, mode: str | None = None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_a_color_png_comes_back_exactly(tmp_path):
    pixels = read_image(save(tmp_path / "a.png", COLORS), channels=3, size=(6, 9))
    np.testing.assert_array_equal(pixels, COLORS.transpose(2, 0, 1))


def test_gray_is_the_usual_luma(tmp_path):
    pixels = read_image(save(tmp_path / "a.png", COLORS), channels=1, size=(6, 9))
    luma = COLORS @ np.array([0.299, 0.587, 0.114])
    assert pixels.shape == (1, 6, 9) and np.abs(pixels[0].numpy() - luma).max() <= 1


def test_gray_files_fill_three_equal_channels(tmp_path):
    pixels = read_image(save(tmp_path / "a.png", COLORS[:, :, 0]), channels=3, size=(6, 9))
    np.testing.assert_array_equal(pixels, np.stack([COLORS[:, :, 0]] * 3))


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("P", "gif"), ("P", "png"), ("RGBA", "png"), ("LA", "png"), ("1", "png"), ("CMYK", "jpg"), ("RGB", "bmp"),
     ("RGB", "webp"), ("RGB", "jpg"), ("L", "jpg")],
)  # fmt: skip
def test_every_eight_bit_mode_is_understood(tmp_path, mode, suffix):
    # White or the web palette's 204: colors that every one of these modes can hold, JPEG nearly so.
    value = 255 if mode == "1" else 204
    path = save(tmp_path / f"a.{suffix}", np.full((6, 9, 3), value, dtype=np.uint8), mode)
    pixels = read_image(path, channels=3, size=(6, 9))
    assert pixels.shape == (3, 6, 9)
    assert np.abs(pixels.numpy().astype(int) - value).max() <= 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("ink", "behind"), [(0, 255), (255, 0)])
def test_transparent_parts_are_seen_behind_strokes(tmp_path, mode, ink, behind):
    alpha = np.zeros((6, 9), np.uint8)
    alpha[2:4, 3:6] = 255  # a stroke
    image = Image.fromarray(np.dstack([np.full((6, 9, 3), ink, np.uint8), alpha]), "RGBA")
    if mode == "P":
        image = Image.fromarray((alpha == 0).astype(np.uint8), "P")
        image.putpalette([ink] * 3 + [7, 8, 9])
        image.info["transparency"] = 1
    path = tmp_path / "icon.png"
    (image if mode in ("RGBA", "P") else image.convert(mode)).save(path)
    pixels = read_image(path, channels=3, size=(6, 9))
    np.testing.assert_array_equal(pixels, np.stack([np.where(alpha > 0, ink, behind)] * 3))


def test_an_opaque_image_keeps_its_colors(tmp_path):
    image = Image.fromarray(np.dstack([COLORS, np.full(COLORS.shape[:2], 255, np.uint8)]), "RGBA")
    image.save(tmp_path / "opaque.png")
    pixels = read_image(tmp_path / "opaque.png", channels=3, size=COLORS.shape[:2])
    np.testing.assert_array_equal(pixels, COLORS.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.full((4, 4), 70000, np.int32),
            "deep.tiff has mode I with 32 bits per channel: convert it to 8-bit RGB, or gra",
        ),
        (np.full((4, 4), 1.5, np.float32), r"deep.tiff has floats from 1.5 to 1.5: bring them to \[0, 1\]"),
        (np.full((4, 4), np.nan, np.float32), r"deep.tiff has floats from nan to nan: bring them to \[0, 1\]"),
    ],
)
def test_deeper_modes_are_refused_by_name(tmp_path, array, message):
    path = save(tmp_path / "deep.tiff", array)
    with pytest.raises(ValueError, match=message):
        read_image(path, channels=1, size=(4, 4))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_gray_of_16_bits_keeps_every_level(tmp_path, suffix):
    levels = np.arange(65536 - 256, 65536, dtype=np.uint16).reshape(16, 16)
    path = save(tmp_path / f"deep.{suffix}", levels)
    pixels = read_image(path, channels=1, size=(16, 16))
    assert pixels.dtype == torch.float32 and len(pixels.unique()) == 256
    assert torch.equal(pixels[0], torch.from_numpy((levels / 65535).astype(np.float32)))
    color = read_image(path, channels=3, size=(8, 8))
    assert color.shape == (3, 8, 8) and torch.equal(color[0], color[2]) and 0.99 < float(color.min()) <= 1
    fractions = np.random.default_rng(0).random((4, 4), dtype=np.float32)
    read = read_image(save(tmp_path / "floats.tiff", fractions), channels=1, size=(4, 4))
    assert np.array_equal(read[0].numpy(), fractions)


def test_resizing_keeps_the_aspect_and_cuts_the_overhang(tmp_path):
    array = np.random.default_rng(2).integers(0, 256, (20, 60, 3), dtype=np.uint8)
    pixels = read_image(save(tmp_path / "wide.png", array), channels=3, size=(10, 10))
    shrunk = Image.fromarray(array).resize((30, 10), Image.Resampling.BILINEAR).crop((10, 0, 20, 10))
    np.testing.assert_array_equal(pixels, np.array(shrunk).transpose(2, 0, 1))


def test_halving_averages_two_by_two(tmp_path):
    array = np.kron(np.random.default_rng(1).integers(0, 256, (4, 4)), np.ones((8, 8))).astype(np.uint8)
    pixels = read_image(save(tmp_path / "blocks.png", array), channels=1, size=(16, 16))
    # The center of each 4x4 block is further from its edges than the filter reaches.
    np.testing.assert_array_equal(pixels[0, 1::4, 1::4], array[::8, ::8])


def test_rectangles_of_any_shape(tmp_path):
    path = save(tmp_path / "a.png", COLORS)
    for size in [(1, 1), (3, 17), (40, 2)]:
        assert read_image(path, channels=3, size=size).shape == (3, *size)


def test_photographs_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn by 90 degrees clockwise to view
    pixels = read_image(save(tmp_path / "phone.png", COLORS, exif=exif), channels=3, size=(9, 6))
    np.testing.assert_array_equal(pixels, np.rot90(COLORS, -1).transpose(2, 0, 1))


def test_missing_files_and_non_images_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing.png is not a file"):
        read_image(tmp_path / "nothing.png", channels=3, size=(4, 4))
    (tmp_path / "notes.png").write_text("not an image")
    with pytest.raises(
        ValueError,
        match=r"notes.png cannot be read as an image \(none of PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM\): repair or",
    ):
        read_image(tmp_path / "notes.png", channels=3, size=(4, 4))
    with pytest.raises(ValueError, match="channels is 2"):
        read_image(save(tmp_path / "a.png", COLORS), channels=2, size=(4, 4))


@pytest.mark.parametrize("suffix", ["png", "jpeg", "webp", "bmp"])
def test_a_truncated_file_is_named(tmp_path, suffix):
    buffer = io.BytesIO()
    Image.fromarray(np.kron(COLORS, np.ones((8, 8, 1), np.uint8))).save(buffer, suffix.upper())
    (tmp_path / f"cut.{suffix}").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3])
    with pytest.raises(ValueError, match=rf"cut.{suffix} cannot be read"):
        read_image(tmp_path / f"cut.{suffix}", channels=3, size=(4, 4))


def sixteen_bit_png(color_type: int, channels: int) -> bytes:
    """A PNG of 4x4 pixels with 16 bits per channel, which Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 4, 4, 16, color_type, 0, 0, 0)
    rows = (b"\0" + b"\x12\x34" * 4 * channels) * 4
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_deep_png_of_several_channels_is_refused(tmp_path, color_type, channels):
    (tmp_path / "deep.png").write_bytes(sixteen_bit_png(color_type, channels))
    with pytest.raises(ValueError, match=r"deep.png has mode .* with 16 bits per channel: convert it"):
        read_image(tmp_path / "deep.png", channels=3, size=(4, 4))


def deep_tiff() -> bytes:
    """A TIFF of one row of two pixels, RGB with 16 bits per channel."""
    entries = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 14), (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 12)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0"
        + struct.pack("<I", 26)
        + struct.pack("<3H", 16, 16, 16)
        + bytes(12)
        + struct.pack("<H", 9)
        + table
        + bytes(4)
    )


@pytest.mark.parametrize("content", [deep_tiff(), b"P6 2 1 65535 " + bytes(12), b"P3 1 1 300 1 2 3 "])
def test_other_deep_color_is_refused(tmp_path, content):
    (tmp_path / "deep").write_bytes(content)
    with pytest.raises(ValueError, match=r"deep has mode RGB with \d+ bits per channel: convert it"):
        read_image(tmp_path / "deep", channels=3, size=(4, 4))


def test_ghostscript_is_never_started(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(1))
    image = Image.new("RGB", (4, 4), "red")
    image.save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"x.png cannot be read as an image"):
        read_image(tmp_path / "x.png", channels=3, size=(4, 4))
    assert not started


def test_an_image_of_many_megapixels_is_read_without_a_warning_up_to_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    path = save(tmp_path / "a.png", COLORS)  # 54 pixels: Pillow warns from 40 on, and raises from 80 on
    assert read_image(path, channels=3, size=(6, 9)).shape == (3, 6, 9)
    path = save(tmp_path / "b.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(ValueError, match=r"b.png is too large, the limit is 0 megapixels: scale it down"):
        read_image(path, channels=3, size=(6, 9))


@pytest.mark.parametrize("size", [(0, 4), (4, -1)])
def test_a_size_is_two_whole_numbers_of_pixels(tmp_path, size):
    Image.new("L", (4, 4)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"give .height, width. in whole pixels"):
        read_image(tmp_path / "x.png", channels=1, size=size)


def test_a_damaged_number_in_a_file_is_not_told_in_the_words_of_python(tmp_path):
    (tmp_path / "x.ppm").write_bytes(b"P5\n4 \xff5\n255\n" + b"0" * 16)
    with pytest.raises(ValueError, match=r"x\.ppm cannot be read as an image .its content is damaged"):
        read_image(tmp_path / "x.ppm", channels=1, size=(4, 4))
