"""Users' own models: cut into blocks, trained layer by layer in place."""

from onward.modules.batch import Task
from onward.modules.local_model import LocalModel, local
from onward.modules.metrics import Metrics
from onward.modules.plan import Part, Plan, make_plan
from onward.nets.cuts import Cut, cuts

__all__ = ["Cut", "LocalModel", "Metrics", "Part", "Plan", "Task", "cuts", "local", "make_plan"]
