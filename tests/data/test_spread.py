from tfpanoptic.data.spread import spread


def test_few_items_are_spread_over_all():
    assert spread(range(10), 3) == [0, 3, 6] and spread(range(2), 3) == [0, 1] and spread(range(2), None) == [0, 1]
    # A step of 1 would take the first 24 of 47, and of two kinds of photos, sorted, one alone.
    chosen = spread(range(47), 24)
    assert len(chosen) == 24 and chosen[-1] == 45
