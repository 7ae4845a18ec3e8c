"""Each verb, what it does, and how it refuses."""

import rig


class Talk:
    """An app that has said its hello, and a host that types."""

    def __init__(self, **keywords):
        self.bench = rig.Bench(**keywords)
        self.app = self.bench.app()
        self.bench.ticks(self.app, 5)
        self.number = 0

    def ask(self, text, ticks=12):
        """The reply to a command under a new id."""
        self.number += 1
        return self.send("!%d %s" % (self.number, text), ticks)

    def send(self, line, ticks=12):
        """The replies to a raw line, the last one if there are several."""
        self.bench.outbox = bytearray()
        self.bench.say(line)
        self.bench.ticks(self.app, ticks)
        replies = self.bench.lines("r")
        return replies[-1] if replies else None


def ok(reply):
    return rig.field(reply, "ok") == "true"


def test_id_says_hello_again_with_units_and_settings():
    talk = Talk()
    assert ok(talk.ask("id"))
    for kind, count in (("hello", 1), ("units", 1), ("settings", 3)):
        assert len(talk.bench.lines(kind)) == count, kind


def test_every_line_of_hello_fits_and_names_the_boot():
    talk = Talk()
    talk.ask("id")
    for line in talk.bench.lines():
        assert len(line) < 256
    for kind in ("hello", "units", "settings"):
        assert rig.field(talk.bench.lines(kind)[0], "boot") == talk.app.board.boot


def test_get_answers_one_key_or_sends_them_all():
    talk = Talk()
    assert rig.field(talk.ask("get on_c"), "on_c") == "29.000"
    assert rig.field(talk.ask("get side"), "side") == "high"
    assert ok(talk.ask("get"))
    text = "".join(talk.bench.lines("settings"))
    for key in talk.app.values:
        assert '"%s":' % key in text, key
    assert "no setting colour" in talk.ask("get colour")


def test_set_takes_effect_at_once_and_is_told_as_an_event():
    talk = Talk()
    assert rig.field(talk.ask("set on_c 35.5"), "on_c") == "35.500"
    assert talk.app.thermostat.on_mc == 35500
    assert '"what":"set","key":"on_c"' in talk.bench.lines("e")[-1]


def test_set_refuses_with_a_reason_and_changes_nothing():
    talk = Talk()
    reply = talk.ask("set on_c 20")
    assert not ok(reply)
    assert "on_c 20.000 must be above off_c 28.000" in reply
    assert talk.app.values["on_c"] == 29000
    assert "29x is not a number" in talk.ask("set on_c 29x")
    assert "usage: set key value" in talk.ask("set on_c")


def test_set_of_the_sensor_changes_the_reading():
    talk = Talk()
    before = talk.app.sampler.temp_mc
    assert ok(talk.ask("set side low"))
    assert abs(talk.app.sampler.temp_mc - before) > 1000
    assert ok(talk.ask("set side high"))
    assert ok(talk.ask("set model sh"))
    assert abs(talk.app.sampler.temp_mc - before) < 500


def test_save_survives_a_restart_and_defaults_need_a_save_to_stay():
    talk = Talk()
    talk.ask("set on_c 33")
    assert ok(talk.ask("save"))
    assert '"what":"saved"' in talk.bench.lines("e")[-1]
    assert talk.bench.app().values["on_c"] == 33000
    assert ok(talk.ask("defaults"))
    assert talk.app.values["on_c"] == 29000
    assert talk.bench.app().values["on_c"] == 33000


def test_save_on_a_full_flash_says_so():
    talk = Talk()
    talk.bench.flash.full = True
    reply = talk.ask("save")
    assert not ok(reply)
    assert "could not be saved" in reply
    assert '"what":"save_failed"' in talk.bench.lines("e")[-1]


