"""Shared by all tests. This file's folder is importable because the file is here: ``from vm import
runner`` works in every test, whichever is collected first."""

from __future__ import annotations

import os

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With THERMOFLOP_NO_SKIPS set, as CI does after installing everything, a skip is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("THERMOFLOP_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
