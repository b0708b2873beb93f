"""The terms of the pages, explained where they stand.

A term links to its entry at the end of the page, and shows it when pointed at, tapped or reached by
the keyboard: no script is needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markupsafe import Markup, escape

TERMS = {  # by its name: what it means, and the section of docs/method.md
    "complexity": (
        "1 minus the mean V-information over the taps: 0 where every tap makes the concept "
        "readable, 1 where none does.",
        "5. V-information and complexity",
    ),
    "V-information": (
        "The share of a concept's variance over the images that a linear predictor reads from a "
        "tap, on images that it was not fitted to.",
        "5. V-information and complexity",
    ),
    "tap": ("A place where the network is read, in forward order.", "2. Activations"),
    "unreadable": (
        "The part of complexity that no tap makes readable.",
        "5. V-information and complexity",
    ),
    "late": (
        "The part of complexity from becoming readable only at later taps.",
        "5. V-information and complexity",
    ),
    "discarded": (
        "The part of complexity from being readable at a tap and less so at later ones.",
        "5. V-information and complexity",
    ),
    "temporal score": (
        "1 minus the mean V-information of the last tap over the checkpoints: high for what is "
        "learned late, or never.",
        "6. Temporal score",
    ),
    "importance": (
        "How much the decision rests on a concept: the mean size of its contribution to the logit, "
        "gradient × input.",
        "7. Importance",
    ),
    "redundancy": (
        "The share of the V-information that is left when random channels are missing.",
        "8. The other analyses",
    ),
    "meta-feature": (
        "A cluster of concepts whose atoms have similar directions.",
        "8. The other analyses",
    ),
    "living": (
        "Varying over the images; the others are dead, and no mean counts them.",
        "4. Codes",
    ),
    "Spearman": (
        "Spearman's rank correlation over the concepts: +1 where both rise together, -1 where one "
        "falls as the other rises; ± is its standard error.",
        "8. The other analyses",
    ),
}
_ANY = re.compile(rf"\b({'|'.join(map(re.escape, TERMS))})(?:s|ies)?\b")


def key(term: str) -> str:
    """Return what the entry of a term is called in an address."""
    return f"term-{term.lower().replace(' ', '-')}"


@dataclass
class Glossary:
    """Explains each term once in each part of a page.

    Attributes
    ----------
    used : set of str
        Terms that the page has.
    """

    used: set[str] = field(default_factory=set)
    _said: set[str] = field(default_factory=set)

    def begin(self) -> str:
        """Begin a part of the page, in which terms are explained again."""
        self._said.clear()
        return ""

    def explained(self, text: str) -> Markup:
        """Return a text with its terms explained, each at its first place."""
        parts = []
        end = 0
        for match in _ANY.finditer(text):
            term = match[1]
            if term in self._said:
                continue
            self._said.add(term)
            self.used.add(term)
            parts += [escape(text[end : match.start()]), _term(match[0], term)]
            end = match.end()
        return Markup("").join([*parts, escape(text[end:])])

    @property
    def entries(self) -> list[tuple[str, str, str, str]]:
        """Key, term, meaning and section of every term of the page."""
        return [(key(term), term, *TERMS[term]) for term in TERMS if term in self.used]


def _term(word: str, term: str) -> Markup:
    tip = Markup('<span class="tip" role="tooltip">{}</span>').format(TERMS[term][0])
    return Markup('<a class="term" href="#{}">{}{}</a>').format(key(term), word, tip)
