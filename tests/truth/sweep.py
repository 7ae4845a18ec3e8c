"""Every type of transformers' mappings: its class's parameters beside what is counted here.

    python tests/truth/sweep.py                          # the table, by mapping
    python tests/truth/sweep.py --types qwen3_5,mpnet    # these, each configuration in a line
    python tests/truth/sweep.py --types swin --show      # and the shape of every parameter
    python tests/truth/sweep.py --mappings causal --variations 10 --seed 2

A type is built from its class's defaults, as transformers writes them to config.json (what differs
from the defaults, and every key), and in a few random variations with fewer layers. ``exact``:
every total that is counted is equal, those of the defaults among them; ``refused``: the defaults
are refused, with the reason; ``wrong``: any total differs; ``unbuilt``: the class itself does not
build from its defaults.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import random
import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

HOST = str(Path(__file__).resolve().parents[2] / "host")
if HOST not in sys.path:
    sys.path.insert(0, HOST)

import classes  # noqa: E402 - after the path is set
from thermoflop.errors import ThermoflopError  # noqa: E402
from thermoflop.model.load import read_model  # noqa: E402

Row = tuple[str, Any, int]
LONGEST_S = 240.0
OUTCOMES = ("exact", "refused", "wrong", "unbuilt")


def counted(config: dict[str, Any]) -> int | str:
    """Our parameters of a configuration, or why there are none."""
    try:
        return int(read_model(config).params)
    except ThermoflopError as error:
        return f"refused: {error}"
    except Exception as error:
        return f"crashed: {type(error).__name__}: {error}"


def compare(name: str, class_name: str, keys: dict[str, Any] | None) -> list[Row]:
    """For both forms of a configuration: what it is, what is counted, what the class has."""
    config = classes.make_config(name, class_name, **(keys or {}))
    model = classes.build(class_name, config)
    built = sum(each.numel() for each in classes.parameters_of(model).values())
    rows = []
    for whole in (False, True):
        what = f"{'all keys' if whole else 'short'} {'defaults' if keys is None else keys}"
        rows.append((what, counted(classes.as_published(config, class_name, whole)), built))
    return rows


def runs(name: str, class_name: str, keys: dict[str, Any]) -> bool:
    """Whether a class of a configuration takes a step."""
    return classes.runs(classes.build(class_name, classes.make_config(name, class_name, **keys)))


def try_type(name: str, class_name: str, variations: int, seed: int, sending: Any) -> None:
    """All comparisons of one type, sent one by one: what is sent remains if the process ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    try:
        for row in compare(name, class_name, None):
            sending.send(row)
    except Exception as error:
        sending.send(("unbuilt", f"{type(error).__name__}: {error}"[:300], 0))
        return
    rng = random.Random(f"{name} {class_name} {seed}")
    made = 0
    for _ in range(5 * variations):
        if made == variations:
            break
        try:
            keys = classes.variation(classes.make_config(name, class_name), rng)
            rows = compare(name, class_name, keys)
            differs = any(type(mine) is int and mine != built for _, mine, built in rows)
            if differs and runs(name, class_name, {}) and not runs(name, class_name, keys):
                continue  # heads and widths that the class builds and cannot multiply
        except Exception:  # noqa: S112 - sizes that do not go together: the class says so
            continue
        made += 1
        for row in rows:
            sending.send(row)


def rows_of(name: str, class_name: str, variations: int, seed: int) -> list[Row]:
    """The same, in a process of its own, which may fail, hang or run out of memory."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=try_type, args=(name, class_name, variations, seed, sending))
    process.start()
    sending.close()
    rows: list[Row] = []
    until = time.monotonic() + LONGEST_S
    try:
        while receiving.poll(max(0.0, until - time.monotonic())):
            rows.append(receiving.recv())
    except EOFError:
        pass
    if process.is_alive() and time.monotonic() >= until:
        process.kill()
    process.join()
    return rows or [("unbuilt", "it did not end", 0)]


def outcome(rows: list[Row]) -> tuple[str, str]:
    """What became of a type, and why."""
    if rows[0][0] == "unbuilt":
        return "unbuilt", str(rows[0][1])
    for what, mine, built in rows:
        if type(mine) is int and mine != built:
            return "wrong", f"{what}: counted {mine:,}, built {built:,}"
        if isinstance(mine, str) and mine.startswith("crashed"):
            return "wrong", f"{what}: {mine}"
    for _, mine, _ in rows[:2]:
        if type(mine) is not int:
            return "refused", str(mine)
    return "exact", ""


def kind_of_reason(reason: str) -> str:
    """A reason without the names and numbers in it."""
    text = re.sub(r"; (the nearest|say ignore|did you mean).*", "", reason.split(". To add")[0])
    return re.sub(r"model_type '[^']*' is not known.*", "model_type is not known", text)[:110]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mappings", default="causal,image-text,seq2seq,masked,text-encoding")
    parser.add_argument("--types", default="", help="these alone, in all mappings that have them")
    parser.add_argument("--variations", type=int, default=4, help="random ones of each type")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="the shapes of the class's parameters")
    parser.add_argument("--each", action="store_true", help="a line a type")
    args = parser.parse_args()
    only = set(args.types.split(",")) - {""}
    table: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in OUTCOMES}
    wrong = []
    known: dict[tuple[str, str], Any] = {}
    for mapping in args.mappings.split(",") if not only else classes.MAPPINGS:
        for name, class_name in classes.types_of(mapping).items():
            if only and name not in only:
                continue
            key = (name, class_name)
            again = key in known
            if not again:
                known[key] = rows_of(name, class_name, args.variations, args.seed)
            what, why = outcome(known[key])
            table.setdefault(mapping, Counter())[what] += 1
            if again:
                continue
            reasons[what][kind_of_reason(why)] += 1
            if what == "wrong":
                wrong.append(f"{name} ({class_name}): {why}")
            if only or args.each:
                print(f"{what:<8} {name} ({class_name}) {why}", flush=True)
            if only:
                print_rows(known[key])
            if args.show:
                model = classes.build(class_name, classes.make_config(name, class_name))
                print("\n".join(classes.folded(model)))
    print_table(table, reasons, wrong)
    return 1 if wrong else 0


def print_rows(rows: list[Row]) -> None:
    """The comparisons of one type; what the short and the whole form agree in, once."""
    before = None
    for text, mine, built in rows:
        keys = text.partition("{")[1:]
        if (mine, built, keys) != before:
            same = "=" if mine == built else " "
            print(f"  {same} {built:>16,}  {mine if type(mine) is str else f'{mine:,}'}  {text}")
        before = (mine, built, keys)


def print_table(
    table: dict[str, Counter[str]], reasons: dict[str, Counter[str]], wrong: list[str]
) -> None:
    """Types by mapping and outcome, the reasons, and every wrong total."""
    print(f"{'mapping':<14} {'types':>6}" + "".join(f"{name:>9}" for name in OUTCOMES))
    for mapping, counts in table.items():
        figures = "".join(f"{counts[name]:>9}" for name in OUTCOMES)
        print(f"{mapping:<14} {sum(counts.values()):>6}{figures}")
    for name in ("refused", "unbuilt"):
        for reason, count in reasons[name].most_common(60):
            print(f"{name} {count:>4}  {reason}")
    for text in wrong:
        print(f"WRONG {text}")


if __name__ == "__main__":
    raise SystemExit(main())
