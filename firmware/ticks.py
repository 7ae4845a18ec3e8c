"""Times of the chip's millisecond clock, which wraps at 2**30, every 12 days."""

from micropython import const

_WRAP = const(0x3FFFFFFF)


def since(then_ms, now_ms):
    """Milliseconds from one time to a later one."""
    return (now_ms - then_ms) & _WRAP


def after(then_ms, ms):
    """The time so many milliseconds later."""
    return (then_ms + ms) & _WRAP


def is_past(due_ms, now_ms):
    """True when a time has come; both are less than six days apart."""
    return since(due_ms, now_ms) <= _WRAP >> 1
