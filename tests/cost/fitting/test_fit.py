"""Fits give back what rows were made with, and their intervals are Student's."""

from __future__ import annotations

import numpy as np
import pytest
from thermoflop.cost.data import published
from thermoflop.cost.fitting.crossval import (
    Measured,
    Residuals,
    ends_of,
    folds_of,
    quantiles,
    student,
    trainers_of,
    unseen_quantiles,
)
from thermoflop.cost.fitting.design_matrix import DesignMatrix, shares_of
from thermoflop.cost.fitting.regression import (
    HUBER,
    START,
    Problem,
    fit,
    fits_without,
    logs_of,
    solve,
    start,
)
from thermoflop.cost.fitting.rows import matrix_of
from thermoflop.cost.fitting.together import LeftOut, name_of
from thermoflop.cost.fitting.waiting import _fit
from thermoflop.cost.inference.steady import UNMEASURED, WAITING
from thermoflop.cost.published.row import Row, rows_of
from thermoflop.cost.published.serving import serving_row
from thermoflop.cost.roofline.formula import PARAMETERS, TERMS


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Every twentieth published row."""
    return [row for row in rows_of(published("times"), serving_row)[0] if row.expected][::20]


def truth() -> np.ndarray:
    """The points where fits start, with products and weights 20 % better, gaps twice as long."""
    points = start()
    for name, factor in (("matmul", 1.2), ("weights", 1.2), ("kernel_gap_s", 2.0)):
        points[PARAMETERS.index(name)] += np.log(factor)
    return points


def test_a_fit_starts_at_the_values_that_are_stated() -> None:
    stated = [START[name][0] for name in PARAMETERS]
    assert np.exp(logs_of(start())[0]) == pytest.approx(stated)


def test_the_slopes_of_the_logarithms_are_their_derivatives() -> None:
    points, small = start(), 1e-6
    logs, slopes = logs_of(points)
    assert (logs_of(points + small)[0] - logs) / small == pytest.approx(slopes, rel=1e-4)


def test_a_fit_gives_back_the_seconds_that_rows_were_made_with(rows: list[Row]) -> None:
    """Rows timed by other rates than the start's, which is 20 % off: within a percent."""
    matrix = matrix_of(rows)
    logs = np.tile(logs_of(truth())[0], (len(rows), 1))
    made_s = matrix.seconds(logs)[0]
    found = fit(matrix, made_s, [()] * len(rows), start())
    fitted_s = matrix.seconds(found.logs([()] * len(rows)))[0]
    assert np.median(np.abs(np.log(fitted_s / made_s))) < 0.01
    assert np.max(np.abs(np.log(fitted_s / made_s))) < 0.05


def test_the_longer_of_two_times_counts_or_is_rounded_by_a_power() -> None:
    """(3^2 + 4^2)^(1/2) = 5, of which 9/25 move with the 3 and 16/25 with the 4."""
    one, other = np.array([3.0, 4.0, 2.0, 0.0]), np.array([4.0, 3.0, 0.0, 0.0])
    sharp = shares_of(one, other, None)
    assert [list(shares) for shares in sharp] == [[0, 1, 1, 1], [1, 0, 0, 0]]
    rounded = shares_of(one, other, 2.0)
    assert one * rounded[0] == pytest.approx([5 * 9 / 25, 5 * 16 / 25, 2, 0])
    assert other * rounded[1] == pytest.approx([5 * 16 / 25, 5 * 9 / 25, 0, 0])


def test_a_rounded_roofline_has_the_slopes_of_its_seconds(rows: list[Row]) -> None:
    """By differences, and above the sharp one."""
    matrix, small = matrix_of(rows), 1e-6
    logs = np.tile(logs_of(start())[0], (len(rows), 1))
    rounded = matrix.rounded(4.0)
    seconds, slopes = rounded.seconds(logs)
    assert (seconds >= matrix.seconds(logs)[0] * (1 - 1e-12)).all()
    assert seconds.sum() > 1.001 * matrix.seconds(logs)[0].sum()
    for place in range(len(PARAMETERS)):
        moved = logs.copy()
        moved[:, place] += small
        assert np.log(rounded.seconds(moved)[0] / seconds) / small == pytest.approx(
            slopes[:, place], abs=1e-4
        )


