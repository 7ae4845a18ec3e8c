"""Code lines of the host by folder: ``python tests/code_lines.py [REVISION]``.

A code line holds a piece of a statement: blanks, comments and docstrings are not counted, as they
are what a reader is glad of. With a revision of git, the lines of that revision.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tarfile
import tokenize
from collections import Counter
from pathlib import Path, PurePath

ROOT = Path(__file__).resolve().parents[1]
_SPACE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
_SPACE |= {tokenize.ENCODING, tokenize.ENDMARKER}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_lines(source: str) -> int:
    """The lines of Python source that hold code: no blank, no comment, no docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SPACE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    texts = source.splitlines()
    return sum(1 for line in lines if texts[line - 1].strip())


def sources(revision: str | None) -> dict[str, str]:
    """Path and text of every Python file under ``host/``, here or in a revision."""
    if revision is None:
        files = (ROOT / "host").rglob("*.py")
        return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}
    archive = subprocess.run(
        ["git", "archive", revision, "--", "host"], cwd=ROOT, check=True, stdout=subprocess.PIPE
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = {each.name: tar.extractfile(each) for each in tar if each.name.endswith(".py")}
        return {name: file.read().decode() for name, file in members.items() if file is not None}


def table(files: dict[str, str]) -> str:
    """Code lines and all lines by folder of the package, with their sums."""
    counts: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for path, source in files.items():
        inside = PurePath(path).parts[2:]  # host/thermoflop/FOLDER/...
        folder = f"{inside[0]}/" if len(inside) > 1 else "(top)"
        counts[folder] += code_lines(source)
        lines[folder] += len(source.splitlines())
    rows = [("host", "code", "all")]
    rows += [(name, f"{counts[name]:,}", f"{lines[name]:,}") for name in sorted(counts)]
    rows.append(("together", f"{counts.total():,}", f"{lines.total():,}"))
    return "\n".join(f"{name:<10} {code:>7} {every:>7}" for name, code, every in rows)


if __name__ == "__main__":
    print(table(sources(sys.argv[1] if len(sys.argv) > 1 else None)))
