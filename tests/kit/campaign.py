"""Runs tests against mutants: which tests a module has, and a process for each run.

A run is a fork of this process, which has everything heavy imported already: it imports the package
and its tests alone, from a copy of the tree. The working tree itself is never changed.
"""

from __future__ import annotations

import ast
import compileall
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kit.host_mutants import HostMutant, mutated

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "thermoflop"
# Whose tests take part, with those that lie in tests/ itself.
ROOMS = ("model", "cost", "cli")
REPORT = ".failed"
TEST_CPU_S, RUN_WALL_S, MEMORY = 40.0, 900, 6 * 2**30
# What the nearest tests do not notice in this time of the processor counts as survived: the others
# would be asked for minutes, for the few that they notice.
NEAREST_CPU_S = 60.0
GROUP_CPU_S = 5.0  # of files that are collected and run together
SLOW_CPU_S = (5.0, 20.0)  # a file that takes longer comes after those that do not


@dataclass(frozen=True)
class Outcome:
    """What came of a run: the first test that failed, or none; processor seconds."""

    failed: str | None
    cpu_s: float


@dataclass(frozen=True)
class Run:
    """Test files, and the mutant that they run against.

    They come in groups, each run only where those before it passed: most mutants are killed by a
    quick test of their own room, and need not wait until all the others have been collected.
    """

    groups: tuple[tuple[str, ...], ...]
    mutant: HostMutant | None = None


def copy_tree(into: Path) -> Path:
    """What git has of the working tree, in a folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    compileall.compile_dir(into / "host", quiet=2)
    return into


class Known:
    """What a campaign has learned of the test files: what each takes, and has noticed."""

    def __init__(self, times: Mapping[str, float]) -> None:
        self.times = dict(times)  # processor seconds without a mutant, in a process of its own
        self.kills: Counter[str] = Counter()

    def own_s(self, path: str) -> float:
        """What a file takes in a process that has imported the package already."""
        least = min(self.times.values(), default=0.0)
        return self.times.get(path, least + 1.0) - least


class Imports:
    """Which test files reach a module, and how many imports lie between."""

    def __init__(self, root: Path = ROOT) -> None:
        host = root / "host"
        self._files = {_dotted(path, host): path for path in sorted((host / PACKAGE).rglob("*.py"))}
        self._of = {name: self._imported(path) for name, path in self._files.items()}
        tests = root / "tests"
        found = [path for room in ROOMS for path in (tests / room).rglob("test_*.py")]
        self.tests = {
            path.relative_to(root).as_posix(): self._distances(path)
            for path in sorted([*found, *tests.glob("test_*.py")])
        }

    def groups_of(self, module: str, known: Known) -> tuple[tuple[str, ...], ...]:
        """The test files that reach a module, the likeliest to notice first, in groups."""
        groups: list[list[str]] = []
        room_s = 0.0
        for path in self.tests_of(module, known):
            cpu_s = known.own_s(path)
            if not groups or room_s + cpu_s > GROUP_CPU_S:
                groups.append([])
                room_s = 0.0
            groups[-1].append(path)
            room_s += cpu_s
        return tuple(map(tuple, groups))

    def tests_of(self, module: str, known: Known) -> list[str]:
        """The test files that reach a module: its room's first, of these the quick ones, those
        that have noticed most so far, and the near.

        One file of forms in symbols takes longer than all others of its room together.
        """
        name = _dotted(Path(PACKAGE) / module, Path())
        near = {path: reached[name] for path, reached in self.tests.items() if name in reached}

        def order(path: str) -> tuple[bool, int, int, int, int, str]:
            shared = _shared(path, module)
            slow = sum(known.own_s(path) > limit_s for limit_s in SLOW_CPU_S)
            return shared == 0, slow, -known.kills[path], -shared, near[path], path

        return sorted(near, key=order)

    def _imported(self, path: Path) -> set[str]:
        """The modules that a file names: in imports, and in texts that are a module's name."""
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Constant) and str(node.value).startswith(f"{PACKAGE}."):
                found |= {name for name in self._files if _is_named(name, node.value)}
        return found & self._files.keys()

    def _distances(self, test: Path) -> dict[str, int]:
        """Imports between a test file and every module that it reaches."""
        reached: dict[str, int] = {}
        edge, steps = self._imported(test), 0
        while edge:
            reached |= dict.fromkeys(edge, steps)
            edge = {new for name in edge for new in self._of[name]} - reached.keys()
            steps += 1
        return reached


def _is_named(module: str, text: str) -> bool:
    """Whether a text is a module's name, or its folder's with a dot that a name is put behind."""
    return module == text or (text.endswith(".") and module.rpartition(".")[0] == text[:-1])


def _dotted(path: Path, top: Path) -> str:
    parts = path.relative_to(top).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _shared(test: str, module: str) -> int:
    """How many folders a test file has in common with a module."""
    here, there = Path(test).parts[1:-1], Path(module).parts[:-1]
    return sum(mine == theirs for mine, theirs in zip(here, there, strict=False))


