"""thermoflop: what a transformer run should cost, and what heat did to it.

``load_model`` reads a config.json (a path, a folder, a dictionary or a catalogue name) and gives a
``Model``; ``Model.operators`` gives the ``OperatorTable`` of one forward step. Names are imported
when they are first used, so that ``import thermoflop`` costs next to nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.load import load_model as load_model
    from thermoflop.model.model import Model as Model
    from thermoflop.model.step import Step as Step
    from thermoflop.model.table import OperatorTable as OperatorTable

# public name -> the module that defines it
_PUBLIC = {
    "load_model": "thermoflop.model.load",
    "Model": "thermoflop.model.model",
    "OperatorTable": "thermoflop.model.table",
    "Step": "thermoflop.model.step",
}

__all__ = ["Model", "OperatorTable", "Step", "__version__", "load_model"]


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
