"""The multiplication count, to the digit."""

import mults
import rig

# L, h, d_model, d_head, n_ctx, d_ff, vocab -> page, script, exact, params
KNOWN = (
    ((12, 12, 768, 64, 1024, 3072, 50257), (278396928, 246215424, 142406400, 123532032)),
    (
        (96, 96, 12288, 128, 2048, 49152, 50257),
        (1770868703232, 408907886592, 179395571712, 174563733504),
    ),
    (
        (80, 64, 8192, 128, 8192, 28672, 128000),
        (740881858560, 409070469120, 70841794560, 60104376320),
    ),
)
FORMS = ("page", "script", "exact", "params")


def sizes_of(numbers):
    return {name: number for name, number in zip(mults.NAMES, numbers)}


def literal(L, h, d_model, d_head, n_ctx, d_ff, vocab):
    page = L * (
        h * (2 * d_model * d_head + n_ctx * d_head + d_model * d_model + n_ctx * d_model)
        + 2 * d_model * d_ff
    )
    script = (
        L * (h * (4 * d_model * d_head + n_ctx * d_head + n_ctx * d_model) + 2 * d_model * d_ff)
        + d_model * vocab
    )
    attention = 4 * d_model * h * d_head + 2 * n_ctx * h * d_head
    exact = L * (attention + 2 * d_model * d_ff) + d_model * vocab
    params = L * (h * 4 * d_model * d_head + 2 * d_ff * d_model) + d_model * vocab
    return page, script, exact, params


def test_published_models_count_to_the_digit():
    for numbers, expected in KNOWN:
        sizes = sizes_of(numbers)
        for form, total in zip(FORMS, expected):
            assert mults.count(form, sizes) == total, (form, mults.count(form, sizes))


def test_forms_equal_the_formulas_as_they_were_published_for_any_sizes():
    dice = 1
    for _ in range(200):
        numbers = []
        for _ in range(7):
            dice = (dice * 48271) % 2147483647
            numbers.append(dice % (1 << (1 + dice % 40)))
        sizes = sizes_of(numbers)
        assert tuple(mults.count(form, sizes) for form in FORMS) == literal(*numbers)


def test_counting_a_term_at_a_time_gives_the_same_totals():
    for numbers, expected in KNOWN:
        counter = mults.Counter(sizes_of(numbers))
        found = {}
        steps = 0
        while not counter.done:
            result = counter.step()
            steps += 1
            if result:
                found[result[0]] = result[1]
        assert tuple(found[form] for form in FORMS) == expected
        assert steps < 20


def test_the_board_counts_in_its_loop_and_reports_every_form():
    bench = rig.Bench()
    app = bench.app()
    for numbers, expected in KNOWN:
        bench.outbox = bytearray()
        bench.say("!5 mults " + " ".join(str(number) for number in numbers))
        bench.ticks(app, 10)
        lines = bench.lines("m")
        assert [rig.field(line, "form") for line in lines] == list(FORMS)
        totals = [
            int(rig.field(line, "params" if '"params":' in line else "mults")) for line in lines
        ]
        assert tuple(totals) == expected, totals


def test_without_a_vocabulary_there_is_no_head():
    bench = rig.Bench()
    app = bench.app()
    bench.say("!5 mults 12 12 768 64 1024 3072")
    bench.ticks(app, 10)
    assert int(rig.field(bench.lines("m")[2], "mults")) == 142406400 - 768 * 50257


def test_hyperparameters_that_are_no_whole_numbers_are_refused_by_name():
    bench = rig.Bench()
    app = bench.app()
    bench.say("!5 mults 12 12 768 6.4 1024 3072")
    bench.ticks(app, 5)
    assert "d_head must be a whole number, not 6.4" in bench.lines("r")[-1]
    bench.say("!6 mults 12 12 768")
    bench.ticks(app, 5)
    assert "usage: mults" in bench.lines("r")[-1]
    assert not bench.lines("m")


def test_a_second_count_waits_for_the_first():
    bench = rig.Bench()
    app = bench.app()
    bench.say("!5 mults 1 1 1 1 1 1")
    bench.say("!6 mults 1 1 1 1 1 1")
    bench.ticks(app, 5)
    assert "still counting" in bench.lines("r")[-1]
