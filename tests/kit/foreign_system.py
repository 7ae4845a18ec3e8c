"""Run the command line where Python has none of what only POSIX gives it, as on Windows.

``python foreign_system.py COMMAND...`` takes the modules and names away before thermoflop is
imported. The standard library, numpy and pyserial have a Windows half of their own, which cannot
run here: they are imported first, and ``subprocess`` keeps the whole of what it needs. What is
tested is thermoflop's own use of POSIX.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import subprocess
import sys
import time
import types

ABSENT_MODULES = ("fcntl", "termios", "pty", "tty", "resource", "pwd", "grp", "syslog", "curses")
# docs.python.org/3/library/os.html and signal.html: what "Availability" says is Unix alone
ABSENT_OF_OS = """
O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC WCOREDUMP WEXITSTATUS
WIFCONTINUED WIFEXITED WIFSIGNALED WIFSTOPPED WNOHANG WSTOPSIG WTERMSIG chown chroot confstr
ctermid fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs get_blocking getegid
geteuid getgid getgroups getloadavg getpgid getpgrp getpriority getresuid getsid getuid killpg
lchown lockf login_tty major makedev minor mkfifo mknod nice openpty pathconf pidfd_open
posix_fallocate posix_openpt posix_spawn posix_spawnp pread preadv pwrite pwritev readv
register_at_fork sched_getaffinity sched_setaffinity sched_yield sendfile set_blocking setegid
seteuid setgid setpgid setpriority setsid setuid statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname
uname wait wait3 wait4 waitid writev
"""
PRESENT_SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}
ABSENT_OF_SIGNAL = """
alarm getitimer pause pidfd_send_signal pthread_kill pthread_sigmask set_wakeup setitimer
siginterrupt sigpending sigtimedwait sigwait sigwaitinfo
"""
ABSENT_OF_TIME = ("clock_getres", "clock_gettime", "clock_gettime_ns", "clock_settime", "tzset")
IMPORTED_BEFORE = """
asyncio concurrent.futures ctypes logging multiprocessing numpy pathlib platform selectors serial
serial.tools.list_ports shutil socketserver subprocess tempfile uuid
"""


def take_away() -> None:
    """From here on this process has what Windows' Python has, and no more of POSIX."""
    for name in IMPORTED_BEFORE.split():
        importlib.import_module(name)
    subprocess.os, subprocess.signal = _copy(os), _copy(signal)  # type: ignore[attr-defined]
    for name in ABSENT_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    signals = [name for name in dir(signal) if name[:3] == "SIG" and name[3:4].isalpha()]
    for module, names in (
        (os, ABSENT_OF_OS.split()),
        (signal, [*ABSENT_OF_SIGNAL.split(), *(n for n in signals if n not in PRESENT_SIGNALS)]),
        (select, ["poll", "epoll", "kqueue"]),
        (time, [n for n in dir(time) if n.startswith("CLOCK_") or n in ABSENT_OF_TIME]),
    ):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)


def _copy(module: types.ModuleType) -> types.ModuleType:
    copy = types.ModuleType(module.__name__)
    copy.__dict__.update(vars(module))
    return copy


def command(*words: str) -> list[str]:
    """The words with the program before them, for such a system."""
    return [sys.executable, __file__, *words]


def run(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A finished process of such a system."""
    return subprocess.run(
        command(*words), capture_output=True, text=True, timeout=120, env=env, check=False
    )


if __name__ == "__main__":
    take_away()
    from thermoflop.cli import main

    sys.exit(main(sys.argv[1:]))
