"""Runs the firmware's test cases on CPython as the VM runs them: a module space for each test.

The space looks like the board to code that is written for it: ``sys.modules``, ``builtins`` and
``open`` are its own, the root folder holds the firmware, ``micropython``, ``gc`` and ``time`` have
MicroPython's names, and a module that MicroPython lacks cannot be imported.
"""

from __future__ import annotations

import builtins
import gc
import sys
import time
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

# what the chip has too, and means the same there
SHARED = frozenset(
    "array binascii collections errno hashlib io json math random struct".split()  # noqa: SIM905
)
TICKS = 0x3FFFFFFF


@cache
def compiled(path: Path) -> CodeType:
    """A file's code, compiled once however many tests run it."""
    return compile(path.read_text(encoding="utf-8"), str(path), "exec")


def module_like(name: str, **names: Any) -> ModuleType:
    """A module that holds these names."""
    module = ModuleType(name)
    vars(module).update(names)
    return module


class Space:
    """The modules of one test; ``files`` maps a path on the board to a file here."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files
        self._sources = {path.stem: path for path in files.values()}
        self._builtins = module_like("builtins", **vars(builtins))
        vars(self._builtins).update(__import__=self._import, open=self._open)
        self.modules: dict[str, Any] = {}
        self._native = {
            "builtins": self._builtins,
            "sys": self._sys(),
            "os": module_like("os", listdir=self._listdir),
            "micropython": _micropython(),
            "gc": module_like("gc", collect=gc.collect, mem_alloc=lambda: 0, mem_free=lambda: 0),
            "time": _time(),
        }

    def run(self, case: str, test: str) -> None:
        """Import a case file and call one of its functions."""
        getattr(self.load(case), test)()

    def load(self, name: str) -> Any:
        """Import a module as the board would: what is in sys.modules comes first."""
        if name in self.modules:
            return self.modules[name]
        if name in self._native:
            return self._native[name]
        if name in SHARED:
            return import_module(name)
        if name not in self._sources:
            raise ImportError(f"MicroPython has no module named {name!r}", name=name)
        module = ModuleType(name)
        vars(module).update(__builtins__=vars(self._builtins), __file__=str(self._sources[name]))
        self.modules[name] = module
        try:
            exec(compiled(self._sources[name]), vars(module))  # noqa: S102  the firmware's own code
        except BaseException:
            self.modules.pop(name, None)
            raise
        return module

    def _import(
        self,
        name: str,
        _globals: object = None,
        _locals: object = None,
        _fromlist: tuple[str, ...] = (),
        _level: int = 0,
    ) -> Any:
        return self.load(name)

    def _open(self, name: str, mode: str = "r") -> Any:
        """The board's own files, read only: what a test writes goes to its fake flash."""
        if name not in self._files or mode not in ("r", "rb"):
            raise OSError(2, f"no such file on the board: {name} {mode}")
        return self._files[name].open(mode)

    def _listdir(self, folder: str = "/") -> list[str]:
        under = folder.rstrip("/") + "/"
        inside = (path[len(under) :] for path in self._files if path.startswith(under))
        return sorted({rest.split("/")[0] for rest in inside})

    def _sys(self) -> ModuleType:
        return module_like(
            "sys",
            modules=self.modules,
            implementation=sys.implementation,
            stdin=sys.stdin,
            stdout=sys.stdout,
            print_exception=print_exception,
        )


def print_exception(error: BaseException, file: Any = None) -> None:
    """``sys.print_exception`` of MicroPython."""
    (file or sys.stdout).write("".join(traceback.format_exception(error)))


def _micropython() -> ModuleType:
    """CPython has no heap to lock: those checks mean something on the VM alone."""

    def same(value: Any) -> Any:
        return value

    def zero() -> int:
        return 0

    return module_like(
        "micropython", const=same, heap_lock=zero, heap_unlock=zero, opt_level=lambda _=0: 0
    )


def _time() -> ModuleType:
    half = (TICKS + 1) // 2
    return module_like(
        "time",
        ticks_ms=lambda: int(time.monotonic() * 1000) & TICKS,
        ticks_us=lambda: int(time.monotonic() * 1_000_000) & TICKS,
        ticks_add=lambda ticks, delta: (ticks + delta) & TICKS,
        ticks_diff=lambda end, start: ((end - start + half) & TICKS) - half,
    )
