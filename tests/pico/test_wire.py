"""The wire's rules: what is a line, what is believed, what is said to the board."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import board_lines
from kit.board_lines import seal
from thermoflop.errors import UsageError
from thermoflop.pico.lines import LineSplitter, Overlong
from thermoflop.pico.wire import (
    Bad,
    Event,
    Hello,
    Log,
    Mults,
    Reply,
    Sample,
    Settings,
    Units,
    crc16,
    decode,
    encode_command,
    printable,
)

GOOD = board_lines.sample_line(12).rstrip(b"\n")


def test_the_crc_is_crc16_ccitt_false() -> None:
    """Its published check value."""
    assert crc16(b"123456789") == 0x29B1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (board_lines.sample_line(3, temp_c=None, flags=("open",), mode="fault"), Sample),
        (board_lines.hello_line(), Hello),
        (seal('{"k":"units","boot":"3fa2c1","up_s":"s","temp_c":"degC"'), Units),
        (board_lines.settings_line(), Settings),
        (board_lines.event_line(0), Event),
        (seal('{"k":"r","id":7,"ok":true,"on_c":29.000'), Reply),
        (seal('{"k":"r","id":7,"ok":false,"err":"on_c 20.000 must be above off_c 28.000"'), Reply),
        (seal('{"k":"r","id":7,"ok":false,"dup":true'), Reply),
        (seal('{"k":"m","id":7,"form":"page","mults":278396928'), Mults),
        (seal('{"k":"m","id":7,"form":"params","params":174563733504'), Mults),
        (seal('{"k":"log","boot":"3fa2c1","text":"hi"'), Log),
    ],
)
def test_every_kind_of_line_becomes_its_own_type(line: bytes, message: type) -> None:
    """All eight kinds of the protocol are known."""
    assert isinstance(decode(line[:-1]), message)


def test_a_sample_carries_what_the_board_said() -> None:
    """Field by field, null staying None and never 0."""
    line = board_lines.sample_line(
        9, temp_c=None, flags=("open", "fast"), drops=4, mode="fault", fan=1
    )
    assert decode(line[:-1]) == Sample(
        "3fa2c1", 9, 2.0, None, 2048, 1, "fault", ("open", "fast"), 4
    )


def test_counts_are_exact_whatever_their_size() -> None:
    """No float comes between the board's integer and ours."""
    message = decode(seal('{"k":"m","id":1,"form":"page","mults":1770868703232')[:-1])
    assert isinstance(message, Mults)
    assert message.value == 1_770_868_703_232


def test_no_single_changed_byte_is_believed() -> None:
    """Every byte of a line, with every bit flipped, gives a bad line."""
    for at in range(len(GOOD)):
        for bit in range(8):
            torn = bytearray(GOOD)
            torn[at] ^= 1 << bit
            assert isinstance(decode(bytes(torn)), Bad), (at, bit)


