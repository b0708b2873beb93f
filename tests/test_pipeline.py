import pytest

from vinfo_mpi.config import check
from vinfo_mpi.pipeline import STAGES, settings


def config(**sections):
    return check({"network": {"name": "resnet18"}, **sections})


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"seed": 1}, {"train", "extract", "dictionary", "score", "dynamics"}),
        ({"data": {"image_size": 64}}, {"train", "extract"}),
        ({"data": {"per_class": 5}}, {"extract"}),
        ({"train": {"save": [1]}}, set()),
        ({"train": {"rate": 0.5}}, {"train"}),
        ({"extract": {"dtype": "float16"}}, {"extract"}),
        ({"dictionary": {"concepts_per_class": 3}}, {"dictionary"}),
        ({"encode": {"positions": "pooled"}}, {"encode"}),
        ({"score": {"folds": 3}}, {"score", "dynamics"}),
        ({"importance": {"target": "label"}}, {"importance"}),
        ({"dynamics": {"grid": True}}, {"dynamics"}),
        ({"machine": {"batch": 7}}, set()),
        ({"name": "another"}, set()),
    ],
)
def test_a_setting_concerns_the_stages_whose_result_it_changes(change, stale):
    assert {stage for stage in STAGES if settings(config(), stage) != settings(config(**change), stage)} == stale


def test_what_a_stage_needs_comes_before_it():
    seen = set()
    for name, stage in STAGES.items():
        assert set(stage.needs) <= seen
        seen.add(name)
