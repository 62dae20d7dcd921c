"""Image sets: named, from the user's folders or arrays, in memory or streamed; splits, augmentation and batches."""

from .arrays import from_arrays
from .augment import Augment, Augmentation
from .carve import carve
from .decode import read_image
from .images import Images, Source, Splits
from .loader import Batch, TrainLoader, batches
from .named import NAMED_SETS, NamedSet
from .public import KNOWN_NOTES, note_on_counts
from .sources import DATA_SETS, DataSettings, is_folder, load, load_again, local_folder, located
from .stream import Streamed

__all__ = [
    "DATA_SETS",
    "KNOWN_NOTES",
    "NAMED_SETS",
    "Augment",
    "Augmentation",
    "Batch",
    "DataSettings",
    "Images",
    "NamedSet",
    "Source",
    "Splits",
    "Streamed",
    "TrainLoader",
    "batches",
    "carve",
    "from_arrays",
    "is_folder",
    "load",
    "load_again",
    "local_folder",
    "located",
    "note_on_counts",
    "read_image",
]
