"""Every type of transformers' mappings: its class's parameters beside what is counted here.

    python tests/truth/sweep.py                          # the table, by mapping
    python tests/truth/sweep.py --types qwen3_5,mpnet    # these, each configuration in a line
    python tests/truth/sweep.py --types swin --show      # and the shape of every parameter
    python tests/truth/sweep.py --mappings causal --variations 10 --seed 2
    python tests/truth/sweep.py --keep built.json.gz     # keep what was built, and
    python tests/truth/sweep.py --again built.json.gz    # count it again, in seconds

A type is built from its class's defaults, as transformers writes them to config.json (what differs
from the defaults, and every key), and in a few random variations with fewer layers. ``exact``:
every total that is counted is equal, those of the defaults among them; ``refused``: the defaults
are refused, with the reason; ``wrong``: any total differs; ``unbuilt``: the class itself does not
build from its defaults. ``tests/data/mappings.json.gz`` is what ``--keep`` writes with
``--variations 0``; tests/model/config/families/test_mappings.py counts it without transformers.
"""

from __future__ import annotations

import argparse
import gzip
import json
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

from thermoflop.errors import ThermoflopError  # noqa: E402 - after the path is set
from thermoflop.model.load import read_model  # noqa: E402

MAPPINGS = ("causal", "image-text", "seq2seq", "masked", "text-encoding")
LONGEST_S = 240.0
OUTCOMES = ("exact", "refused", "wrong", "unbuilt")
# what a configuration is, the configuration (None: it does not build), its class's parameters
Built = tuple[str, dict[str, Any] | None, int]


def counted(config: dict[str, Any]) -> int | str:
    """Our parameters of a configuration, or why there are none."""
    try:
        return int(read_model(config).params)
    except ThermoflopError as error:
        return f"refused: {error}"
    except Exception as error:
        return f"crashed: {type(error).__name__}: {error}"


def build_both(name: str, class_name: str, keys: dict[str, Any] | None) -> list[Built]:
    """Both forms of a configuration with the parameters of its class."""
    import classes

    config = classes.make_config(name, class_name, **(keys or {}))
    model = classes.build(class_name, config)
    total = sum(each.numel() for each in classes.parameters_of(model).values())
    what = "defaults" if keys is None else f"{keys}"
    return [
        (f"{form} {what}", classes.as_published(config, class_name, form == "all keys"), total)
        for form in ("short", "all keys")
    ]


def runs(name: str, class_name: str, keys: dict[str, Any]) -> bool:
    """Whether a class of a configuration takes a step."""
    import classes

    return classes.runs(classes.build(class_name, classes.make_config(name, class_name, **keys)))


def build_type(name: str, class_name: str, variations: int, seed: int, sending: Any) -> None:
    """All configurations of one type, sent one by one: they remain if the process ends."""
    import classes

    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    try:
        for row in build_both(name, class_name, None):
            sending.send(row)
    except Exception as error:
        sending.send((f"{type(error).__name__}: {error}"[:300], None, 0))
        return
    rng = random.Random(f"{name} {class_name} {seed}")
    made = 0
    for _ in range(5 * variations):
        if made == variations:
            break
        try:
            keys = classes.variation(classes.make_config(name, class_name), rng)
            rows = build_both(name, class_name, keys)
            differs = any(type(counted(config)) is int and counted(config) != total
                          for _, config, total in rows if config is not None)  # fmt: skip
            if differs and runs(name, class_name, {}) and not runs(name, class_name, keys):
                continue  # heads and widths that the class builds and cannot multiply
        except Exception:  # noqa: S112 - sizes that do not go together: the class says so
            continue
        made += 1
        for row in rows:
            sending.send(row)


