"""From image files to arrays of one mode and one size: uint8, or floats in [0, 1] that hold 16 bits."""
# N images, C channels (1 or 3), H W map

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor

from .samples import Samples, images_of
from .source_files import cause, stamp

# A closed list: of the others, EPS starts Ghostscript, and each is one more parser that a malicious file can attack.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
GRAY_MODES = ("1", "L")
COLOR_MODES = ("P", "PA", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")

DEEP_MODES = ("I;16", "I;16L", "I;16B", "I", "F")  # gray of 16 bits, or floats
_LEVELS = 65535

_MEND = "repair or remove it"


def read_image(
    path: str | Path, *, channels: int, size: tuple[int, int]
) -> UInt8[Tensor, "C H W"] | Float[Tensor, "C H W"]:
    """One image file brought to `channels` (1 or 3) and `size` (H, W in pixels), as training images were.

    Gray images of 16 bits, and TIFF files of floats, come as floats in [0, 1]. Raises ValueError when the file is
    missing, is no image, or has more than 8 bits in each of several channels.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels!r}: images have 1 channel (gray) or 3 (RGB)")
    sides = size if isinstance(size, tuple | list) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(f"size is {size!r}: give (height, width) in whole pixels, such as (28, 28)")
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not an image: name the image files inside it")
    stamp(path)
    return decoded(path, where=str(path), channels=channels, size=size)


def decoded(
    content: Path | bytes, *, where: str, channels: int, size: tuple[int, int]
) -> UInt8[Tensor, "C H W"] | Float[Tensor, "C H W"]:
    """An encoded image as `read_image` returns it; `where` names it in errors."""
    return torch.from_numpy(to_array(open_image(content, where=where, deep=True), channels=channels, size=size))


def open_image(content: Path | bytes, *, where: str, deep: bool = False) -> Image.Image:
    """The decoded, upright image; `where` names it in errors. Raises ValueError when it cannot be used.

    With `deep` also gray ones of 16 bits, and floats in [0, 1], both as mode F with values in [0, 1].
    """
    try:
        with _opened(content) as image:
            bits = _bits(image)
            if bits > 8 and not (deep and image.mode in DEEP_MODES and (bits <= 16 or image.mode == "F")):
                upright = None
            else:
                image.load()
                upright = ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        raise ValueError(f"{where} cannot be read as an image (none of {', '.join(FORMATS)}): {_MEND}") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # where Pillow no longer warns but raises
        raise ValueError(f"{where} is too large, the limit is {limit // 10**6} megapixels: scale it down") from None
    except MemoryError:
        raise
    except Exception as error:
        # Pillow and its codecs raise a dozen types for files that are cut short or damaged; some only name their own
        # line of code.
        said = cause(error) if isinstance(error, OSError | SyntaxError | EOFError) else "its content is damaged"
        raise ValueError(f"{where} cannot be read as an image ({said}): {_MEND}") from error
    if upright is not None and deep and upright.mode in DEEP_MODES:
        return as_fractions(upright, where)
    if upright is None or upright.mode not in GRAY_MODES + COLOR_MODES:
        kind = f"mode {image.mode} with {bits} bits" if upright is None else f"mode {upright.mode}, not 8 bits"
        gray = "8-bit RGB, or gray of up to 16 bits" if deep else "8-bit gray or RGB"
        raise ValueError(f"{where} has {kind} per channel: convert it to {gray}")
    return opaque(upright)


def opaque(image: Image.Image) -> Image.Image:
    """Return an image whose transparent parts are white behind dark strokes and black behind light ones.

    Their colors are not seen, and often all alike: icons may differ in transparency alone.
    """
    if not image.has_transparency_data:
        return image
    seen = image.convert("RGBA")
    alpha = np.asarray(seen.getchannel("A"), dtype=np.float64)
    if alpha.min() == 255:
        return image
    light = np.asarray(seen.convert("RGB").convert("L")) * alpha
    behind = 255 if light.sum() < 128 * alpha.sum() else 0
    backed = Image.new("RGBA", seen.size, (behind, behind, behind, 255))
    backed.alpha_composite(seen)
    return backed.convert("L" if image.mode in GRAY_MODES else "RGB")


def as_fractions(image: Image.Image, where: str) -> Image.Image:
    """Return a gray image of 16 bits, or of floats in [0, 1], in mode F with values in [0, 1].

    Raises ValueError for other values.
    """
    values = np.asarray(image)
    if image.mode != "F":
        values = values.astype(np.float64) / _LEVELS
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 1:
        times, kind = (1, "floats") if image.mode == "F" else (_LEVELS, "values")
        allowed = "[0, 1]" if image.mode == "F" else f"0..{_LEVELS}"
        raise ValueError(f"{where} has {kind} from {times * low:g} to {times * high:g}: bring them to {allowed}")
    return Image.fromarray(values.astype(np.float32))


def _opened(content: Path | bytes) -> ImageFile.ImageFile:
    with warnings.catch_warnings():
        # Pillow warns from half its limit on; up to the limit an image is read, beyond it is refused.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=FORMATS)


def _bits(image: ImageFile.ImageFile) -> int:
    """Bits of a channel as stored: Pillow opens deep color as 8 bits, and drops the lower ones without a warning."""
    if image.format == "TIFF":
        stored = getattr(image, "tag_v2", {}).get(258, 1)  # BitsPerSample
        return max(stored) if isinstance(stored, tuple) else stored
    layouts: list[Any] = [tile[3] for tile in image.tile]
    coded = [part for layout in layouts for part in (layout if isinstance(layout, tuple) else (layout,))]
    if image.format == "PNG":
        return 16 if any(";16" in str(raw) for raw in coded) else 8
    if image.format == "PPM":
        return max([8, *(value.bit_length() for value in coded if isinstance(value, int))])
    return 8


class PixelBuffer:
    """Images appended one by one and decoded once into one growing block of memory.

    `channels` None means gray if all images are gray, else RGB. `size` (H, W in pixels) None keeps the native size,
    which then has to be the same for all images. With `deep`, gray images of 16 bits and floats are taken too, and
    then all images are floats in [0, 1]. `append` raises ValueError naming the image.
    """

    def __init__(self, *, channels: int | None, size: tuple[int, int] | None, deep: bool = False):
        self.deep, self.dtype = deep, torch.uint8
        self.channels = channels
        self.size = size
        self.first = ""
        self.all_gray = True
        self.labels: list[int] = []
        # A bytearray grows in place, so a set of any length is held once, not twice as with a list to be stacked.
        self.content = bytearray()

    def append(self, content: Path | bytes, label: int, *, where: str):
        """Decode one image and store it with its class index."""
        image = open_image(content, where=where, deep=self.deep)
        native = (image.height, image.width)
        if self.size is None:
            self.size, self.first = native, where
        if self.first and native != self.size:
            raise ValueError(
                f"{self.first} is {_by(self.size)} but {where} is {_by(native)} pixels: "
                "choose one size for all, for example --data.size 32"
            )
        self.all_gray = self.all_gray and image.mode in (*GRAY_MODES, "F")
        if image.mode == "F" and self.dtype == torch.uint8:
            self.content = bytearray(_fractions(np.frombuffer(self.content, np.uint8)).tobytes())
            self.dtype = torch.float32
        array = to_array(image, channels=self.channels or 3, size=self.size)
        self.content += (array if self.dtype == torch.uint8 else _fractions(array)).tobytes()
        self.labels.append(label)

    def images(self, *, gray: bool = False) -> Samples:
        """All images so far, `Images` where none has more than 8 bits.

        `gray` keeps the first of three equal channels. The buffer must not grow afterwards.
        """
        assert self.size is not None and self.labels, "append at least one image first"
        stored = torch.frombuffer(self.content, dtype=self.dtype)
        pixels = stored.view(len(self.labels), self.channels or 3, *self.size)
        return images_of(pixels[:, :1].clone() if gray else pixels, torch.tensor(self.labels))


def _fractions(pixels: np.ndarray) -> np.ndarray:
    """Return levels as floats in [0, 1]; floats as they are."""
    return pixels if pixels.dtype == np.float32 else pixels.astype(np.float32) / np.float32(255)


def resize(pixels: UInt8[Tensor, "N C H W"], side: int) -> UInt8[Tensor, "N C S S"]:
    """Images already in memory, gray or RGB, brought to `side` pixels, by the same filter as files."""
    channels = pixels.shape[1]
    arrays = []
    for image in pixels.movedim(1, -1).numpy():
        opened = Image.fromarray(np.ascontiguousarray(image[..., 0] if channels == 1 else image))
        arrays.append(to_array(opened, channels=channels, size=(side, side)))
    return torch.from_numpy(np.stack(arrays))


def to_array(image: Image.Image, *, channels: int, size: tuple[int, int]) -> np.ndarray:
    """Pixels [C, H, W] of an image brought to `channels` (1 or 3) and `size` (H, W in pixels): uint8, or float32.

    Of an image in mode F they are float32, and three channels are equal.
    """
    deep = image.mode == "F"
    image = image if deep else image.convert("L" if channels == 1 else "RGB")
    height, width = size
    if image.size != (width, height):
        # The largest centered box of the wanted aspect, bilinear: shorter side to size, the overhang cut off.
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    array = np.array(image)
    if deep:
        return np.repeat(array[None].clip(0, 1), channels, axis=0)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _by(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
