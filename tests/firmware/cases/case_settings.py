"""Settings: limits, file format, and power cuts."""

import fakes
import rig
import settings


def test_defaults_pass_their_own_check():
    settings.check(settings.defaults())


def test_defaults_are_on_at_29_and_off_at_28():
    values = settings.defaults()
    assert values["on_c"] == 29000
    assert values["off_c"] == 28000
    assert values["rate_ms"] == 200


def test_decimals_are_read_in_integers():
    for text, milli in (
        ("29", 29000),
        ("29.5", 29500),
        ("-0.125", -125),
        (".5", 500),
        ("7.", 7000),
    ):
        assert settings.parse_milli(text) == milli, text


def test_what_is_no_number_is_refused():
    for text in (
        "",
        "-",
        "1.2345",
        "1e3",
        "--1",
        "1-",
        "nan",
        "0x1",
        "12345678",
        "1.2.3",
        " 1",
        ".",
    ):
        assert "is not a number" in rig.refuses(settings.parse_milli, text), text
    for text in ("", "-", "1.0", "9999999999", "x"):
        assert "is not a whole number" in rig.refuses(settings.parse_int, text), text


def test_every_key_refuses_what_lies_outside_its_limits_and_says_which():
    for key, kind, default, low, high, _ in settings.SPEC:
        if kind == "word":
            assert key + " must be" in rig.refuses(settings.parse, key, "maybe")
            continue
        for text in (settings.show(key, low - 1), settings.show(key, high + 1)):
            message = rig.refuses(settings.parse, key, text)
            assert key in message and text in message, message
        assert settings.parse(key, settings.show(key, low)) == low
        assert settings.parse(key, settings.show(key, high)) == high
        assert settings.parse(key, settings.show(key, default)) == default


def test_on_c_below_off_c_is_refused_with_both_values():
    message = rig.refuses(settings.changed, settings.defaults(), "on_c", "27")
    assert message == "on_c 27.000 must be above off_c 28.000"
    assert "t_max_c" in rig.refuses(settings.changed, settings.defaults(), "on_c", "60")


def test_three_points_that_bend_the_curve_back_are_refused():
    # one slip each in the default's points: the curve has a summit, heat beyond it reads as cold
    for key, value in (("r2_ohm", 30000), ("r1_ohm", 10001), ("r3_ohm", 9000), ("t2_c", 65000)):
        values = settings.defaults()
        values[key] = value
        settings.check(values)  # three points that no law uses do no harm
        message = rig.refuses(settings.changed, values, "model", "sh")
        assert "three points" in message
        values["model"] = 1
        rig.refuses(settings.decode, settings.encode(values))


def test_a_rate_must_fit_the_tick():
    assert "multiple of 100" in rig.refuses(settings.changed, settings.defaults(), "rate_ms", "250")


def test_an_unknown_key_is_refused_by_name():
    assert "no setting colour" in rig.refuses(settings.changed, settings.defaults(), "colour", "1")


def test_a_refused_change_changes_nothing():
    values = settings.defaults()
    rig.refuses(settings.changed, values, "on_c", "27")
    assert values == settings.defaults()


def without(key, values):
    """The bytes of a settings file from before this key was there."""
    lines = settings.encode(values).decode().split("\n")[:-2]
    body = "".join(line + "\n" for line in lines if not line.startswith(key + " ")).encode()
    return body + settings.crc_line(body, len(body))


def test_a_file_without_t_min_c_loads_and_its_fan_may_still_stop():
    assert settings.decode(without("t_min_c", settings.defaults())) == settings.defaults()
    for off_c, t_min_c in ((28000, 0), (10000, 0), (5000, -5000), (-5000, -15000)):
        values = dict(settings.defaults(), off_c=off_c, t_min_c=-40000)
        assert settings.decode(without("t_min_c", values))["t_min_c"] == t_min_c
    coldest = dict(settings.defaults(), off_c=-25000, on_c=-20000, t_min_c=-40000)
    settings.check(settings.decode(without("t_min_c", coldest)))