def test_fan_on_off_and_auto():
    talk = Talk()
    assert ok(talk.ask("fan on"))
    assert talk.app.thermostat.mode == "on"
    assert ok(talk.ask("fan auto", 60))
    assert talk.bench.fan == 0
    talk.bench.code = 2400
    assert ok(talk.ask("fan off 30", 200))
    assert talk.bench.fan == 0
    assert talk.app.thermostat.mode == "off"
    talk.bench.ticks(talk.app, 110)
    assert talk.bench.fan == 1
    assert talk.app.thermostat.mode == "auto"


def test_fan_off_needs_a_time_with_an_end():
    talk = Talk()
    for text in ("fan off", "fan off 0", "fan off 601", "fan off -5", "fan off x", "fan", "fan up"):
        assert not ok(talk.ask(text)), text
    assert talk.app.thermostat.mode == "auto"
    assert "seconds must be 1 to 600, not 601" in talk.ask("fan off 601")


def test_rate_sets_how_often_samples_come():
    talk = Talk()
    talk.ask("rate 1000")
    talk.bench.outbox = bytearray()
    talk.bench.ticks(talk.app, 100)
    assert len(talk.bench.lines("t")) == 10
    talk.ask("rate 100")
    talk.bench.outbox = bytearray()
    talk.bench.ticks(talk.app, 100)
    assert len(talk.bench.lines("t")) == 100
    assert not ok(talk.ask("rate 50"))


def test_sync_gives_back_the_token_and_the_time():
    talk = Talk()
    reply = talk.ask('sync ab"c')
    assert 'ab\\"c' in reply
    assert rig.field(reply, "up_s").endswith("00")


def test_faults_lists_what_is_wrong_with_its_evidence():
    talk = Talk()
    assert rig.field(talk.ask("faults"), "faults") == "[]"
    talk.bench.code = 3
    talk.bench.ticks(talk.app, 3)
    reply = talk.ask("faults")
    assert rig.field(reply, "faults") == '["open"]'
    line = talk.bench.lines("e")[-1]
    assert rig.field(line, "fault") == "open"
    assert rig.field(line, "sensor") == "adc0"
    assert int(rig.field(line, "value")) <= 4
    assert rig.field(line, "limit") == "40"


def test_clear_forgets_the_alarm_of_a_bad_settings_file():
    bench = rig.Bench()
    bench.flash.files["/settings.txt"] = b"garbage"
    app = bench.app()
    bench.ticks(app, 5)
    assert '"settings"' in bench.lines("t")[-1]
    bench.say("!1 clear")
    bench.ticks(app, 5)
    assert rig.field(bench.lines("t")[-1], "flags") == "[]"


def ends_with(text):
    talk = Talk()
    talk.bench.say("!9 " + text)
    try:
        talk.bench.ticks(talk.app, 20)
    except BaseException as end:
        return getattr(end, "cause", None), talk.bench
    return None, talk.bench


def test_reset_and_bootsel_reply_before_they_act():
    for text, cause in (("reset", "reset"), ("bootsel", "bootsel")):
        ended, bench = ends_with(text)
        assert ended == cause
        assert rig.field(bench.lines("r")[-1], "id") == "9"


def test_reset_happens_even_when_nobody_reads_the_reply():
    talk = Talk()
    talk.bench.room = 0
    talk.bench.say("!9 reset")
    try:
        talk.bench.ticks(talk.app, 20)
        raise AssertionError("no reset")
    except rig.fakes.Restart:
        pass


def test_help_lists_every_verb():
    talk = Talk()
    text = rig.field(talk.ask("help"), "verbs")
    assert text.split() == sorted(
        "id get set save defaults fan rate sync mults faults clear reset bootsel help cal".split()
    )


def test_an_unknown_verb_is_refused_by_name():
    reply = Talk().ask("dance")
    assert not ok(reply)
    assert "no verb dance" in reply