def test_one_wrong_row_moves_a_fit_little(rows: list[Row]) -> None:
    """Huber 1964: its pull is bounded, however wrong it is."""
    matrix, none = matrix_of(rows), [()] * len(rows)
    made_s = matrix.seconds(np.tile(logs_of(truth())[0], (len(rows), 1)))[0]
    wrong_s = made_s.copy()
    wrong_s[3] *= 50
    fitted_s = matrix.seconds(fit(matrix, wrong_s, none, start()).logs(none))[0]
    assert np.median(np.abs(np.log(fitted_s / made_s))) < 0.01


def test_what_a_group_shows_moves_the_group_alone(rows: list[Row]) -> None:
    """Half of the rows on a device that takes 1.3 times as long."""
    matrix = matrix_of(rows)
    groups = [("device:slow",) if place % 2 else () for place in range(len(rows))]
    made_s = matrix.seconds(np.tile(logs_of(start())[0], (len(rows), 1)))[0]
    slower_s = np.where([bool(group) for group in groups], 1.3, 1.0) * made_s
    found = fit(matrix, slower_s, groups, start())
    fitted_s = matrix.seconds(found.logs(groups))[0]
    assert np.median(np.abs(np.log(fitted_s / slower_s))) < 0.06
    offsets = found.group_offsets["device:slow"]
    assert offsets["matmul"] < 0
    assert offsets["weights"] < 0


def test_a_fit_without_a_part_is_one_to_first_order(rows: list[Row]) -> None:
    """Giordano et al. 2019: it predicts what the fit does that has not seen the rows. A parameter
    that no row says much of may differ."""
    matrix, none = matrix_of(rows), [()] * len(rows)
    noise = np.exp(0.03 * np.random.default_rng(5).standard_normal(len(rows)))
    made_s = noise * matrix.seconds(np.tile(logs_of(truth())[0], (len(rows), 1)))[0]
    whole = fit(matrix, made_s, none, start())
    part = np.arange(0, 12)
    kept = np.arange(12, len(rows))
    (near,) = fits_without(whole, matrix, made_s, none, start(), 1.0, [part])
    exact = fit(matrix.pick(kept), made_s[kept], none[12:], start())
    seen, moved_to, guessed_at = (
        np.log(matrix.seconds(each.logs(none))[0]) for each in (whole, exact, near)
    )
    moved, guessed = moved_to - seen, guessed_at - seen
    assert np.linalg.norm(guessed - moved) < 0.3 * np.linalg.norm(moved)


@pytest.mark.parametrize(("rows", "like"), [((4, 4, 4), 3), ((9, 1), 1.6), ((16, 1, 1), 2)])
def test_a_trainer_that_no_fit_has_seen_errs_as_those_left_out_and_by_as_much_again(rows, like):
    """Rows of a trainer weigh its root together: of 9 and 1 as (3 + 1)^2 / 10 alike."""
    group = np.repeat(np.arange(len(rows)), rows)
    half = 0.2 * student(like) * (1 + 1 / like) ** 0.5
    assert unseen_quantiles(0.2 * (-1.0) ** group, group) == pytest.approx((-half, half))


def test_kinds_of_models_are_one_trainers():
    assert list(trainers_of(np.array(["b/experts", "a", "b/dense", "b"]))) == [1, 0, 1, 1]


@pytest.mark.parametrize(
    ("groups", "quantile"), [(3, 1.6377), (5, 1.4759), (10, 1.3722), (31, 1.3095)]
)
def test_few_groups_widen_an_interval_as_students_quantile_does(
    groups: int, quantile: float
) -> None:
    """Student's t at 90 % for as many degrees of freedom, from its tables: none of them is spent on
    a mean."""
    # of three terms of the series: what the fourth would add is a tenth of the third at most
    assert student(groups) == pytest.approx(quantile / 1.28155, rel=0.001)


