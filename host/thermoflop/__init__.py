"""thermoflop: what a transformer run should cost, and what heat did to it.

``load_model`` reads a config.json (a path, a folder, a dictionary or a catalogue name) and gives a
``Model``; ``Model.operators`` gives the ``OperatorTable`` of one ``Step``. On a ``Device``, which
``find_device`` finds by name, ``estimate`` gives time, memory and energy of a run, ``fit`` what
fits in memory, ``serving`` what many users of a server see, ``plan`` which layout serves them at
the least cost, ``pick`` which models run on a device, ``train`` the cost of training, ``compare``
the forms of attention side by side, ``speculate`` the gain of a draft model, and ``check`` whether
what a benchmark measured is what it should be.
``mark``, ``note`` and ``phase`` tell a recorder around this process what it is doing. Names are
imported when they are first used, so that ``import thermoflop`` costs next to nothing.

Example:
    >>> import thermoflop as tf
    >>> model = tf.load_model("llama-3-8b")
    >>> model.params, model.kv_bytes(1)
    (8030261248, 131072)
    >>> tf.fit(model, "h100").fits
    True
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.catalogue.devices import find_device as find_device
    from thermoflop.cost.hardware.device import Device as Device
    from thermoflop.cost.inference.capacity import fit as fit
    from thermoflop.cost.inference.compare import compare as compare
    from thermoflop.cost.inference.estimate import estimate as estimate
    from thermoflop.cost.inference.result import Estimate as Estimate
    from thermoflop.cost.inference.speculative import speculate as speculate
    from thermoflop.cost.inference.what_fits import Fit as Fit
    from thermoflop.cost.plan.pick import pick as pick
    from thermoflop.cost.plan.plan import plan as plan
    from thermoflop.cost.plan.result import PlanResult as PlanResult
    from thermoflop.cost.plan.training import plan_training as plan_training
    from thermoflop.cost.serving.result import Serving as Serving
    from thermoflop.cost.serving.serving import serving as serving
    from thermoflop.cost.sweep.sweep import SweepResult as SweepResult
    from thermoflop.cost.sweep.sweep import sweep as sweep
    from thermoflop.cost.training.result import TrainingEstimate as TrainingEstimate
    from thermoflop.cost.training.train import train as train
    from thermoflop.marks import mark as mark
    from thermoflop.marks import note as note
    from thermoflop.marks import phase as phase
    from thermoflop.model.load import load_model as load_model
    from thermoflop.model.model import Model as Model
    from thermoflop.model.operators.step import Step as Step
    from thermoflop.model.operators.table import OperatorTable as OperatorTable
    from thermoflop.runs.check import check as check
    from thermoflop.runs.judged import Check as Check

# public name -> the module that defines it
_PUBLIC = {
    "load_model": "thermoflop.model.load",
    "estimate": "thermoflop.cost.inference.estimate",
    "Estimate": "thermoflop.cost.inference.result",
    "fit": "thermoflop.cost.inference.capacity",
    "Fit": "thermoflop.cost.inference.what_fits",
    "train": "thermoflop.cost.training.train",
    "speculate": "thermoflop.cost.inference.speculative",
    "TrainingEstimate": "thermoflop.cost.training.result",
    "compare": "thermoflop.cost.inference.compare",
    "pick": "thermoflop.cost.plan.pick",
    "plan": "thermoflop.cost.plan.plan",
    "PlanResult": "thermoflop.cost.plan.result",
    "plan_training": "thermoflop.cost.plan.training",
    "serving": "thermoflop.cost.serving.serving",
    "Serving": "thermoflop.cost.serving.result",
    "sweep": "thermoflop.cost.sweep.sweep",
    "SweepResult": "thermoflop.cost.sweep.sweep",
    "find_device": "thermoflop.cost.catalogue.devices",
    "Device": "thermoflop.cost.hardware.device",
    "Model": "thermoflop.model.model",
    "OperatorTable": "thermoflop.model.operators.table",
    "Step": "thermoflop.model.operators.step",
    "check": "thermoflop.runs.check",
    "Check": "thermoflop.runs.judged",
    "mark": "thermoflop.marks",
    "note": "thermoflop.marks",
    "phase": "thermoflop.marks",
}

# written out: type checkers, and editors, read no computed one
__all__ = [
    "Check",
    "Device",
    "Estimate",
    "Fit",
    "Model",
    "OperatorTable",
    "PlanResult",
    "Serving",
    "Step",
    "SweepResult",
    "TrainingEstimate",
    "__version__",
    "check",
    "compare",
    "estimate",
    "find_device",
    "fit",
    "load_model",
    "mark",
    "note",
    "phase",
    "pick",
    "plan",
    "plan_training",
    "serving",
    "speculate",
    "sweep",
    "train",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'thermoflop' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Everything public, imported or not."""
    return sorted({*globals(), *_PUBLIC})
