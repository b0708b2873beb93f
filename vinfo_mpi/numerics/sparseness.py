"""How few channels an atom lives on."""

from __future__ import annotations