def test_the_interval_of_a_group_is_as_wide_below_as_above_and_holds_eight_tenths_by_weight() -> (
    None
):
    """Ten groups missed by 0 to 0.9 lie in the middles of ten tenths: 8 of 10 is halfway between
    the eighth, at 7.5, and the ninth. Where the last has four rows, each weighs a half, so that
    they are 2 of 11: 8.8 is 0.3 of 0.75 of the way from 0.8, at 8.5, to the first of them."""
    logs = np.arange(10) / 10 * np.where(np.arange(10) % 2, 1, -1)
    half = 0.75 * student(10)
    assert quantiles(logs, np.arange(10)) == pytest.approx((-half, half))
    more, half = np.concatenate([logs, [0.9] * 3]), (0.8 + 0.1 * 0.3 / 0.75) * student(10)
    found = quantiles(more, np.array([*range(10), 9, 9, 9]))
    assert found == pytest.approx((-half, half))


def test_a_phase_speaks_for_itself_from_ten_rows_of_two_groups_on() -> None:
    """A run is its tokens: what either missed tells of both."""
    logs = np.concatenate([np.full(10, 0.5), np.full(10, -0.1)])
    group = np.arange(20) % 4
    phase = np.array(["token", "total"] * 5 + ["prefill"] * 10)
    for name in ("token", "total"):
        found = ends_of(Residuals(logs, group, phase), name)
        assert found == pytest.approx((-0.5 * student(4), 0.5 * student(4)))
    prompts = ends_of(Residuals(logs, group, phase), "prefill")
    assert prompts == pytest.approx((-0.1 * student(4), 0.1 * student(4)))
    few = Residuals(logs, group, np.array(["token"] * 11 + ["prefill"] * 9))
    assert ends_of(few, "prefill") == quantiles(logs, group)
    assert ends_of(Residuals(logs[:9], group[:9], phase[:9]), "token") is None
    assert ends_of(Residuals(logs, np.zeros(20), phase), "token") is None


def test_a_fold_is_all_rows_of_one_model_or_device_or_of_the_engine(rows: list[Row]) -> None:
    measured = Measured(rows)
    engine = max(set(measured.engine), key=lambda name: len(measured.rows(name)))
    mine = measured.rows(engine)
    for by, key in (("model", measured.model), ("device", measured.device)):
        folds = folds_of(measured, engine, by)
        assert len(folds) == len(set(key[mine])) > 1
        assert all(len(set(key[fold])) == 1 for fold in folds)
        assert sorted(np.concatenate(folds)) == list(mine)
    (whole,) = folds_of(measured, engine, "engine")
    assert list(whole) == list(mine)


def test_what_clients_wait_for_stays_at_what_was_known_where_that_explains_it():
    """The held steps come on top: 20 of 10 ms beside the sum of the unmeasured parts."""
    parts = np.array([[1.0, 900.0, 0.05, 0.01, 0.1], [1.0, 7000.0, 0.3, 0.02, 1.0]])
    held = np.array([0.2, 0.0])
    seconds = parts @ np.array(UNMEASURED) + held
    found = _fit(parts, seconds, held)
    assert [found[name] for name in WAITING] == pytest.approx(UNMEASURED, abs=1e-8)
    assert _fit(parts, seconds + 0.1, held)["request_s"] > UNMEASURED[0]