def built_rows(name: str, class_name: str, variations: int, seed: int) -> list[Built]:
    """The same, in a process of its own, which may fail, hang or run out of memory."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=build_type, args=(name, class_name, variations, seed, sending))
    process.start()
    sending.close()
    rows: list[Built] = []
    until = time.monotonic() + LONGEST_S
    try:
        while receiving.poll(max(0.0, until - time.monotonic())):
            rows.append(receiving.recv())
    except EOFError:
        pass
    if process.is_alive() and time.monotonic() >= until:
        process.kill()
    process.join()
    return rows or [("it did not end", None, 0)]


def outcome(rows: list[Built]) -> tuple[str, str]:
    """What became of a type, and why."""
    if rows[0][1] is None:
        return "unbuilt", rows[0][0]
    found = [(what, counted(config or {}), total) for what, config, total in rows]
    for what, mine, total in found:
        if type(mine) is int and mine != total:
            return "wrong", f"{what}: counted {mine:,}, built {total:,}"
        if isinstance(mine, str) and mine.startswith("crashed"):
            return "wrong", f"{what}: {mine}"
    refused = [str(mine) for _, mine, _ in found[:2] if type(mine) is not int]
    return ("refused", refused[0]) if refused else ("exact", "")


def kind_of_reason(reason: str) -> str:
    """A reason without the names and numbers in it."""
    text = re.sub(r"; (the nearest|say ignore|did you mean).*", "", reason.split(". To add")[0])
    text = text.partition("\n")[0]
    return re.sub(r"model_type '[^']*' is not known.*", "model_type is not known", text)[:110]


def all_types(args: argparse.Namespace, only: set[str]) -> list[dict[str, Any]]:
    """Every type that is asked for with its mappings, class and what its class builds."""
    if args.again:
        kept: list[dict[str, Any]] = json.loads(gzip.decompress(Path(args.again).read_bytes()))
        return [each for each in kept if not only or each["type"] in only]
    import classes

    found: dict[tuple[str, str], dict[str, Any]] = {}
    for mapping in classes.MAPPINGS if only else args.mappings.split(","):
        for key in classes.types_of(mapping).items():
            if not only or key[0] in only:
                each = found.setdefault(key, {"type": key[0], "class": key[1], "mappings": []})
                each["mappings"].append(mapping)
    return list(found.values())


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mappings", default=",".join(MAPPINGS))
    parser.add_argument("--types", default="", help="these alone, in all mappings that have them")
    parser.add_argument("--variations", type=int, default=4, help="random ones of each type")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="the shapes of the class's parameters")
    parser.add_argument("--each", action="store_true", help="a line a type")
    parser.add_argument("--keep", metavar="FILE", help="write what was built")
    parser.add_argument("--again", metavar="FILE", help="count what was built before")
    args = parser.parse_args()
    only = set(args.types.split(",")) - {""}
    table: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in OUTCOMES}
    wrong, types = [], all_types(args, only)
    for each in types:
        if "rows" not in each:
            each["rows"] = built_rows(each["type"], each["class"], args.variations, args.seed)
        what, why = outcome(each["rows"])
        for mapping in each["mappings"]:
            table.setdefault(mapping, Counter())[what] += 1
        reasons[what][kind_of_reason(why)] += 1
        name = f"{each['type']} ({each['class']})"
        if what == "wrong":
            wrong.append(f"{name}: {why}")
        if only or args.each:
            print(f"{what:<8} {name} {why}", flush=True)
        if only:
            print_rows(each["rows"])
        if args.show:
            import classes

            config = classes.make_config(each["type"], each["class"])
            print("\n".join(classes.folded(classes.build(each["class"], config))))
    if args.keep:
        text = json.dumps(types, separators=(",", ":"), sort_keys=True)
        Path(args.keep).write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print_table(table, reasons, wrong)
    return 1 if wrong else 0


def print_rows(rows: list[Built]) -> None:
    """The comparisons of one type; what the short and the whole form agree in, once."""
    before = None
    for text, config, total in rows:
        mine = counted(config) if config is not None else "not built"
        keys = text.partition("{")[1:]
        if (mine, total, keys) != before:
            same = "=" if mine == total else " "
            print(f"  {same} {total:>16,}  {mine if type(mine) is str else f'{mine:,}'}  {text}")
        before = (mine, total, keys)


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
