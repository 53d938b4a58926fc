from tfpanoptic.doctor.input_relaxations import LARGEST, input_relaxations
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import resized_size


def relaxed(sizes, **settings):
    """{(setting, found, relaxed): sizes of the images after it}."""
    found = input_relaxations(InputConfig(**settings), sizes)
    return {
        (told["setting"], told["found"], told["relaxed"]): [resized_size(*size, config) for size in sizes]
        for told, config in found
    }


def test_images_that_keep_their_size_are_doubled_by_the_median_short_side():
    assert relaxed([(100, 200), (120, 100), (400, 300)]) == {
        ("input.short_side", "the files' own size", "200"): [(200, 400), (240, 200), (267, 200)]
    }


def test_a_policy_that_shrinks_images_is_left_out_and_doubled():
    assert relaxed([(400, 800)], short_side=200, max_long_side=300) == {
        ("input.short_side", "200", "the files' own size"): [(400, 800)],
        ("input.short_side", "200", "400"): [(300, 600)],
    }


def test_a_policy_that_enlarges_images_is_only_doubled():
    assert relaxed([(10, 20)], size=(30, 40)) == {("input.size", "(30, 40)", "[60, 80]"): [(60, 80)]}


def test_large_inputs_are_not_doubled():
    assert relaxed([(100, LARGEST // 2 + 1)]) == {}
