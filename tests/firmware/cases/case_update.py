"""A new firmware lies in /next, whole and verified; main.py puts it in place, whatever happens."""

import fakes
import rig

OLD = ("main.py", "board.py", "app.py", "settings.txt", "gone.py")
NEW = ("main.py", "board.py", "app.py", "faults.py")


def staged():
    """A flash with an old firmware at its root and a new one in /next."""
    bench = rig.Bench()
    for name in OLD:
        bench.flash.files["/" + name] = b"old " + name.encode()
    bench.flash.folders.add("/next")
    for name in NEW:
        bench.flash.files["/next/" + name] = b"new " + name.encode()
    return bench


def finished(bench):
    """True when the root is all new and nothing is left over."""
    files = bench.flash.files
    return "/next" not in bench.flash.folders and all(
        files.get("/" + name) == b"new " + name.encode() for name in NEW
    )


def test_without_a_new_firmware_nothing_is_touched():
    bench = rig.Bench()
    bench.flash.files["/main.py"] = b"old"
    assert not bench.power_on()("main").finish_update()
    assert bench.flash.files == {"/main.py": b"old"}


def test_a_half_copied_firmware_is_not_taken():
    bench = staged()
    bench.flash.rename("/next", "/next.part")
    assert not bench.power_on()("main").finish_update()
    assert bench.flash.files["/main.py"] == b"old main.py"


def test_the_new_firmware_moves_in_and_settings_stay():
    bench = staged()
    assert bench.power_on()("main").finish_update()
    assert finished(bench)
    assert bench.flash.files["/settings.txt"] == b"old settings.txt"


def test_a_power_cut_at_any_step_is_finished_by_the_next_start():
    steps = 0
    while True:
        bench = staged()
        bench.flash.cut_after = steps
        try:
            bench.power_on()("main").finish_update()
            break
        except fakes.PowerCut:
            bench.flash.cut_after = None
        # main.py is the first to move: from then on the new one is there to finish the rest
        moved = [name for name in NEW if "/next/" + name not in bench.flash.files]
        assert not moved or moved[0] == "main.py"
        assert bench.power_on()("main").finish_update()
        assert finished(bench), steps
        steps += 1
    assert steps >= len(NEW)


def test_an_update_ends_in_a_reset_with_the_fan_on_all_along():
    bench = staged()
    assert bench.boot(1000) == "reset"
    assert bench.writes == [(0, 1)]
    assert finished(bench)
