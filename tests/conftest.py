"""Shared by all tests. This file's folder is importable because the file is here: ``from vm import
runner`` works in every test, whichever is collected first."""

from __future__ import annotations

import os
import signal

import pytest

# A shell starts what it puts in the background with Ctrl-C and Ctrl-\ ignored, and every process
# of a test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGQUIT") and signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With THERMOFLOP_NO_SKIPS set, as CI does after installing everything, a skip is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("THERMOFLOP_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