def warm() -> None:
    """Import what every run needs, once for all of them; nothing of the package itself."""
    import hypothesis.strategies  # noqa: F401
    import numpy.testing  # noqa: F401
    import pytest  # noqa: F401
    import sympy  # noqa: F401


def outcomes(
    drawn: list[HostMutant], workers: int, times: Mapping[str, float], *, passed: bool
) -> Iterator[tuple[HostMutant | str, Outcome]]:
    """First each test file on the unchanged tree, unless all ``passed`` or its time is known; then
    each mutant."""
    warm()
    imports, learned = Imports(), Known(times)
    needed = {path for mutant in drawn for path in imports.tests_of(mutant.module, learned)}
    with tempfile.TemporaryDirectory() as folder:
        trees = [copy_tree(Path(folder) / str(number)) for number in range(workers)]
        unknown = set[str]() if passed else needed - learned.times.keys()
        alone = (Run(((path,),)) for path in sorted(unknown))
        for run, outcome in _side_by_side(trees, alone):
            learned.times[run.groups[0][0]] = outcome.cpu_s
            yield run.groups[0][0], outcome
        runs = (Run(imports.groups_of(mutant.module, learned), mutant) for mutant in drawn)
        for run, outcome in _side_by_side(trees, runs):
            assert run.mutant is not None
            learned.kills[(outcome.failed or "").partition("::")[0]] += 1
            yield run.mutant, outcome


def _side_by_side(trees: list[Path], runs: Iterator[Run]) -> Iterator[tuple[Run, Outcome]]:
    """A fork for each run, as many at a time as there are trees."""
    free, running = list(trees), dict[int, tuple[Path, Run]]()
    while True:
        while free and (run := next(runs, None)):
            tree = free.pop()
            child = os.fork()
            if not child:
                _become(tree, run)
            running[child] = tree, run
        if not running:
            return
        child, status, used = os.wait4(-1, 0)
        tree, run = running.pop(child)
        free.append(tree)
        if run.mutant is not None:
            shutil.copy2(_source(ROOT, run.mutant.module), _source(tree, run.mutant.module))
        code = os.waitstatus_to_exitcode(status)
        yield run, Outcome(_failed(tree, code), used.ru_utime + used.ru_stime)


def _source(tree: Path, module: str) -> Path:
    return tree / "host" / PACKAGE / module


def _failed(tree: Path, code: int) -> str | None:
    """What failed first, as the run wrote it down; a run that was ended says how."""
    report = tree / REPORT
    said = report.read_text(encoding="utf-8") if report.exists() else f"its end, code {code}"
    report.unlink(missing_ok=True)
    return None if code in (0, 5) else said  # 5: no test was chosen


def _become(tree: Path, run: Run) -> NoReturn:
    """Be the process of a run: nothing of it comes back but its exit code."""
    code = 70
    try:
        signal.alarm(RUN_WALL_S)
        if run.mutant is not None:
            _mutate(tree, run.mutant)
        code = _run_tests(tree, run.groups)
    except BaseException as error:  # whatever a mutant does: this process ends here
        (tree / REPORT).write_text(repr(error), encoding="utf-8")
    finally:
        os._exit(code)


def _mutate(tree: Path, mutant: HostMutant) -> None:
    """Change the module in the run's tree; its compiled form may be of the same second."""
    path = _source(tree, mutant.module)
    path.write_text(mutated(mutant, tree / "host" / PACKAGE), encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def _used_s() -> float:
    """Processor seconds of this process and its children, those of before its fork left out."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _run_tests(tree: Path, groups: tuple[tuple[str, ...], ...]) -> int:
    """The tests in the tree, up to the first that fails; one that computes too long ends it."""
    import pytest

    os.chdir(tree)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))  # a sparse file may be mapped whole
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.split(".")[0] in (PACKAGE, "kit", "vm")]:
        del sys.modules[name]  # these come from the copied tree
    here = [str(tree / "host"), str(tree / "tests")]
    sys.path[:] = here + [place for place in sys.path if not place.startswith(str(ROOT) + "/host")]
    os.environ |= {"PYTHONPATH": os.pathsep.join(here), "PYTHONDONTWRITEBYTECODE": "1"}

    class Plugin:
        """Writes down what failed first, and limits each test."""

        def pytest_runtest_logstart(self) -> None:
            signal.setitimer(signal.ITIMER_PROF, TEST_CPU_S)

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            self._note(report)

        def pytest_runtest_logfinish(self) -> None:
            if _used_s() > NEAREST_CPU_S and not (tree / REPORT).exists():
                os._exit(0)

        def pytest_collectreport(self, report: pytest.CollectReport) -> None:
            self._note(report)

        def _note(self, given: pytest.TestReport | pytest.CollectReport) -> None:
            if given.failed and not (tree / REPORT).exists():
                (tree / REPORT).write_text(given.nodeid, encoding="utf-8")

    signal.setitimer(signal.ITIMER_PROF, TEST_CPU_S)
    options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--no-header"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported already
    for tests in groups:
        code = int(pytest.main([*options, *tests], plugins=[Plugin()]))
        if code not in (0, 5):
            return code
    return 0
