"""Data: named image sets, and the user's folders, arrays, tables and loaders, in memory or streamed."""

from .arguments import Data, as_data, as_splits, rows_of, weights_of
from .array_files import array_files, inputs_to_predict, rows_in
from .arrays import from_arrays
from .augment import Augment, Augmentation
from .carve import carve
from .dataset import from_dataset, is_dataset
from .decode import decoded, read_image
from .folder import image_files, read_labeled
from .images import Splits
from .loaded import Loaded, from_loader
from .loader import Batch, TrainLoader, as_floats, batches
from .named import NAMED_SETS, NamedSet
from .own_shards import encoded_images, own_shards, read_own_labeled
from .public import KNOWN_NOTES, note_on_counts, title_of
from .samples import Images, Samples, Source
from .sources import DATA_SETS, DataSettings, is_folder, load, load_again, local_folder, located
from .streaming.images import Streamed
from .table_files import Columns, labeled_rows, rows_to_predict, table_files

__all__ = [
    "DATA_SETS",
    "KNOWN_NOTES",
    "NAMED_SETS",
    "Augment",
    "Augmentation",
    "Batch",
    "Columns",
    "Data",
    "DataSettings",
    "Images",
    "Loaded",
    "NamedSet",
    "Samples",
    "Source",
    "Splits",
    "Streamed",
    "TrainLoader",
    "array_files",
    "as_data",
    "as_floats",
    "as_splits",
    "batches",
    "carve",
    "decoded",
    "encoded_images",
    "from_arrays",
    "from_dataset",
    "from_loader",
    "image_files",
    "inputs_to_predict",
    "is_dataset",
    "is_folder",
    "labeled_rows",
    "load",
    "load_again",
    "local_folder",
    "located",
    "note_on_counts",
    "own_shards",
    "read_image",
    "read_labeled",
    "read_own_labeled",
    "rows_in",
    "rows_of",
    "rows_to_predict",
    "table_files",
    "title_of",
    "weights_of",
]
