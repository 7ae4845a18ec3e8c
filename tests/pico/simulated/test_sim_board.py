"""The simulated board behaves as the real one does: warms, cools, restarts, obeys, forgets."""

from __future__ import annotations

import threading

import pytest
from kit.simulated_board import SteppedBoard, bad, board, events, hellos, replies, samples
from thermoflop.errors import BoardError
from thermoflop.pico.simulated import fakes
from thermoflop.pico.simulated.options import parse_options


def test_it_introduces_itself_and_then_samples_five_times_a_second() -> None:
    with board() as pico:
        lines = pico.run(10.0)
    assert hellos(lines)[0].uid == pico.options.uid_hex
    taken = samples(lines)
    assert [s.seq for s in taken] == list(range(len(taken)))
    assert len(taken) == pytest.approx(50, abs=2)
    assert not bad(lines)


def test_the_same_options_give_the_same_bytes() -> None:
    words = {
        "seed": "5",
        "heat": "2 30W, 9 0W",
        "finger": "20:5",
        "fault": "corrupt=0.05,tear=0.05",
    }
    runs = []
    for _ in range(2):
        with board(**words) as pico:
            runs.append((pico.run(60.0), pico.truth.to_json()))
    assert runs[0] == runs[1]
    assert runs[0][1]["lines_corrupted"] > 0


def test_another_seed_gives_other_bytes() -> None:
    with board(seed="1") as one, board(seed="2") as two:
        assert one.run(5.0) != two.run(5.0)


def test_running_in_pieces_is_running_at_once() -> None:
    with board(heat="2 30W") as whole, board(heat="2 30W") as pieces:
        assert whole.run(20.0) == [line for _ in range(40) for line in pieces.run(0.5)]


def test_heat_starts_the_fan_and_the_fan_stops_when_it_is_over() -> None:
    with board(heat="6 30W, 16 0W") as pico:
        seen = [
            (e.detail["fan"], e.detail["reason"]) for e in events(pico.run(40.0)) if e.ev == "fan"
        ]
    assert seen == [(0, "off_c"), (1, "on_c"), (0, "off_c")]


def test_a_finger_starts_the_fan() -> None:
    with board(finger="12:10") as pico:
        lines = pico.run(40.0)
    assert max(s.temp_c or 0 for s in samples(lines)) > 29
    fan = [e for e in events(lines) if e.ev == "fan"]
    assert [e.detail["reason"] for e in fan] == ["on_c", "off_c"]  # nothing before the finger
    assert 29.0 <= fan[0].detail["temp_c"] < 30.0  # and no minimum time off delays it


@pytest.mark.parametrize(
    ("kind", "flag"),
    [("open", "open"), ("short", "short"), ("frozen", "frozen"), ("drift", "range")],
)
def test_a_broken_sensor_is_noticed_and_cooled(kind: str, flag: str) -> None:
    value = "=5" if kind == "drift" else ""
    with board(fault=f"{kind}@8:90{value}") as pico:
        taken = samples(pico.run(95.0))
    assert not any(s.flags for s in taken if s.up_s < 8)
    assert flag in taken[-1].flags
    assert taken[-1].fan == 1


def test_every_fault_is_over_when_it_ends() -> None:
    with board(fault="open@8:5") as pico:
        taken = samples(pico.run(40.0))
    assert taken[-1].flags == ()
    assert taken[-1].temp_c == pytest.approx(24.0, abs=0.2)


def test_commands_are_obeyed() -> None:
    with board() as pico:
        pico.type(b"!7 set on_c 31\n!8 get on_c\n!9 set on_c 5\n")
        answers = replies(pico.run(2.0))
    assert [a.ok for a in answers] == [True, True, False]
    assert answers[1].detail["on_c"] == 31.0


@pytest.mark.parametrize("cause", ["power", "reset", "watchdog"])
def test_a_restart_is_told_by_its_cause(cause: str) -> None:
    with board(fault=f"reboot@5={cause}") as pico:
        first, second = hellos(pico.run(10.0))
    assert second.reset == cause
    assert second.boot != first.boot
    assert pico.truth.reboots == {cause: 1}


def test_saved_settings_survive_a_restart_and_others_do_not() -> None:
    with board(fault="reboot@5,reboot@15") as pico:
        pico.type(b"!1 set on_c 33\n!2 save\n!3 set off_c 20\n")
        pico.run(10.0)
        pico.type(b"!4 get on_c\n!5 get off_c\n")
        answers = {a.id: a.detail for a in replies(pico.run(3.0))}
    assert answers[4]["on_c"] == 33.0
    assert answers[5]["off_c"] == 28.0


def test_the_reset_command_restarts_it() -> None:
    with board() as pico:
        pico.type(b"!1 reset\n")
        assert [h.reset for h in hellos(pico.run(5.0))] == ["power", "reset"]


