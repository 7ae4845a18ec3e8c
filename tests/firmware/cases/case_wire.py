"""Lines out and lines in."""

import json

import rig
import wire


def checked(line):
    """The text of a finished line, its CRC verified from the outside."""
    data = bytes(line.buf[: line.length])
    assert data.endswith(b"\n")
    cut = data.rfind(b',"crc":"')
    assert data[cut + 8 : cut + 12].decode() == "%04x" % wire.crc16(data, cut)
    return data.decode()


def test_crc_of_123456789_is_29b1():
    assert wire.crc16(b"123456789", 9) == 0x29B1
    assert wire.crc16(b"", 0) == 0xFFFF


def test_keys_keep_their_order_and_the_crc_is_last():
    line = wire.Line()
    line.start("t").text("boot", "3fa2c1").number("seq", 12).milli("temp_c", 25310)
    line.milli("none", None).add("flags", "[]").end()
    text = checked(line)
    assert text.startswith(
        '{"k":"t","boot":"3fa2c1","seq":12,"temp_c":25.310,"none":null,"flags":[]'
    )
    assert json.loads(text)["seq"] == 12


def test_decimals_come_from_integers():
    for milli, text in ((0, "0.000"), (5, "0.005"), (-5, "-0.005"), (-20500, "-20.500")):
        assert wire.decimal(milli) == text


def test_no_line_is_longer_than_256_bytes_whatever_is_put_in():
    for length in range(0, 400, 7):
        for letter in ("a", '"', "\\", "\x00", "é"):
            line = wire.Line()
            line.start("log").number("n", 1).text("text", letter * length).text("more", letter * 50)
            line.number("big", 10**length).end()
            assert line.length <= wire.MAX_LINE
            json.loads(checked(line))


def test_a_key_without_room_is_left_out_whole_and_told():
    line = wire.Line()
    line.start("r")
    assert line.fits
    line.number("big", 10**300)
    assert not line.fits
    line.end()
    assert json.loads(checked(line))["k"] == "r"


def test_a_text_with_quotes_and_controls_stays_one_json_string():
    line = wire.Line()
    line.start("log").text("text", 'a"b\\c\nd\x1b[31m').end()
    assert json.loads(checked(line))["text"] == 'a"b\\c?d?[31m'


def read_all(data):
    reader = wire.LineReader()
    found = []
    for byte in data:
        text = reader.feed(byte)
        if text is not None:
            found.append(text)
    return found, reader


def test_a_command_is_a_line_that_starts_with_an_exclamation_mark():
    found, reader = read_all(b"!7 id\nhello\r\n\r\n!8 help\r\nAT+GCAP\r")
    assert found == ["7 id", "8 help"]
    assert reader.ignored == 2


def test_ten_kilobytes_without_a_newline_are_one_ignored_line_and_the_next_command_works():
    found, reader = read_all(b"x" * 10240 + b"\n!1 id\n" + b"!" * 10240 + b"\n!2 id\n")
    assert [text for text in found if text[0] != "!"] == ["1 id", "2 id"]
    assert max(len(text) for text in found) == wire.MAX_COMMAND
    assert reader.ignored == 1


def test_a_command_of_80_bytes_is_whole_and_one_of_81_or_more_is_cut_to_where_that_shows():
    fits = b"!1 sync " + b"x" * 72
    found, reader = read_all(fits + b"\n" + fits + b"x\n" + fits + b"xyz\n")
    assert found == [fits[1:].decode()] + [(fits + b"x")[1:].decode()] * 2
    assert len(found[0]) < wire.MAX_COMMAND == len(found[1])
    assert reader.ignored == 0


def test_nuls_and_ff_spoil_only_their_own_line():
    found, reader = read_all(b"\x00\x00\n!1 id\n!2 \xff id\n!3 id\n\xff\xff\xff\n")
    assert found == ["1 id", "3 id"]
    assert reader.ignored == 3


def test_its_own_output_coming_back_is_ignored():
    bench = rig.Bench()
    app = bench.app()
    bench.ticks(app, 5)
    bench.inbox.extend(bytes(bench.outbox))
    bench.outbox = bytearray()
    bench.ticks(app, 20)
    assert not bench.lines("r")
    assert app.reader.ignored > 5


def test_a_command_needs_a_numeric_id_and_a_verb():
    assert wire.split_command("7 set on_c 29") == (7, ["set", "on_c", "29"])
    for text in ("", "7", "x id", "-1 id", "1234567890 id", "id"):
        assert wire.split_command(text) is None, text


def lines_of(lengths):
    for length in lengths:
        line = wire.Line()
        line.start("log").text("text", "x" * length).end()
        yield line


def test_a_full_queue_refuses_a_line_whole_and_keeps_what_it_has():
    box = wire.Outbox(300)
    taken = [box.put(line) for line in lines_of((60, 60, 60, 60))]
    assert taken == [True, True, True, False]
    sent = bytearray()
    box.pump(lambda byte: sent.append(byte) or True, 10000)
    assert len(sent) == 3 * len(checked(next(lines_of((60,)))))
    assert box.used == 0


def test_the_queue_keeps_order_and_bytes_around_its_end():
    box = wire.Outbox(257)
    sent = bytearray()
    expected = b""
    for line in lines_of(range(150)):
        expected += bytes(line.buf[: line.length])
        assert box.put(line)
        box.pump(lambda byte: sent.append(byte) or True, 10000)
    assert bytes(sent) == expected


def test_the_queue_stops_when_the_port_says_no_and_loses_nothing():
    box = wire.Outbox(600)
    line = next(lines_of((60,)))
    box.put(line)
    sent = bytearray()
    box.pump(lambda byte: len(sent) < 7 and (sent.append(byte) or True), 10000)
    assert len(sent) == 7
    box.pump(lambda byte: sent.append(byte) or True, 10000)
    assert bytes(sent) == bytes(line.buf[: line.length])


def test_spare_room_is_kept_for_lines_that_matter_more():
    box = wire.Outbox(300)
    line = next(lines_of((60,)))
    assert not box.put(line, 250)
    assert box.put(line, 100)