def test_no_cut_line_and_no_merged_lines_are_believed() -> None:
    """A tear leaves a head, a tail, or a head with another line's tail."""
    other = board_lines.sample_line(13)[:-1]
    for at in range(1, len(GOOD)):
        assert isinstance(decode(GOOD[:at]), Bad)
        assert isinstance(decode(GOOD[at:]), Bad)
        assert isinstance(decode(GOOD[:at] + other), Bad)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty"),
        (b"\x00" * 20, "not_ascii"),
        (GOOD.replace(b"auto", b"aut\xff"), "not_ascii"),
        (b"\x1b[2J", "not_ascii"),
        (b"AT+GCAP", "no_crc"),
        (b'{"k":"t"}', "no_crc"),
        (GOOD[:-3] + b'0"}', "crc"),
        (GOOD.replace(b'"crc":"', b'"CRC":"'), "no_crc"),
        (seal("[1,2")[:-1], "not_json"),
        (seal('{"k":"t","temp_c":NaN')[:-1], "not_json"),
        (seal('{"k":"zz"')[:-1], "kind"),
        (seal('{"kind":"t"')[:-1], "kind"),
        (seal('{"k":["t"]')[:-1], "kind"),
        (b"x" * 256, "too_long"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(line: bytes, reason: str) -> None:
    """The reason names what is wrong."""
    assert decode(line) == Bad(reason)


@pytest.mark.parametrize(
    "change",
    [
        {"temp_c": "25"},
        {"temp_c": -300.0},
        {"temp_c": 1e999},
        {"temp_c": True},
        {"raw": 4096},
        {"raw": 1.5},
        {"fan": 2},
        {"fan": True},
        {"mode": "party"},
        {"flags": "open"},
        {"flags": [1]},
        {"flags": ["Not A Name"]},
        {"seq": -1},
        {"seq": None},
        {"boot": "xyz"},
        {"boot": 7},
        {"up_s": -1},
        {"drops": "0"},
    ],
)
def test_a_sample_with_a_wrong_field_is_not_a_sample(change: dict[str, object]) -> None:
    """A right crc does not make a wrong value right."""
    data = json.loads(GOOD)
    del data["crc"]
    line = seal(
        json.dumps({**data, **change}, separators=(",", ":"))[:-1].replace("Infinity", "1e999")
    )
    assert decode(line[:-1]) == Bad("fields")


def test_a_missing_field_is_refused() -> None:
    """A sample without its temperature is no sample."""
    data = json.loads(GOOD)
    del data["crc"], data["temp_c"]
    assert decode(seal(json.dumps(data, separators=(",", ":"))[:-1])[:-1]) == Bad("fields")


@given(st.binary(max_size=400))
def test_no_bytes_make_decode_raise(line: bytes) -> None:
    """Whatever arrives is a message or a reason."""
    decode(line)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_no_value_behind_a_right_crc_makes_decode_raise(value: object) -> None:
    """A board with a bug is still only a bad line."""
    for kind in ("hello", "units", "settings", "t", "e", "r", "m", "log"):
        decode(seal(f'{{"k":"{kind}","boot":"3fa2c1","id":1,"ok":{json.dumps(value)}')[:-1])


@given(
    st.lists(st.binary(max_size=300).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.data()
)
def test_how_the_bytes_are_cut_into_chunks_changes_nothing(
    lines: list[bytes], data: st.DataObject
) -> None:
    """The splitter gives the same lines for every way of cutting the stream."""
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    splitter = LineSplitter()
    got = []
    for start, end in pairwise([0, *cuts, len(stream)]):
        got += splitter.feed(stream[start:end])
    sizes = [len(g) if isinstance(g, bytes) else g.n_bytes for g in got]
    assert sizes == [len(line) for line in lines]
    assert all(
        g == line if isinstance(g, bytes) else len(line) >= 256
        for g, line in zip(got, lines, strict=True)
    )


def test_a_megabyte_without_newline_is_one_bad_line_in_bounded_memory() -> None:
    """Its bytes are counted, not kept."""
    splitter = LineSplitter()
    tracemalloc.start()
    for _ in range(256):
        assert splitter.feed(b"x" * 4096) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (line,) = splitter.feed(b"\n")
    assert isinstance(line, Overlong)
    assert line.n_bytes == 1 << 20
    assert len(line.head) <= 256
    assert peak < 64 * 1024


def test_a_command_is_one_short_line() -> None:
    """Mark, id, verb, arguments, newline."""
    assert encode_command(7, "set", ["on_c", "29.5"]) == b"!7 set on_c 29.5\n"


@pytest.mark.parametrize(
    ("number", "verb", "args"),
    [
        (1, "set", ["on_c", "29\n!2 bootsel"]),
        (1, "set", ["x" * 80]),
        (1, "set on_c", []),
        (1, "", []),
        (1, "set", ["°"]),
        (1, "set", ["\x03"]),
        (-1, "id", []),
        (10**9, "id", []),
    ],
)
def test_a_command_that_the_board_could_not_take_is_refused(
    number: int, verb: str, args: list[str]
) -> None:
    """Too long, more than one line, control characters, a wrong id."""
    with pytest.raises(UsageError):
        encode_command(number, verb, args)


@given(st.text())
def test_text_from_a_board_cannot_drive_the_terminal(text: str) -> None:
    """No control character and no escape sequence survives."""
    assert all(" " <= c <= "~" or c == "°" for c in printable(text))


@pytest.mark.parametrize(
    "values",
    [
        '"on_c":1e999',  # infinite as a float
        '"on_c":-1e999',
        '"off_c":1e308',  # finite, and 100 times it is not
        '"on_c":"x"',
        '"on_c":true',
        '"on_c":null',
        '"t_max_c":[29]',
        '"r25_ohm":' + "9" * 150,  # an int that no float holds
        '"min_on_s":"5"',
        '"side":{"a":1}',
        '"on_c":29.0,"note":1e999',
    ],
)
def test_settings_that_cannot_be_computed_with_are_not_believed(values: str) -> None:
    """Whatever reads them may take a number with a unit for one that can be computed with."""
    line = seal(f'{{"k":"settings","boot":"3fa2c1","part":1,"parts":1,{values}')
    assert decode(line[:-1]) == Bad("fields")


@pytest.mark.parametrize(
    "body",
    [
        '{"k":"e","boot":"3fa2c1","n":1,"up_s":1.0,"ev":"fan","fan":1,"temp_c":1e999',
        '{"k":"r","id":7,"ok":true,"on_c":-1e999',
        '{"k":"e","boot":"3fa2c1","n":1,"up_s":1.0,"ev":"fault","value":[[1e400]]',
    ],
)
def test_no_infinite_number_is_in_any_line(body: str) -> None:
    """Not even deep inside of a detail that only people read: it would end up in JSON files."""
    assert decode(seal(body)[:-1]) == Bad("fields")


def test_the_settings_of_the_firmware_are_believed() -> None:
    """The largest of each kind that firmware/settings.py allows, and a word."""
    body = '"on_c":100.000,"r1_ohm":5000000,"rate_ms":60000,"min_on_s":600.000,"side":"high"'
    message = decode(seal(f'{{"k":"settings","boot":"3fa2c1","part":1,"parts":3,{body}')[:-1])
    assert isinstance(message, Settings)
    assert message.values["r1_ohm"] == 5_000_000
    assert message.values["side"] == "high"


_USUAL = (
    '{"k":"t","boot":"accb2c","seq":12,"up_s":3.200,"temp_c":24.003,"raw":2002,"fan":1,'
    '"mode":"auto","flags":[],"drops":0'
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("24.003", "24.003"),
        ("24.003", "-9.5"),
        ("24.003", "-274.0"),
        ("24.003", "-0.001"),
        ("24.003", "024.0"),
        ("24.003", "999.0"),
        ("24.003", "2000.5"),
        ("24.003", "null"),
        ("24.003", "24"),
        ("24.003", "24."),
        ("24.003", "2.4e1"),
        ("2002", "4095"),
        ("2002", "4096"),
        ("2002", "02"),
        ("2002", "0"),
        ('"seq":12', '"seq":9007199254740992'),
        ('"seq":12', '"seq":9007199254740993'),
        ('"seq":12', '"seq":012'),
        ('"seq":12', '"seq":-1'),
        ("3.200", "3"),
        ("3.200", "99999999999.5"),
        ("3.200", "-3.2"),
        ('"fan":1', '"fan":2'),
        ('"auto"', '"warm"'),
        ('"auto"', '"safe"'),
        ("[]", '["open"]'),
        ("accb2c", "acc"),
        ("accb2c", "ACCB2C"),
        (',"seq"', ', "seq"'),
        ('"drops":0', '"drops":0,"more":1'),
    ],
)
def test_a_sample_is_the_same_by_the_short_way_and_by_json(before: str, after: str) -> None:
    """A space after the first brace is JSON all the same, and leads the long way."""
    assert before in _USUAL
    short = decode(framed(_USUAL.replace(before, after)))
    assert short == decode(framed("{ " + _USUAL.replace(before, after)[1:]))


def framed(body: str) -> bytes:
    """The line with its crc."""
    data = body.encode()
    return data + b',"crc":"%04x"}' % crc16(data)
