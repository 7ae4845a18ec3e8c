"""How wide the page is that text is made for: a terminal's columns, or not known.

A command says it once, around its work, and nothing is passed along. Where nobody has said it, as
in Python and into a pipe, tables are whole and paragraphs have 98 columns.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARAGRAPH = 98  # longer lines are hard to read, however wide the terminal is
NARROWEST = 12  # a first column is not shortened below that: it says what a row is

_columns: ContextVar[int | None] = ContextVar("columns", default=None)


@contextlib.contextmanager
def paper(columns: int | None) -> Iterator[None]:
    """Make the text inside for a page of so many columns.

    Args:
        columns: characters in a line. None: not known, and nothing is left out.

    Example:
        >>> from thermoflop.base.units import table
        >>> with paper(12):
        ...     print(table([["GPU", "GB", "source"], ["H100", "80", "sheet"]]))
        GPU   GB
        H100  80
    """
    token = _columns.set(columns)
    try:
        yield
    finally:
        _columns.reset(token)


def columns() -> int | None:
    """The characters in a line of the page; None where it is not known."""
    return _columns.get()


def kept(heads: Sequence[str], widths: Sequence[int], gap: int, least: Sequence[str]) -> list[int]:
    """Which columns of a table the page has room for.

    Args:
        heads: what the columns are called.
        widths: characters in each.
        gap: characters between two of them.
        least: what may go, the least important first; a name that is no head is passed over.

    Returns:
        Places of the columns that stay, in order; all of them where the page is wide, or unknown.

    Example:
        >>> with paper(20):
        ...     kept(["name", "GB", "source"], [10, 4, 10], 2, ["source", "GB"])
        [0, 1]
    """
    stay, page = list(range(len(heads))), columns()
    for name in least:
        if page is None or sum(widths[place] + gap for place in stay) - gap <= page:
            break
        stay = [place for place in stay if heads[place] != name]
    return stay


def fitted(text: str) -> str:
    """The text with lines that the page cannot hold wrapped, the rest of each two columns in.

    Words stay whole: a path that is longer than the page can still be copied.

    Example:
        >>> with paper(16):
        ...     print(fitted("short" + chr(10) + "a sentence that goes on"))
        short
        a sentence that
          goes on
    """
    page = columns()
    if page is None or all(len(line) <= page for line in text.split("\n")):
        return text
    lines = []
    for line in text.split("\n"):
        indent = " " * min(len(line) - len(line.lstrip()) + 2, page // 2)
        lines += [line] if len(line) <= page else wrap(line, page, indent)
    return "\n".join(lines)


def wrap(text: str, page: int, indent: str = "", word: str = r"\s*\S+") -> list[str]:
    """One paragraph as lines of at most ``page`` characters, broken between words.

    ``textwrap`` does this too; importing it takes longer than all that a command prints.

    Args:
        text: without line ends.
        page: characters in a line; a word that is longer stays whole, on a line of its own.
        indent: what stands before every line but the first.
        word: what a word is, with the blanks before it, as a regular expression.

    Example:
        >>> wrap("  a sentence  that goes on", 12, "- ")
        ['  a sentence', '- that goes', '- on']
    """
    import re

    lines = [""]
    for each in re.findall(word, text):
        if lines[-1].strip() and len(lines[-1] + each) > page:
            lines.append(indent + each.lstrip())
        else:
            lines[-1] += each
    return lines


def hanging(head: str, text: str) -> str:
    """A text behind its head, its further lines below it where the page is too narrow for one.

    Example:
        >>> with paper(20):
        ...     print(hanging("load  50 %  ", "of 8 requests/s"))
        load  50 %  of 8
                    requests/s
    """
    page = columns()
    if page is None or len(head) > 0.75 * page:
        return head + text
    return "\n".join(wrap(head + text, page, " " * len(head)))


def command(line: str) -> str:
    r"""A line for a shell that can be copied from the page: broken between words, with a ``\``,
    an option left with its value.

    Example:
        >>> with paper(16):
        ...     print(command("serve gpt2 --say 'a b'"))
        serve gpt2 \
          --say 'a b'
    """
    page = columns()
    if page is None or len(line) <= page:
        return line
    indent = "  " + " " * (len(line) - len(line.lstrip()))
    word = r"\s*(?:'[^']*'|\"[^\"]*\"|\S)+"  # a quote that the next line closes is a letter
    option = rf"\s*--?[a-z][\w-]*(?=\s+[^\s-]){word}"
    return " \\\n".join(wrap(line, page - 2, indent, f"{option}|{word}"))


def filled(text: str) -> str:
    """Help for the page: paragraphs filled anew, indented lines left, and broken where too long.

    A line that begins with a blank is none of a paragraph, nor is one behind a line that ends in a
    colon.

    Example:
        >>> with paper(16):
        ...     print(filled("One sentence" + chr(10) + "of two lines:" + chr(10) + "  go on"))
        One sentence of
        two lines:
          go on
    """
    page = columns() or PARAGRAPH
    lines: list[str] = []
    paragraph: list[str] = []
    for line in [*text.split("\n"), ""]:
        is_prose = bool(line) and not line[0].isspace()
        if is_prose:
            paragraph.append(line)
        if paragraph and (not is_prose or line.endswith(":")):
            lines += wrap(" ".join(paragraph), page)
            paragraph = []
        if not is_prose:
            typed = line.lstrip().startswith("thermoflop ") and "  " not in line.strip()
            lines.append(command(line) if typed else _hanging(line, page))
    return "\n".join(lines[:-1])


def _hanging(line: str, page: int) -> str:
    """A line in two columns, the second one wrapped below itself; any other as ``fitted`` does."""
    import re

    two = re.match(r"\s*\S.*?\s{2,}(?=\S)", line)
    if len(line) <= page or two is None or two.end() > 0.75 * page:
        return fitted(line)
    return "\n".join(wrap(line, page, " " * two.end()))
