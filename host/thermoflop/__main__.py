"""``python -m thermoflop``, and the command ``thermoflop``.

Until the command runs, Ctrl-C ends the process as it ends any other: an exception in the middle of
an import could only be printed with its traceback.
"""

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from thermoflop.cli import main

if __name__ == "__main__":
    status = main()
    # CPython dies by SIGINT in the end where one came in an ``exec`` of text, as namedtuples and
    # records are made, though it was caught: the next ``exec`` forgets it (run_eval_code_obj)
    exec("")  # noqa: S102
    sys.exit(status)
