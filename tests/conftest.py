"""Shared by all tests. This file's folder is importable because the file is here: ``from vm import
runner`` works in every test, whichever is collected first."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
# ``-m quick``: a verdict on every room in some 20 s of processor time; only these are imported.
QUICK = frozenset({
    "bench/test_limits.py", "cli/test_renamed_options.py", "cost/test_golden_figures.py",
    "cost/training/test_golden_training.py", "firmware/test_properties.py",
    "model/operators/test_steps.py", "model/test_truth.py",
    "pico/test_wire.py", "report/terminal/test_live.py", "report/test_summary.py",
    "runs/analysis/test_analyze.py", "runs/child/test_keys.py", "runs/folder/test_store.py",
    "runs/gpu/test_throttle.py", "test_public_api.py", "web/live/test_stream.py",
})  # fmt: skip
# Those that take more than some 5 s of it each: all published rows fitted again, many mutations.
SLOW = frozenset({
    "test_a_carried_row_in_a_file_stays_held_out", "test_closed_form_equals_loop",
    "test_expectations_of_engines", "test_generations_of_today",
    "test_latency_of_all_rows",
    "test_mutated_configurations_are_counted_or_refused", "test_no_row_beats_its_bound",
    "test_the_interval_holds_80_percent",
    "test_the_old_module_still_makes_the_same_profile_where_it_is_said",
    "test_the_readme_says_what_an_unseen_model_gets",
    "test_the_profile_estimates_as_measured",
    "test_layouts_are_chosen_by_rates_that_have_not_seen_the_model",
    "test_without_a_place_the_name_is_the_place",
})  # fmt: skip

# Small systems are solved by the thousand: threads of the linear algebra only add to that. And how
# busy the machine is says nothing of a test's inputs.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's, whose matrices are small here as well
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it: text would be cut to somebody's terminal
# The same examples each time: what is pushed is judged by its change, not by its luck. A search
# afresh is ``THERMOFLOP_NEW_EXAMPLES=1 pytest``.
settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="THERMOFLOP_NEW_EXAMPLES" not in os.environ,
)
settings.load_profile("house")

# A shell starts what it puts in the background with Ctrl-C and Ctrl-\ ignored, and every process
# of a test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGQUIT", "SIGHUP"):  # nohup ignores the second
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def _is_quick(path: Path) -> bool:
    return path.is_relative_to(TESTS) and path.relative_to(TESTS).as_posix() in QUICK


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m quick``, no other test file is imported."""
    if config.option.markexpr != "quick" or collection_path.suffix != ".py":
        return None
    return not _is_quick(collection_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick files and the slow tests."""
    for item in items:
        if _is_quick(item.path):
            item.add_marker("quick")
        if getattr(item, "originalname", item.name) in SLOW:
            item.add_marker("slow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """The tests of a file in one process, files in their order: what many tests of a file share, a
    fit of all rows, the cases on the VM, is made once and not in each process. Those of the browser
    are one file: several browsers at once only wait for each other."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            is_browser = nodeid.startswith("tests/browser/")
            return "tests/browser" if is_browser else str(super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With THERMOFLOP_NO_SKIPS set, as CI does after installing everything, a skip is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("THERMOFLOP_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
