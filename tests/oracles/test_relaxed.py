from tests.architectures.experiments import MODELS
from tfpanoptic.models.upsnet import UPSNetConfig
from tfpanoptic.oracles.relaxed import relaxed


def test_one_setting_at_any_depth_has_another_value_and_all_others_stay():
    config = UPSNetConfig.model_validate(MODELS["upsnet"])
    before = config.model_dump()
    found = relaxed(config, "instance.mask_head.size", 56, "raise it")
    assert (found.setting, found.found, found.relaxed) == ("model.instance.mask_head.size", "28", "56")
    expected = config.model_dump()
    expected["instance"]["mask_head"]["size"] = 56
    assert found.config.model_dump() == expected and config.model_dump() == before
