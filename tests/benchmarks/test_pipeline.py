import json

import pytest
from contents import SMALL

from benchmarks import pipeline
from benchmarks.pipeline import Stage

FEW = [
    *SMALL[3::2],
    "analyses=[hoyer]",
    "pages=[]",
    "train.epochs=1",
    "data.per_class=10",
    "dictionary.concepts_per_class=2",
]


def test_stages_are_measured_on_one_rank_and_on_two(tmp_path, warm, monkeypatch):
    monkeypatch.setattr(pipeline, "PYTHON", warm)
    stages = {stage.name: stage for stage in pipeline.measure(FEW, tmp_path)}
    assert list(stages) == [
        pipeline.START,
        "extract",
        "dictionary",
        "encode",
        "score",
        "importance",
        "dynamics",
        "hoyer",
    ]
    for ranks in (1, 2):
        timings = json.loads((tmp_path / f"ranks_{ranks}" / "timings.json").read_text())
        assert all(timing["ranks"] == ranks for timing in timings.values())
        assert "train" not in timings
        for name, timing in timings.items():
            assert stages[name].seconds[ranks] == timing["seconds"]["total"]["max"]
            assert stages[name].communicated[ranks] == timing["bytes"]["communicated"]
    assert stages["score"].communicated[1] == 0 < stages["score"].communicated[2]
    assert all(stages[name].operations > 0 for name in ("extract", "dictionary", "encode", "score"))
    assert all(
        stage.communicated == stage.formula
        for stage in stages.values()
        if stage.name != pipeline.START
    )


def test_efficiency_is_one_where_two_ranks_take_half_the_time():
    assert Stage("score", {1: 3.0, 2: 1.5}, {}, {}).efficiency(2) == 1
    assert Stage("score", {1: 3.0, 2: 3.0}, {}, {}).efficiency(2) == 0.5


def test_what_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="trian"):
        pipeline.measure(["trian=1"], tmp_path)
