"""Each single step of an update, cut: the board's own code over a fake flash, on CPython.

The real mpremote and the real VM cut the same update in test_flash.py; here the flash is fakes.py's
and a cut costs a millisecond, so that cuts within a byte and cuts while recovering are all tried.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from kit.flash import MAIN, on_flash, small_files
from thermoflop.pico import onboard
from thermoflop.pico.simulated import fakes
from thermoflop.pico.simulated.module_space import Space

ONBOARD = Path(onboard.__file__).read_text(encoding="utf-8")
SETTINGS = {"/settings.txt": b"on_c 31.000\n"}


class File(fakes.File):
    """A file that can be read in pieces."""

    def __init__(self, flash: Any, path: str, binary: bool) -> None:
        super().__init__(flash, path, binary)
        self._at = 0

    def read(self, size: int = -1) -> Any:
        data = super().read()
        end = len(data) if size < 0 else self._at + size
        piece, self._at = data[self._at : end], min(end, len(data))
        return piece


class Flash(fakes.Flash):
    """The fake flash with such files, and with what flashing needs beyond the firmware itself."""

    def remove(self, name: str) -> None:
        self.step()
        del self.files[self.path(name)]

    def mkdir(self, name: str) -> None:
        self.step()
        self.folders.add(self.path(name))

    def open(self, name: str, mode: str = "r", **_: Any) -> Any:
        file = super().open(name, mode)
        return File(self, file._path, file._binary)


class World(fakes.World):
    """A board whose os can do these, too."""

    def modules(self) -> dict[str, Any]:
        modules: dict[str, Any] = super().modules()
        modules["os"].remove, modules["os"].mkdir = self.flash.remove, self.flash.mkdir
        return modules


def world_with(files: dict[str, bytes], staged: dict[str, bytes]) -> Any:
    """A board whose staging folder holds what mpremote has copied there."""
    world = World()
    world.flash = Flash()
    world.flash.files.update({path: bytes(data) for path, data in (files | SETTINGS).items()})
    world.flash.folders.add("/next.part")
    world.flash.files.update({f"/next.part/{name}": data for name, data in staged.items()})
    return world


def hashes(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def update(world: Any, files: dict[str, bytes]) -> None:
    """Commit and apply as the host asks for it; a cut ends it with PowerCut."""
    space = Space(world, {"onboard": ONBOARD, "main": MAIN, "board": BOARD})
    assert space.load("onboard").commit(hashes(files)) == []
    space.load("main").finish_update()


BOARD = "from machine import Pin, reset\nFAN = Pin(2, Pin.OUT, value=1)\n"


def start(world: Any) -> None:
    """Power comes back: run the main.py that is there, through the reset that ends an update."""
    for _ in range(3):
        sources = {"main": world.flash.files["/main.py"].decode(), "board": BOARD}
        sources["app"] = "def run(board, safe_after):\n    pass\n"
        space = Space(world, sources)
        space._sources["board"] += "class Board:\n    crashes = 0\n"
        try:
            space.boot()
        except fakes.Restart:
            continue
        return


def root(world: Any) -> dict[str, bytes]:
    """What lies in the root, settings apart."""
    files = world.flash.files
    return {
        path: bytes(data)
        for path, data in files.items()
        if path.count("/") == 1 and path not in SETTINGS
    }


def cuts() -> range:
    """More steps than an update has."""
    return range(200)


def test_every_cut_of_an_update_leaves_old_or_new_and_every_cut_of_its_recovery_too() -> None:
    old, new = small_files("old"), small_files("new")
    outcomes = []
    for first in cuts():
        world = world_with(on_flash(old), new)
        world.flash.cut_after = first
        try:
            update(world, new)
            break
        except fakes.PowerCut:
            pass
        outcomes.append(recover_with_cuts(world, old, new))
    assert outcomes == ["old"] + ["new"] * 5  # the commit, then four moves and the folder's end


def recover_with_cuts(world: Any, old: dict[str, bytes], new: dict[str, bytes]) -> str:
    """Start the board again and again with less and less of a cut; which firmware it ends with."""
    for second in cuts():
        world.flash.cut_after = second
        try:
            start(world)
        except fakes.PowerCut:
            continue
        break
    world.flash.cut_after = None
    start(world)
    assert world.flash.files.items() >= SETTINGS.items()
    files = root(world)
    assert files in (on_flash(old), on_flash(new))
    return "new" if files == on_flash(new) else "old"


def test_a_cut_first_install_leaves_the_other_program_or_the_new_firmware_whole() -> None:
    blink = {"/main.py": b"print('blink')\n" * 60, "/app.py": b"OWN = 1\n"}
    new = small_files("new")
    for cut in cuts():
        world = world_with(blink, new)
        world.flash.cut_after = cut * 7
        try:
            update(world, new)
            break
        except fakes.PowerCut:
            files = root(world)
        if files["/main.py"] == new["main.py"]:
            world.flash.cut_after = None
            start(world)
            assert root(world) == on_flash(new) | {"/main.old.py": blink["/main.py"]}
        else:
            files.pop("/main.old.py", None)
            assert files == blink
    assert root(world) == on_flash(new) | {"/main.old.py": blink["/main.py"]}


@pytest.mark.parametrize("what", ["missing", "changed", "extra"])
def test_a_staging_folder_that_is_not_exactly_the_new_firmware_is_not_committed(what: str) -> None:
    new = small_files("new")
    staged = dict(new)
    if what == "missing":
        del staged["part.py"]
    elif what == "changed":
        staged["part.py"] = new["part.py"][:-1]
    else:
        staged["more.py"] = b""
    world = world_with(on_flash(small_files("old")), staged)
    before = dict(world.flash.files)
    bad = Space(world, {"onboard": ONBOARD}).load("onboard").commit(hashes(new))
    assert bad == ["more.py" if what == "extra" else "part.py"]
    assert world.flash.files == before


def test_an_update_of_some_files_moves_just_those() -> None:
    """What the board has already is not sent: main.py may be among it."""
    old, new = small_files("old"), small_files("new")
    some = {"part.py": new["part.py"]}
    world = world_with(on_flash(old), some)
    update(world, some)
    assert root(world) == on_flash(old | some)


def test_prepare_empties_what_an_earlier_attempt_left() -> None:
    world = world_with({}, {"left.py": b"over", "more.py": b""})
    Space(world, {"onboard": ONBOARD}).load("onboard").prepare()
    assert world.flash.files == SETTINGS
    assert world.flash.folders == {"/next.part"}
