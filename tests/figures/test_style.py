"""Numbers and relations in words."""

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.numerics.bootstrap import Estimate


def test_what_is_not_clear_is_not_claimed():
    def relation(value, error):
        return style.relation(Estimate(value, error, 40, clusters=40), "Up", "Down")

    assert relation(0.3, 0.1) == "Up: Spearman +0.30 ± 0.10, n = 40."
    assert relation(-0.3, 0.1) == "Down: Spearman -0.30 ± 0.10, n = 40."
    assert relation(0.1, 0.1).startswith("No clear relation")
    assert relation(np.nan, np.nan).endswith("Spearman undefined, n = 40.")
    hardly = style.change([0.5, 0.9, 0.51], [0.01, 0.01, 0.01])
    assert hardly == "hardly changes, from 0.50 ± 0.01 to 0.51 ± 0.01"


def test_numbers_have_as_many_decimals_as_their_error_needs():
    assert style.number(-0.2504, 0.0032) == "-0.250 ± 0.003"
    assert style.number(1.0, 0.0) == "1.00 ± 0.00"
    assert style.number(0.5) == "0.50"
