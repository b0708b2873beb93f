"""Which atoms point the same way."""

from __future__ import annotations