def test_a_fan_that_could_never_stop_for_cold_is_refused():
    message = rig.refuses(settings.changed, settings.defaults(), "off_c", "-5")
    assert message == "off_c -5.000 must be above t_min_c 0.000"
    assert "off_c" in rig.refuses(settings.changed, settings.defaults(), "t_min_c", "28")


def test_a_file_carries_every_value_there_and_back():
    values = settings.defaults()
    for key, text in (("on_c", "35.125"), ("side", "low"), ("model", "sh"), ("offset_c", "-1.5")):
        values = settings.changed(values, key, text)
    assert settings.decode(settings.encode(values)) == values


def test_a_file_with_a_bit_flipped_anywhere_is_refused():
    data = settings.encode(settings.defaults())
    for at in range(len(data)):
        bad = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        rig.refuses(settings.decode, bad)


def test_a_file_cut_at_any_byte_is_refused():
    data = settings.encode(settings.defaults())
    for length in range(len(data)):
        rig.refuses(settings.decode, data[:length])


def test_a_sound_file_with_senseless_values_is_refused():
    for body in (b"on_c 27.000\n", b"colour 1\n", b"on_c\n", b"on_c 1 2\n", b"\xff\xfe\n"):
        rig.refuses(settings.decode, body + settings.crc_line(body, len(body)))


def stored(world):
    """A board object over this world, for its files."""
    return rig.fresh(world)("board").Board()


def test_rule_10_a_bad_file_leads_to_defaults_and_is_kept_aside():
    for garbage in (b"", b"garbage", b"\x00" * 300, b"on_c 30.000\n", bytes(range(256))):
        world = rig.Bench()
        world.flash.files["/settings.txt"] = garbage
        values, problem = settings.load(stored(world))
        assert values == settings.defaults()
        assert problem
        assert world.flash.files["/settings.bad"] == garbage
        assert "/settings.txt" not in world.flash.files
        values, problem = settings.load(stored(world))  # the next start
        assert values == settings.defaults()
        assert "nothing was saved" in problem


def test_rule_10_a_huge_file_is_a_bad_one_and_does_not_fill_the_memory():
    world = rig.Bench()
    world.flash.files["/settings.txt"] = bytes(100000)
    board = stored(world)
    assert len(board.read("settings.txt")) <= 4096
    assert settings.load(board)[1]


def test_no_file_is_no_problem():
    assert settings.load(stored(rig.Bench())) == (settings.defaults(), None)


def cut_at(step, tears):
    """Save over an older file with the power cut after so many bytes and steps."""
    world = rig.Bench()
    old = settings.changed(settings.defaults(), "on_c", "31")
    new = settings.changed(settings.defaults(), "on_c", "33")
    files = stored(world)
    settings.save(files, old)
    world.flash.tears = tears
    world.flash.cut_after = step
    try:
        settings.save(files, new)
        done = True
    except fakes.PowerCut:
        done = False
    world.flash.cut_after = None
    return settings.load(files), old, new, done


def test_rule_10_a_save_cut_at_any_byte_leaves_the_old_settings_or_the_new_ones():
    for tears in (False, True):
        step = 0
        done = False
        while not done:
            (values, problem), old, new, done = cut_at(step, tears)
            assert problem is None, (step, problem)
            assert values == (new if done else old), step
            step += 1
        assert step > len(settings.encode(settings.defaults()))


def test_rule_10_a_full_flash_fails_the_save_and_keeps_the_old_settings():
    world = rig.Bench()
    files = stored(world)
    old = settings.changed(settings.defaults(), "on_c", "31")
    settings.save(files, old)
    world.flash.full = True
    try:
        settings.save(files, settings.defaults())
        raise AssertionError("saved on a full flash")
    except OSError:
        pass
    assert settings.load(files) == (old, None)


def test_rule_10_a_flash_that_does_not_read_back_fails_the_save():
    world = rig.Bench()
    files = stored(world)
    settings.save(files, settings.defaults())

    class Forgetful:
        read = files.read
        rename = files.rename

        def write(self, name, data):
            files.write(name, data[:-1])

    try:
        settings.save(Forgetful(), settings.changed(settings.defaults(), "on_c", "31"))
        raise AssertionError("a short file was taken")
    except OSError:
        pass
    assert settings.load(files) == (settings.defaults(), None)
