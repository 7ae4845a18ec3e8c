"""Lines of ``samples.jsonl`` as the recorder writes all but a few of them, read without json.

What one of the two expressions matches is a record, and its groups are its values; what neither
does goes the long way through ``reader.parse``, which says the same in three times the time.
"""

from __future__ import annotations

import re

from thermoflop.pico.wire import USUAL_SAMPLE
from thermoflop.runs.gpu.sample import INTEGERS, MEASURED

_STAMPS = (
    rb'\{"mono_s":(-?(?:0|[1-9]\d{0,14})\.\d{1,9}),"wall_s":-?(?:0|[1-9]\d{0,14})\.\d{1,9},"src":'
)
_NUMBER = rb"(-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?)"
_INTEGER = rb"(0|[1-9]\d{0,17})"
_FIELDS = b"".join(
    b'(?:,"%s":%s)?' % (name.encode(), _INTEGER if name in INTEGERS else _NUMBER)
    for name in MEASURED
)

# mono_s, the board's line, and its boot, seq, up_s, temp_c, raw, fan, mode and drops
board_sample = re.compile(_STAMPS + rb'"board","line":(' + USUAL_SAMPLE + rb")\}").fullmatch
# mono_s, gpu, and each of MEASURED
gpu_sample = re.compile(_STAMPS + rb'"gpu","gpu":(0|[1-9]\d{0,3})' + _FIELDS + rb"\}").fullmatch
