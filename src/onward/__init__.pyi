"""The names of `import onward`, once: type checkers read this file, and so does the package itself."""

from . import algorithms as algorithms
from . import core as core
from . import costs as costs
from . import data as data
from . import hardware as hardware
from . import measure as measure
from . import modules as modules
from . import nets as nets
from . import parts as parts
from . import pipeline as pipeline
from . import plots as plots
from . import recipes as recipes
from . import runs as runs
from . import testing as testing
from . import training as training
from .api import list_recipes as list_recipes
from .api import load as load
from .api import load_data as load_data
from .api import recipe as recipe
from .api import resume as resume
from .api import train as train
from .compare import compare as compare
from .core import Learner as Learner
from .core import LocalBlock as LocalBlock
from .core import LocalTrainer as LocalTrainer
from .core import TrainerSettings as TrainerSettings
from .data import Augmentation as Augmentation
from .data import DataSettings as DataSettings
from .data import from_arrays as from_arrays
from .data import from_dataset as from_dataset
from .data import from_loader as from_loader
from .modules import LocalModel as LocalModel
from .modules import cuts as cuts
from .modules import local as local
from .recipes import Recipe as Recipe
from .registry import register as register
from .results import results as results
from .runs import fit as fit
from .runs.evaluating import evaluate as evaluate

__version__: str
