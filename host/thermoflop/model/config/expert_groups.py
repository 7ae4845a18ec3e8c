"""Routing that is limited to groups of experts: ``n_group`` and ``topk_group``.

A token first chooses groups, then its experts among theirs (DeepSeek-V2, section 2.1.3, and -V3,
2.1.2). No parameter and no FLOP depends on it: where experts lie on several nodes, fewer of them
are met. Files of DeepSeek-V3, Ling 2.0 and their kin state both keys; a method ``greedy`` chooses
among all experts. A value that makes no sense means no groups, as for any key that changes nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


# What classes take where the keys are absent (configuration_deepseek_v3.py and its kin); others
# choose among all experts.
_ABSENT = dict.fromkeys(("deepseek_v3", "deepseek_v32", "axk1", "beam"), (8, 4))


def expert_groups(raw: Mapping[str, Any], experts: int, family: str = "") -> tuple[int, int]:
    """In how many groups the experts lie, and among those of how many a token chooses; (1, 1) where
    it chooses among all.

    Example:
        >>> expert_groups({"n_group": 8, "topk_group": 4}, 256), expert_groups({}, 256)
        ((8, 4), (1, 1))
    """
    usual_groups, usual_chosen = _ABSENT.get(family, (None, None))
    groups, chosen = raw.get("n_group", usual_groups), raw.get("topk_group", usual_chosen)
    if type(groups) is not int or type(chosen) is not int or raw.get("topk_method") == "greedy":
        return 1, 1
    limits = 1 <= chosen < groups and experts % groups == 0
    return (groups, chosen) if limits else (1, 1)