def test_the_same_id_and_text_twice_is_applied_once():
    talk = Talk()
    assert ok(talk.send("!5 fan on 100"))
    talk.bench.ticks(talk.app, 600)
    reply = talk.send("!5 fan on 100")
    assert ok(reply)
    assert rig.field(reply, "dup") == "true"
    talk.bench.ticks(talk.app, 420)  # the first hundred seconds are over, the second never began
    assert talk.app.thermostat.mode == "auto"
    assert "dup" not in talk.send("!6 fan on 100")


def test_a_refusal_that_is_sent_again_stays_a_refusal():
    talk = Talk()
    assert not ok(talk.send("!5 set on_c 20"))
    reply = talk.send("!5 set on_c 20")
    assert not ok(reply)
    assert "dup" in reply


def test_questions_are_answered_anew_each_time():
    talk = Talk()
    talk.send("!5 get on_c")
    talk.ask("set on_c 40")
    assert rig.field(talk.send("!5 get on_c"), "on_c") == "40.000"


def test_cal_offset_makes_the_reading_true():
    talk = Talk()
    assert ok(talk.ask("cal offset 25.000"))
    assert abs(talk.app.sampler.temp_mc - 25000) < 60
    assert not ok(talk.ask("cal offset 45"))  # more than 10 degrees away is another mistake


def test_rule_11_a_calibration_is_no_heat_that_the_fan_does_not_help_against():
    talk = Talk(code=2300)
    talk.bench.ticks(talk.app, 600)
    assert talk.bench.fan == 1
    assert ok(talk.ask("cal offset 35"))
    assert talk.app.sampler.temp_mc > 34000
    talk.bench.ticks(talk.app, 4000)
    assert talk.app.flags() == 0


def test_cal_r25_finds_the_part():
    talk = Talk(code=65520 * 10000 // 19610 // 16)
    assert talk.app.sampler.temp_mc > 25800
    assert ok(talk.ask("cal r25 25"))
    assert abs(talk.app.values["r25_ohm"] - 9610) < 20
    assert abs(talk.app.sampler.temp_mc - 25000) < 60


def test_cal_refuses_on_a_fault_a_wrong_law_or_nonsense():
    talk = Talk()
    assert "no R25" in talk.ask("cal r25 120")
    assert "is not a number" in talk.ask("cal offset warm")
    assert "usage: cal" in talk.ask("cal beta 25")
    talk.ask("set model sh")
    assert "usage: cal" in talk.ask("cal r25 25")
    talk.bench.code = 0
    talk.bench.ticks(talk.app, 2)
    assert "the sensor has a fault" in talk.ask("cal offset 25")


def test_a_command_of_more_than_80_characters_is_refused_under_its_id_and_not_obeyed():
    talk = Talk()
    assert ok(talk.send("!1 sync " + "x" * 72))
    for text in ("!2 sync " + "x" * 73, "!3 set on_c 35" + " " * 80, "!4 id" + " y" * 5000):
        reply = talk.send(text, 100)
        assert rig.field(reply, "id") == text[1]
        assert rig.field(reply, "err") == "a command has at most 80 characters"
    assert talk.app.values["on_c"] == 29000
    assert talk.send("x" * 300) is None
    assert talk.send("!" * 300) is None
    assert rig.field(talk.ask("id"), "ignored") == "2"


def test_lines_without_the_mark_are_counted_never_answered():
    talk = Talk()
    for line in ("AT+GCAP", "hello", '{"k":"t"}', "id", "! id", "!x id", "!1"):
        assert talk.send(line) is None, line
    assert rig.field(talk.ask("id"), "ignored") == "7"


def test_safe_mode_answers_questions_and_refuses_changes():
    bench = rig.Bench()
    bench.registers[0x40058014] = 0x1F10F10B
    bench.registers[0x40058010] = 3
    app = bench.app()
    for text, good in (("set on_c 33", False), ("fan off 5", False), ("get on_c", True)):
        bench.outbox = bytearray()
        bench.say("!1 " + text)
        bench.ticks(app, 8)
        assert ok(bench.lines("r")[-1]) == good, text
        assert ("safe mode" in bench.lines("r")[-1]) != good, text
