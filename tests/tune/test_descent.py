from tfpanoptic.tune.descent import Descent


def search(score, values, start):
    asked = []

    def counted(settings):
        asked.append(tuple(settings.values()))
        return score(**settings)

    return Descent(start, values, counted, score(**start)), asked


def test_each_setting_moves_to_its_best_value_given_the_others():
    descent, _ = search(lambda a, b: a * b, {"a": (1, 2, 4), "b": (-1, 1, 3)}, {"a": 1, "b": -1})
    assert not descent.move("a")  # a = 1 is best while b = -1
    assert descent.move("b") and descent.best == {"a": 1, "b": 3}
    assert descent.move("a") and descent.best == {"a": 4, "b": 3}
    assert not descent.move("b")


def test_no_combination_is_scored_twice():
    descent, asked = search(lambda a, b: a + b, {"a": (0, 1), "b": (0, 1)}, {"a": 0, "b": 0})
    assert descent.left("a") == 1
    for _ in range(3):
        descent.move("a")
        descent.move("b")
    # a goes to 1, b goes to 1, then a at 0 is seen with b at 1.
    assert asked == [(1, 0), (1, 1), (0, 1)] and descent.trials == 4 and descent.left("a") == descent.left("b") == 0


def test_a_gain_of_a_hundredth_of_a_point_moves_nothing():
    descent, _ = search(lambda a: 0.5 + 0.0001 * a, {"a": (0, 1)}, {"a": 0})
    assert not descent.move("a") and descent.best == {"a": 0}


def test_the_sweep_holds_the_others_at_their_best():
    descent, _ = search(lambda a, b: a * b, {"a": (1, 2), "b": (1, 3)}, {"a": 1, "b": 1})
    for setting in ("a", "b", "a"):
        descent.move(setting)
    assert descent.sweep() == {
        "a": [{"value": 1, "score": 3}, {"value": 2, "score": 6}],
        "b": [{"value": 1, "score": 2}, {"value": 3, "score": 6}],
    }
