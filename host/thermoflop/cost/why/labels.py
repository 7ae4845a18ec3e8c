"""What rows of operators are called: told apart where names are alike, with the kernels that an
operator stands for."""

from __future__ import annotations

from collections.abc import Sequence

from thermoflop.cost.work.work import Work

# Whose products a pass follows where both kinds of experts have one of its name.
_EXPERTS = {"experts": "expert", "shared_experts": "shared"}


def labels(works: Sequence[Work]) -> list[str]:
    """A label of each operator of a step. Layers of two kinds, and what is called alike in one
    layer, are told apart; a number of kernels other than one is said."""
    names = _named(works)
    alike: dict[str, list[str]] = {}
    for name, work in zip(names, works, strict=True):
        parts = alike.setdefault(name, [])
        if work.part not in parts:
            parts.append(work.part)
    seen: dict[str, int] = {}
    found = []
    for name, work in zip(names, works, strict=True):
        label = ", ".join(filter(None, [name, _kind(work.part, alike[name])]))
        seen[label] = seen.get(label, 0) + 1
        nth = f", {seen[label]}" if seen[label] > 1 else ""
        found.append(label + nth + _kernels(work))
    return found


def _named(works: Sequence[Work]) -> list[str]:
    """The names, of passes after two kinds of experts with whose they are."""
    names, whose = [], ""
    for work in works:
        if work.kind == "contraction":
            whose = _EXPERTS.get(work.group, "")
        passes = work.kind == "element-wise" and work.name.endswith(" x up")
        names.append(f"{whose} {work.name}" if passes and whose else work.name)
    return names


def _kind(part: str, parts: Sequence[str]) -> str:
    """What a kind of layer has that the other ones do not: MoE of attention + MoE."""
    if len(parts) < 2:
        return ""
    own, *others = ([*each.split(" + ")] for each in (part, *(p for p in parts if p != part)))
    words = [word for word in own if any(word not in other for other in others)]
    return " + ".join(words).removeprefix("decoder ").removeprefix("encoder ")


def _kernels(work: Work) -> str:
    """How many kernels it is, where that is not one."""
    if work.kind == "network" or work.launches == 1:
        return ""
    return f", {work.launches} kernels"  # 0 of what another one's kernel does
