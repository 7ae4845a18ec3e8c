"""What starting the server leaves out."""

from __future__ import annotations

import sys

import pytest
from thermoflop.web.server.server import absent


def test_a_module_is_absent_for_a_while_and_one_that_is_loaded_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    import json

    with absent("colorsys", "json"):
        import json as again

        assert again is json
        with pytest.raises(ImportError):
            import colorsys
    import colorsys

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
