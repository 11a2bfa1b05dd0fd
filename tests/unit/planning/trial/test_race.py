"""The race: fair turns, medians, and no time for what is clearly slower."""

from lacewing.planning.trial.race import NO_TIME, WORTH_OF_DETAILS, Lane, race, winner


class Track:
    """Scripted seconds by key; remembers who ran."""

    def __init__(self, **seconds):
        self.seconds, self.ran = seconds, []

    def __call__(self, key):
        self.ran.append(key)
        script = self.seconds[key]
        if isinstance(script, list):
            return script[min(self.ran.count(key), len(script)) - 1]
        return script


def test_the_fastest_median_wins_whatever_single_passes_take():
    track = Track(steady=2.0, odd=[2.2, 2.2, 2.2, 0.1, 2.2, 9.0])
    lanes = race(["steady", "odd"], track)
    assert winner(lanes).key == "steady"
    assert [len(lane.seconds) for lane in lanes] == [5, 5]


def test_turns_are_interleaved_to_and_fro():
    track = Track(a=1.0, b=1.0)
    race(["a", "b"], track, rounds=2)
    assert track.ran == ["a", "b", "a", "b", "b", "a"]


def test_the_first_pass_warms_up_and_does_not_count():
    track = Track(a=[9.0, 1.0], b=[2.0, 2.0])
    lanes = race(["a", "b"], track, rounds=1)
    assert winner(lanes).key == "a"
    assert lanes[0].seconds == [1.0]


def test_what_is_slower_by_a_third_is_dropped_after_two_rounds():
    track = Track(fast=1.0, slow=1.4, close=1.2)
    lanes = race(["fast", "slow", "close"], track)
    assert [len(lane.seconds) for lane in lanes] == [5, 2, 5]
    assert lanes[1].out == "slower by 40% after 2 rounds"
    assert lanes[1].median == 1.4


def test_one_disturbed_pass_drops_nobody():
    lanes = race(["good", "bad"], Track(good=[1.0, 9.0, 1.0], bad=2.0))
    assert winner(lanes).key == "good"
    assert lanes[1].out == "slower by 100% after 2 rounds"


def test_a_single_way_left_is_not_timed_for_ever():
    assert len(race(["only"], Track(only=1.0))[0].seconds) == 3


def test_what_is_hopeless_is_not_timed():
    """As bf16 on processors without instructions for it."""
    track = Track(fp32=0.2, bf16=8.0)
    lanes = race(["fp32", "bf16"], track)
    assert lanes[1].out == "its first pass took 40 times as long as the fastest"
    assert track.ran.count("bf16") == 1


def test_a_short_pass_is_not_hopeless_for_a_hiccup():
    lanes = race(["a", "b"], Track(a=[0.01, 0.02], b=[0.2, 0.01]))
    assert winner(lanes).key == "b"


def test_a_reason_puts_a_way_out_at_any_time():
    lanes = race(["a", "b"], Track(a=1.0, b=[0.5, 0.5, "the memory is full"]))
    assert lanes[1].out == "the memory is full"
    assert winner(lanes).key == "a"
    assert winner(race(["a"], Track(a="gone"))) is None


def test_without_time_each_way_runs_once():
    lanes = race(["a", "b"], Track(a=1.0, b=0.9), has_time=lambda: False)
    assert [len(lane.seconds) for lane in lanes] == [1, 1]
    assert winner(lanes).key == "b"


def test_a_later_way_must_be_faster_by_more_than_the_noise():
    assert winner(race(["plain", "odd"], Track(plain=1.0, odd=0.98))).key == "plain"
    assert winner(race(["plain", "odd"], Track(plain=1.0, odd=0.96))).key == "odd"


def test_what_changes_little_must_be_clearly_faster():
    lanes = [Lane("usual", seconds=[1.0]), Lane("other", seconds=[0.95])]
    assert winner(lanes).key == "other"
    assert winner(lanes, WORTH_OF_DETAILS).key == "usual"


def test_long_warm_ups_are_begun_in_their_order_while_there_is_time():
    track = Track(a=1.0, b=1.0, c=0.5)
    lanes = race(
        ["a", "b", "c"], track, lambda: len(track.ran) < 1, rounds=1, warm_ups=["c", "b", "a"]
    )
    assert track.ran == ["c", "b", "b", "c"]
    assert [lane.out for lane in lanes] == [NO_TIME, "", ""]
    assert winner(lanes).key == "c"


def test_two_long_warm_ups_that_work_are_begun_however_little_time_there_is():
    track = Track(a="gone", b=1.0, c=1.0, d=1.0)
    race(["a", "b", "c", "d"], track, lambda: False, rounds=1, warm_ups=["a", "b", "c", "d"])
    assert track.ran == ["a", "b", "c", "b", "c"]


def test_long_warm_ups_tell_nothing_of_a_way():
    lanes = race(["a", "b"], Track(a=[0.1, 1.0], b=[9.0, 0.5]), warm_ups=["a", "b"])
    assert winner(lanes).key == "b"
