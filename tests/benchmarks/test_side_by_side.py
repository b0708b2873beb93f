import json
import os

import psutil
import pytest
import torch

from benchmarks import limits, side_by_side
from benchmarks.side_by_side import Contestant


def equal(answers):
    assert len(set(answers.values())) == 1, answers
    return "equal"


def test_ratios_and_shares_are_those_of_the_medians(monkeypatch):
    fast = Contestant("fast", lambda: 1, work=10, limit=1000)
    slow = Contestant("slow", lambda: 1)
    # The first calls warm up.
    seconds = {fast.call: iter([9.0, 0.3, 0.1, 0.2]), slow.call: iter([9.0, 0.5, 0.8, 0.4])}
    monkeypatch.setattr(limits, "timed", lambda call: (next(seconds[call]), call()))
    first, second = side_by_side.compare("a case", [fast, slow], equal, repeats=3)
    assert (first.median, second.median) == (0.2, 0.5)
    assert first.ratio == 1 and second.ratio == 0.5 / 0.2
    assert first.share == 10 / 0.2 / 1000 and second.share is None
    assert len(first.seconds) == 3 and first.note == "equal"


def test_nothing_is_timed_where_answers_differ():
    calls = []
    contestants = [
        Contestant(str(answer), lambda answer=answer: calls.append(answer) or answer)
        for answer in (1, 2)
    ]
    with pytest.raises(AssertionError):
        side_by_side.compare("a case", contestants, equal)
    assert calls == [1, 2]


def test_the_peak_is_what_is_held_for_a_while():
    with limits.Peak() as peak:
        torch.ones(2**25, dtype=torch.float64).sum()
    assert 0.9 * 2**28 < peak.bytes < 1.5 * 2**28


def test_the_command_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    path = tmp_path / "some" / "where.json"
    monkeypatch.setattr("sys.argv", ["nothing", "--json", str(path), "--repeats", "2"])

    def cases(options):
        yield side_by_side.compare("a case", [Contestant("one", int)], equal, options.repeats)

    side_by_side.main("Nothing beside nothing.", "nothing", cases)
    assert "a case" in capsys.readouterr().out
    content = json.loads(path.read_text())
    assert [row["method"] for row in content["rows"]] == ["one"]
    assert len(content["rows"][0]["seconds"]) == 2
    assert content["machine"]["matrix products, float64, operations/s"] > 0


def test_another_process_is_beside_it_for_as_long_as_asked():
    before = psutil.Process().children()
    with side_by_side.beside_another_process(True):
        [neighbour] = [child for child in psutil.Process().children() if child not in before]
        assert os.getsid(neighbour.pid) != os.getsid(0)
    assert not neighbour.is_running()
    with side_by_side.beside_another_process(False):
        assert psutil.Process().children() == before
