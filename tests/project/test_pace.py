"""The projection's pace under load."""

from app.project.pace import PAUSE_MAX_S, Pace


def pause(
    pace: Pace, *, lag_s: float, is_contended: bool, work_s: float = 0.05, now_s: float = 100.0
) -> float:
    cpu_s = 0.01
    wall_s = cpu_s * (3 if is_contended else 1)
    return pace.pause_s(now_s=now_s, lag_s=lag_s, work_s=work_s, compute_s=wall_s, cpu_s=cpu_s)


def test_on_a_processor_of_its_own_it_never_rests() -> None:
    pace = Pace(burst_s=5)
    assert [pause(pace, lag_s=lag, is_contended=False) for lag in (0, 3, 60)] == [0, 0, 0]


def test_in_a_burst_it_leaves_the_processor_to_the_receiver() -> None:
    pace = Pace(burst_s=5)
    assert pause(pace, lag_s=1, is_contended=True) > 0.5
    assert pause(pace, lag_s=1, is_contended=True, work_s=10) == PAUSE_MAX_S


def test_after_a_burst_it_takes_its_share_until_the_load_has_let_up() -> None:
    pace = Pace(burst_s=5)
    assert pause(pace, lag_s=5, is_contended=True, now_s=100) == 0
    assert pause(pace, lag_s=0.1, is_contended=False, now_s=101) == 0
    assert pause(pace, lag_s=0.2, is_contended=True, now_s=102) == 0
    assert pause(pace, lag_s=0.2, is_contended=True, now_s=106) > 0
