"""The tables of llama-bench, and its -o csv, json and jsonl."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator

from thermoflop.base.record import record
from thermoflop.runs.engines.lines import NUMBER, lines_of

# llama.cpp's words for formats (``llama_model_ftype_name`` of its llama-model-loader.cpp).
_FORMAT = re.compile(
    r" (B?F16|F32|[IT]?Q\d\w*|MXFP4|NVFP4)( mix)?(?: MoE)?(?: - (?:(Small|Medium|Large)|.*bpw.*))?$"
)
_OTHERWISE = {"f16": "fp16", "f32": "fp32", "q2_k_m": "q2_k", "iq3_s mix": "iq3_m"}
_FIELD = re.compile(
    r'"(model_type|model_n_params|backends|gpu_info|n_gpu_layers|n_prompt|n_gen|n_depth|avg_ts)":'
    r'\s*(?:"([^"]*)"|([^",}]+))'
)
# column of its csv and json -> that of its table
_COLUMNS = {
    "model_type": "model", "model_n_params": "params", "backends": "backend", "gpu_info": "gpu",
    "n_gpu_layers": "ngl", "avg_ts": "t/s",
}  # fmt: skip
_MOST_PER_S = 1e12
_SCALES = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9}


@record
class BenchTest:
    """One test of llama-bench: ``pp512`` reads 512 tokens, ``tg128 @ d4096`` generates 128 after
    4,096; ``model`` is the name that it prints, ``params`` how many it has (0.0: not said), ``gpu``
    and ``backend`` what ran it, ``layers`` how many of them were to lie on a GPU (None: not
    said)."""

    name: str
    model: str
    prompt: int
    generate: int
    depth: int
    tokens_per_s: float
    params: float = 0.0
    backend: str = ""
    gpu: str = ""
    layers: int | None = None


def llama_bench_tests(output: bytes) -> list[BenchTest]:
    """Every test of the tables that llama-bench printed, in their order; of one that is there
    twice, the last.

    Example:
        >>> table = b"| model | test | t/s |\\n| llama 8B | pp512 @ d64 | 99.5 |\\n"
        >>> [(test.prompt, test.depth, test.tokens_per_s) for test in llama_bench_tests(table)]
        [(512, 64, 99.5)]
    """
    tests: dict[tuple[str, str], BenchTest] = {}
    for cells in _tests(lines_of(output)):
        match, rate = _test(cells["test"]), _rate(cells["t/s"])
        if match and rate:
            tokens, model = int(match[2]), cells.get("model", "")
            sizes = (tokens, 0) if match[1] == "pp" else (0, tokens)
            name = f"{match[1]}{tokens}{f' @ d{match[3]}' if match[3] else ''}"
            layers = cells.get("ngl", "")
            tests[name, model] = BenchTest(
                name, model, *sizes, int(match[3] or 0), rate, _count(cells.get("params", "")),
                cells.get("backend", ""), cells.get("gpu", ""),
                int(layers) if layers.isdecimal() else None,
            )  # fmt: skip
    return list(tests.values())


def _test(cell: str) -> re.Match[str] | None:
    return re.fullmatch(r"(pp|tg) ?(\d{1,9})(?: @ d(\d{1,9}))?", cell)  # with a space in older ones


def _rate(cell: str) -> float:
    rate = re.fullmatch(rf"{NUMBER}(?: ± [\d.]+)?", cell)
    return float(rate[1]) if rate and float(rate[1]) < _MOST_PER_S else 0.0


def _count(cell: str) -> float:
    """A number such as ``8.03 B``; 0.0 for what is none."""
    found = re.fullmatch(rf"{NUMBER} ?([KMB]?)", cell)
    return float(found[1]) * _SCALES[found[2]] if found else 0.0


def format_of(model: str) -> str:
    """The format in a model's name, as llama.cpp writes it: ``llama 8B Q4_K - Medium``; "" for
    none."""
    match = _FORMAT.search(model)
    if match is None:
        return ""
    size = f"_{match[3][0].lower()}" if match[3] else ""
    name = f"{match[1].lower()}{match[2] or ''}{size}"
    return _OTHERWISE.get(name, name)


def read_tests(lines: list[str]) -> dict[str, float]:
    """What llama-bench prints: ``pp512`` reads 512 tokens, ``tg128`` generates 128; one sequence.
    Where it ran several sizes none of them is the run's."""
    tests: dict[str, set[tuple[int, float]]] = {"pp": set(), "tg": set()}
    for cells in _tests(lines):
        match, rate = _test(cells["test"]), _rate(cells["t/s"])
        if match and not match[3] and rate > 0:
            tests[match[1]].add((int(match[2]), rate))
    values: dict[str, float] = {}
    if len(tests["pp"]) == 1:
        ((n, rate_per_s),) = tests["pp"]
        values |= {"prompt_tokens": float(n), "ttft_s": n / rate_per_s}
    if len(tests["tg"]) == 1:
        ((n, rate_per_s),) = tests["tg"]
        values |= {"generated_tokens": float(n), "token_s": 1 / rate_per_s}
    return values


def format_in(lines: list[str]) -> dict[str, str]:
    """The format of the first model that names one."""
    named = (format_of(cells.get("model", "")) for cells in _tests(lines))
    name = next(filter(None, named), "")
    return {"format": name} if name else {}


def _tests(lines: list[str]) -> Iterator[dict[str, str]]:
    """The rows of llama-bench's table; those of its -o csv, json and jsonl as such."""
    yield from _below(map(_markdown, lines), "test", "t/s")
    separated = _below(csv.reader(lines), "n_prompt", "n_gen", "avg_ts")
    for each in (*_objects(lines), *separated):
        read, made, depth = (each.get(name, "0") for name in ("n_prompt", "n_gen", "n_depth"))
        if "0" in (read, made):
            test = f"tg{made}" if read == "0" else f"pp{read}"
            cells = {name: each[column] for column, name in _COLUMNS.items() if column in each}
            yield {**cells, "test": test + f" @ d{depth}" * (depth != "0")}


def _objects(lines: list[str]) -> Iterator[dict[str, str]]:
    """What stands in JSON objects, on one line or on many; the rate comes after the sizes."""
    fields: dict[str, str] = {}
    for line in lines:
        for name, text, number in _FIELD.findall(line):
            fields[name] = text or number.strip()
            if name == "avg_ts":
                yield fields
                fields = {}


def _markdown(line: str) -> list[str]:
    """The cells of a table's row; none where the line is no row."""
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []


def _below(rows: Iterable[list[str]], *columns: str) -> Iterator[dict[str, str]]:
    """The rows below a head that has these columns, each as wide as it; a line without cells ends
    its table."""
    names: list[str] = []
    for cells in rows:
        if not cells or set(columns) <= set(cells):
            names = cells
        elif len(cells) == len(names):
            yield dict(zip(names, cells, strict=True))