def test_a_group_starts_at_what_is_known_of_it_and_leaves_it_for_rows():
    """Times of a product are W / e: a group whose e is known to be half as good, and is not."""
    matrix = DesignMatrix(1)
    matrix.columns = np.zeros((len(TERMS), 1))
    place = next(n for n, term in enumerate(TERMS) if term.parameter == "matmul")
    matrix.columns[place, 0], matrix.owner = 1.0, np.array([0])
    matrix.step_row, matrix.hosted = np.array([0]), np.zeros(1)
    matrix.behind = matrix.waited = np.zeros(1, bool)
    known = {"family:4": {"matmul": -0.5}}
    slow, fast = (
        fit(matrix, np.array([seconds]), [("family:4",)], start(), 0.01,
            offsets={"family:4": {"matmul": 0.2}}, means=known).group_offsets["family:4"]["matmul"]
        for seconds in (4.0, 1.5)
    )  # fmt: skip
    assert slow < -0.3
    assert slow < fast


def test_an_engines_own_models_say_most_of_its_intervals():
    """vLLM's steps are missed by up to 10 %, SGLang's by up to 50 %, evenly: the interval of each
    lies nearer to its own, which alone would end at 0.08 and 0.4 besides what a new model adds."""
    width = {"vllm": 0.1, "sglang": 0.5}
    every = [row for row in rows_of(published("serving_2026"), serving_row)[0] if row.expected]
    rows = [row for row in every if name_of(row) in width and row.phase == "token"][::20]
    off = np.array([width[name_of(row)] for row in rows]) * np.linspace(-1, 1, len(rows))
    off[1::2] *= -1  # as far apart for every model
    left = LeftOut(rows, np.array([row.measured_s for row in rows]) / np.exp(off))
    groups = len({(name_of(row), row.question.model.params) for row in rows})
    near, far = (left.intervals(name)["all"] for name in width)
    grown = np.sqrt(1 + 1 / groups)
    assert 0.08 * grown < np.log(near.high) < np.log(far.high) < 0.4 * grown
    assert 0.08 * grown < -np.log(near.low) < -np.log(far.low) < 0.45 * grown


def test_a_model_weighs_in_the_intervals_as_in_the_fit() -> None:
    """Many rows that are 20 % slow, few that are fast, each by the -1/4th power of their number: 1
    of 1 + 81^(3/4) is less than the tenth that lies below, 7^(3/4) of 4.3 + 27 more (alike both are
    halves, by rows 1 and 8 %)."""
    of_model: dict[int, list[Row]] = {}
    for row in rows_of(published("serving_2026"), serving_row)[0]:
        if name_of(row) == "vllm" and row.phase == "token":
            of_model.setdefault(row.question.model.params, []).append(row)
    few, many = sorted(of_model.values(), key=len)[-2:]
    lows = []
    for slow, fast in ((81, 1), (81, 7)):
        chosen = [*many[:slow], *few[:fast]]
        off = np.repeat([0.2, -0.2], (slow, fast))
        left = LeftOut(chosen, np.array([row.measured_s for row in chosen]) / np.exp(off))
        lows.append(left.intervals("vllm")["all"].low)
    assert lows == [1.0, pytest.approx(np.exp(-0.2 * np.sqrt(1 + 1 / 2)), abs=1e-4)]


class _Sum:
    """Two parts that each take a size through a rate: seconds, and their logarithm's slopes."""

    sizes = np.array([[2.0, 1.0], [0.5, 4.0], [3.0, 3.0]])

    def seconds(self, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = self.sizes * np.exp(-logs)
        return parts.sum(axis=1), -parts / parts.sum(axis=1)[:, None]


def test_the_slope_of_a_posterior_is_that_of_its_value_for_weighted_rows_near_and_far() -> None:
    """d(cost)/d(unknown) = -2 J'r, by differences; the second row is far out, and weighs twice."""
    problem = Problem(
        _Sum(),
        target=np.log([3.1, 40.0, 6.2]),
        member=np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]),
        columns=np.array([0, 1, 0]),
        prior=np.array([0.2, 0.1, 0.0]),
        widths=np.array([0.5, 0.8, 0.3]),
        weights=np.array([1.0, 2.0, 0.5]),
        limits=np.array([0.9]),
        noise=0.1,
    )
    point = np.array([-0.3, 0.4, 0.2])
    value, jacobian, residual = problem.at(point)
    beyond = (np.log(40.0) - np.log(_Sum().seconds(_logs(problem, point))[0][1])) / 0.1
    assert beyond > HUBER
    step = 1e-6
    for place, slope in enumerate(-2 * jacobian.T @ residual):
        moved = point.copy()
        moved[place] += step
        assert (problem.at(moved)[0] - value) / step == pytest.approx(slope, rel=1e-3)


