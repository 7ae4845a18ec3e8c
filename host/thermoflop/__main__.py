"""``python -m thermoflop`` is the command line."""

import sys

from thermoflop.cli import main

sys.exit(main())