def test_the_fan_pin_is_on_while_the_chip_is_in_reset() -> None:
    with board(fault="reboot@12=reset") as pico:
        pico.run(11.0)
        assert not pico.world.fan_runs
        pico.run(1.1)
        assert pico.world.fan_runs


def test_ctrl_c_leaves_a_prompt_with_the_fan_on_that_stays() -> None:
    with board() as pico:
        pico.run(10.0)
        assert pico.world.fan == 0
        pico.type(b"\x03")
        pico.run(1.0)
        assert pico.world.fan == 1
        assert pico.run(60.0) == []  # no watchdog, no telemetry
        pico.type(b"hello\r\n\x04")
        assert hellos(pico.run(2.0))
        assert pico.truth.reboots == {"soft": 1}


def test_bootsel_takes_the_board_away() -> None:
    with board() as pico:
        pico.type(b"!1 bootsel\n")
        pico.run(10.0)
        assert pico.wait(5.0)
        assert pico.run(10.0) == []


def test_an_echo_is_counted_by_the_firmware_and_never_answered() -> None:
    with board(fault="echo@2:5") as pico:
        lines = pico.run(30.0)
        assert not replies(lines)
        pico.type(b"!1 id\n")
        answer = replies(pico.run(1.0))[0]
    assert answer.detail["ignored"] == pico.truth.lines_echoed > 10


def test_a_stalled_host_costs_samples_that_the_board_counts_and_no_cooling() -> None:
    with board(heat="12 30W", fault="stall@10:30") as pico:
        lines = pico.run(60.0)
        assert pico.world.fan == 1
    taken = samples(lines)
    assert taken[-1].drops > 50
    assert taken[-1].drops == pico.truth.drops_told == pico.truth.samples_missing
    fan_on_s = next(e.up_s for e in events(lines) if e.detail.get("reason") == "on_c")
    assert fan_on_s < 20


def test_the_clock_error_is_the_one_that_was_asked_for() -> None:
    with board(fault="ppm=2000") as pico:
        last = samples(pico.run(100.0))[-1]
        assert pico.world.now_ms / 1000 / pico.world.now_s == pytest.approx(1.002, abs=2e-6)
    assert last.up_s == pytest.approx(100.2, abs=0.3)


def test_uptime_has_passed_when_the_port_opens() -> None:
    with board(uptime="59") as pico:
        lines = pico.run(3.0)
    assert samples(lines)[0].up_s == pytest.approx(59.0, abs=0.3)
    assert hellos(lines)[0].up_s == pytest.approx(60.0, abs=0.1)
    assert samples(lines)[0].fan == 0


def test_a_board_ends_when_its_time_is_over() -> None:
    options = parse_options([("heat", "off"), ("speed", "max")])
    pico = SteppedBoard(options, until_s=5.0)
    lines = pico.run(100.0)
    assert samples(lines)[-1].up_s == pytest.approx(4.9, abs=0.3)
    assert not pico.is_alive


def test_a_firmware_that_does_not_even_start_leaves_its_error() -> None:
    pico = SteppedBoard(sources={"main": "import nothing_like_it\n"})
    lines = pico.run(1.0)
    assert b"nothing_like_it" in lines[0]
    assert "nothing_like_it" in (pico.firmware_error or "")
    pico.stop()


def test_a_firmware_that_crashes_speaks_resets_and_ends_in_safe_mode() -> None:
    from thermoflop.pico.simulated.board import firmware_sources

    sources = dict(firmware_sources())
    marker = "    def send_sample(self):\n"
    assert marker in sources["app"]
    sources["app"] = sources["app"].replace(
        marker, marker + "        if not self.safe_mode:\n            raise ValueError('boom')\n"
    )
    pico = SteppedBoard(parse_options([("heat", "off")]), sources=sources)
    lines = pico.run(20.0)
    assert b"boom" in b"".join(lines)
    assert samples(lines)[-1].mode == "safe"
    assert hellos(lines)[-1].safe == 1
    assert pico.truth.reboots == {"reset": 3}
    pico.stop()


def test_many_boards_live_in_one_process_without_meeting() -> None:
    results: dict[int, list[bytes]] = {}

    def live(seed: int) -> None:
        with board(seed=str(seed), heat="2 30W") as pico:
            results[seed] = pico.run(20.0)

    threads = [threading.Thread(target=live, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, lines in results.items():
        with board(seed=str(seed), heat="2 30W") as pico:
            assert pico.run(20.0) == lines


def test_stopping_twice_or_before_the_start_is_harmless() -> None:
    pico = SteppedBoard()
    pico.stop()
    pico.stop()
    assert pico.run(1.0) == []
    with pytest.raises(BoardError):
        pico.type(b"!1 id\n")


def test_a_heat_that_fails_before_the_port_opens_ends_the_board_instead_of_hanging() -> None:
    class Broken:
        def watts(self, now_s: float) -> float:
            raise fakes.Stop

    pico = SteppedBoard(parse_options([("uptime", "5")]), heat=Broken())
    pico.start()
    assert pico.wait(10.0)
    assert not pico.is_alive
