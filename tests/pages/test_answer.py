"""The first screen against the file of results, by pandas and SciPy; terms; what is cited."""

import re

import numpy as np
import pytest
import yaml
from contents import ROOT
from drawings import numbers
from scipy.stats import spearmanr

from vinfo_mpi import Results
from vinfo_mpi.figures import catalogue
from vinfo_mpi.numerics.bootstrap import Estimate
from vinfo_mpi.pages import answer
from vinfo_mpi.pages.citation import CITATIONS
from vinfo_mpi.pages.glossary import TERMS, Glossary
from vinfo_mpi.pages.groups import GROUPS
from vinfo_mpi.results import findings


@pytest.fixture(scope="module")
def results(run):
    return Results(run[0])


@pytest.fixture(scope="module")
def living(results):
    return results.concepts[results.concepts["alive"]]


def test_the_three_sentences(results, living):
    said = numbers(answer.how_complex(results))
    low, high = living["complexity"].quantile([0.1, 0.9])
    parts = living[["unreadable", "late", "discarded"]].mean()
    assert said[:5] == pytest.approx(
        [len(living), 80, low, high, living["complexity"].mean()], abs=0.006
    )
    assert said[-1] == pytest.approx(parts.max(), abs=0.006)
    assert f"most of it {parts.idxmax()}" in answer.how_complex(results)
    for sentence, column in (
        (answer.when_learned(results), "temporal"),
        (answer.rests_on(results), "importance"),
    ):
        expected = spearmanr(living["complexity"], living[column]).statistic
        assert numbers(sentence.split("Spearman ")[1])[0] == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0.5, 0.1, "more on complex concepts than on simple"),
        (-0.5, 0.1, "more on simple concepts than on complex"),
        (0.15, 0.1, "no clear relation"),
        (-0.19, 0.1, "no clear relation"),
    ],
)
def test_what_the_error_leaves_open_is_not_said(results, monkeypatch, value, error, words):
    correlation = Estimate(value, error, n=300, clusters=10)
    monkeypatch.setattr(Results, "correlation", lambda *_: correlation)
    assert words in answer.rests_on(results)


def test_both_ends_of_the_scale_and_what_lies_between(results, living):
    said = answer.answer(results)
    in_order = living.sort_values("complexity").index
    assert [shown.number for shown in said.simplest] == in_order[:5].tolist()
    assert [shown.number for shown in said.most_complex] == in_order[-5:].tolist()
    assert said.quantiles == pytest.approx(
        np.quantile(living["complexity"], [0.1, 0.5, 0.9]).tolist()
    )
    first = said.simplest[0]
    assert first.complexity == living["complexity"].min()
    assert first.group == results.classes[living.loc[first.number, "class"]]


def test_findings_are_yes_no_unclear_or_not_run(results):
    said = {row["sign"]: row for row in answer.answer(results).findings}
    table = findings.table(results)
    expected = table[table["expected"] != ""]
    assert list(said) == expected["sign"].tolist()
    parts = answer.answer(results)
    whole = [*parts.findings_of_the_paper, *parts.findings_of_others]
    assert [row["sign"] for row in whole] == list(said)
    assert {row["source"] for row in parts.findings_of_the_paper} == {"Fel et al. 2024"}
    for row in expected.to_dict("records"):
        shown = said[row["sign"]]
        not_run = row["verdict"].startswith("not computed: ")
        assert shown["verdict"] == ("not run" if not_run else row["verdict"])
        if not not_run:
            assert numbers(shown["value"])[0] == pytest.approx(row["value"], abs=0.006)
    fewer = Results(results.path)
    del fewer.inputs["flow"]
    without = {row["sign"]: row for row in answer.answer(fewer).findings}
    changed = [sign for sign in said if without[sign]["verdict"] != said[sign]["verdict"]]
    assert changed and all(sign.startswith("V of") for sign in changed)
    for sign in changed:
        assert without[sign]["verdict"] == "not run"
        assert without[sign]["command"] == "python -m vinfo_mpi.analyses.flow"


def test_nothing_alive_is_said(results, monkeypatch):
    none = Results(results.path)
    monkeypatch.setattr(Results, "living", none.concepts.iloc[:0])
    monkeypatch.setattr(findings, "table", lambda *_, **__: findings.pd.DataFrame())
    said = answer.answer(none)
    assert "No concept varies" in said.sentences[0][1]
    assert said.simplest == ()


def test_groups_name_figures_once():
    names = [name for group in GROUPS.values() for name in group]
    assert len(names) == len(set(names))
    assert set(names) < set(catalogue.FIGURES)


def test_terms_are_explained_once_and_where_the_method_says():
    glossary = Glossary()
    said = glossary.explained("complexity <b> complexity, late concepts, lately")
    assert said.count('href="#term-complexity"') == 1
    assert "&lt;b&gt; complexity," in said and ", lately" in said
    assert [term for _, term, *_ in glossary.entries] == ["complexity", "late"]
    glossary.begin()
    assert "term-complexity" in glossary.explained("complexity")
    headings = re.findall(r"^## (.*)$", (ROOT / "docs/method.md").read_text(), re.MULTILINE)
    assert {section for _, section in TERMS.values()} <= set(headings)


def test_what_is_cited_is_what_citation_cff_has():
    of_file = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    package, *papers = CITATIONS.values()
    assert of_file["title"] in package and of_file["authors"][0]["name"] in package
    for text, paper in zip(papers, of_file["references"], strict=True):
        assert paper["title"] in text and str(paper["year"]) in text
        assert paper["identifiers"][0]["value"] in text
        authors = [author["family-names"] for author in paper["authors"]]
        assert text.startswith(", ".join(authors) + ".")
