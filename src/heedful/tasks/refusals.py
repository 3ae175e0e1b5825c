"""Where in the data a refusal comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from heedful.errors import RequestError


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Name the place in the message of a refusal inside the block."""
    try:
        yield
    except RequestError as error:
        raise type(error)(f"{place}: {error.message}", remedy=error.remedy) from None
