"""Runs the firmware's files, unmodified, on CPython: each board in a module space of its own.

The files import each other and MicroPython's modules by bare names (``import board``, ``import
machine``). A private ``__import__`` answers those names from this board's own dictionary, so that
many boards live in one process and ``sys.modules`` never hears of them.
"""

from __future__ import annotations

import builtins
import io
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol


class WorldLike(Protocol):
    """What a space needs of a world: its fake modules and its flash."""

    flash: Any

    def modules(self) -> dict[str, Any]:
        """Name -> module object."""


def _identity(value: Any) -> Any:
    return value


class Space:
    """One board's modules.

    ``sources`` maps a module name to its source text. Importing any other name falls through to
    CPython, which serves ``array``.
    """

    def __init__(
        self,
        world: WorldLike,
        sources: Mapping[str, str],
    ) -> None:
        self.world = world
        self._sources = dict(sources)
        self.modules: dict[str, Any] = {
            "micropython": SimpleNamespace(const=_identity),
            # a tick collects nothing here: the host's own heap is not the board's
            "gc": SimpleNamespace(collect=lambda: 0, mem_alloc=lambda: 0),
            "io": SimpleNamespace(StringIO=io.StringIO),
            **world.modules(),
        }
        self._builtins = dict(vars(builtins))
        self._builtins["__import__"] = self._import
        self._builtins["open"] = world.flash.open

    def _import(
        self,
        name: str,
        _globals: Mapping[str, Any] | None = None,
        _locals: Mapping[str, Any] | None = None,
        fromlist: tuple[str, ...] = (),
        level: int = 0,
    ) -> Any:
        if level == 0 and (name in self.modules or name in self._sources):
            return self.load(name)
        return builtins.__import__(name, _globals, _locals, fromlist, level)

    def load(self, name: str) -> Any:
        """Import one module of this space."""
        if name not in self.modules:
            module = ModuleType(name)
            self.modules[name] = module
            try:
                self.run(name, vars(module))
            except BaseException:
                del self.modules[name]
                raise
        return self.modules[name]

    def run(self, name: str, names: dict[str, Any]) -> None:
        """Execute a source in the given global names."""
        names["__builtins__"] = self._builtins
        code = compile(self._sources[name], f"{name}.py", "exec")
        exec(code, names)  # noqa: S102  our own firmware files

    def boot(self) -> None:
        """What the chip does after a reset: run main.py as ``__main__``."""
        self.run("main", {"__name__": "__main__"})


def read_sources(folder: Path) -> dict[str, str]:
    """Module name -> source text of every Python file in a folder."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
