"""How busy the processors of this machine are."""

from __future__ import annotations

import os


def busy_processor_s() -> float | None:
    """Seconds of work of all processors since the machine started; None where nothing tells.

    User, nice, system, irq, softirq and stolen time of /proc/stat, not idle and waiting for a disk
    (proc(5)); the kernel counts in hundredths of a second.
    """
    try:
        with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123
            ticks = [int(word) for word in file.readline().split()[1:9]]
        user, nice, system, _, _, irq, soft, steal = ticks
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
