"""Two made-up books with a made-up market: `demo` for the lab, `small` for tests. Nothing in them is random."""

from xva_engine.sample.books import BOOKS, SampleBook, frozen_request, rows

__all__ = ["BOOKS", "SampleBook", "frozen_request", "rows"]