def test_a_posterior_is_the_sum_of_squares_near_and_of_lines_far_from_its_rows() -> None:
    """Huber (1964): z^2 up to 1.5, 3z - 2.25 beyond; weighted, and the priors' squares added."""
    problem = Problem(
        _Sum(),
        target=np.log([3.1, 40.0, 6.2]),
        member=np.ones((3, 2)),
        columns=np.array([0, 1]),
        prior=np.array([0.5, 0.0]),
        widths=np.array([0.5, 2.0]),
        weights=np.array([1.0, 2.0, 0.5]),
        limits=np.array([np.inf]),
        noise=0.1,
    )
    # rates of 1: seconds are the sums of the sizes 3, 4.5 and 6
    near, far, third = (np.log(a / b) / 0.1 for a, b in ((3.1, 3.0), (40.0, 4.5), (6.2, 6.0)))
    assert near < 1.5 < far
    expected = near**2 + 2 * (3 * far - 2.25) + 0.5 * third**2 + (0.5 / 0.5) ** 2
    assert problem.at(np.zeros(2))[0] == pytest.approx(expected)


def _logs(problem: Problem, point: np.ndarray) -> np.ndarray:
    """The logarithms of each row's parameters."""
    return logs_of(problem.points(point), problem.limits)[0]


class Slope:
    """A posterior whose cost falls by one with each step, or never, along residuals of ``pull``."""

    def __init__(self, pull: float, *, falls: bool) -> None:
        self.pull, self.falls, self.asked = pull, falls, []

    def at(self, point: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        self.asked.append(float(point[0]))
        value = 100.0 - len(self.asked) * self.falls
        return value, np.eye(1), np.array([self.pull])


def test_a_step_of_a_fit_is_damped_a_third_as_much_after_each_that_helps() -> None:
    """Levenberg's step is the residual over 1 + damping, which begins at a thousandth; none goes
    farther than a factor of e."""
    slope = Slope(0.5, falls=True)
    end = solve(slope, np.zeros(1), 3)
    steps = [0.5 / (1 + 1e-3 / 3**n) for n in range(3)]
    assert slope.asked == pytest.approx([0, *np.cumsum(steps)])
    assert float(end[0]) == pytest.approx(sum(steps))
    far = Slope(50.0, falls=True)
    solve(far, np.zeros(1), 3)
    assert far.asked == [0, 1, 2, 3]
    back = Slope(-50.0, falls=True)
    solve(back, np.zeros(1), 3)
    assert back.asked == [0, -1, -2, -3]


def test_a_fit_that_gets_no_better_is_damped_four_times_as_much_and_then_left() -> None:
    """After 14 tries a damping of 1e-3 4^14 passes 1e5; the point stays where it was."""
    flat = Slope(0.5, falls=False)
    assert float(solve(flat, np.zeros(1), 200)[0]) == 0
    assert flat.asked == pytest.approx([0, *(0.5 / (1 + 1e-3 * 4**n) for n in range(14))])


def test_a_fit_ends_where_a_step_gains_a_millionth_of_its_cost() -> None:
    class Slow(Slope):
        def at(self, point: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
            _, jacobian, residual = super().at(point)
            gains = (0.0, 1e-3, 2e-3, 2e-3 + 0.9e-4, 9.0)
            return 100.0 - gains[len(self.asked) - 1], jacobian, residual

    slow = Slow(0.5, falls=True)
    solve(slow, np.zeros(1), 200)
    assert len(slow.asked) == 4
