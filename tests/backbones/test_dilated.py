from tfpanoptic.backbones.dilated import dilated


def test_strides_beyond_the_output_stride_dilate_the_blocks_after():
    # From stride 2: to 4 and 8, then 2 and 2 again, which dilate by 2 and by 4 what follows.
    assert list(dilated([2, 1, 2, 2, 1, 2, 1], 8)) == [(2, 1), (1, 1), (2, 1), (1, 1), (1, 2), (1, 2), (1, 4)]
    assert list(dilated([2, 1, 2], 32)) == [(2, 1), (1, 1), (2, 1)]
