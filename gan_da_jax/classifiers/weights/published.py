"""What is known of a file of published weights: where it is and how to recognise it."""

from typing import NamedTuple


class Published(NamedTuple):
    """One published file.

    Attributes:
        address: where it is downloaded from.
        hash: the published hash, as `algorithm:hex digits`.
        size: its length in bytes.
        licence: what its publisher releases it under.
        purpose: what it is for, in one line.
    """

    address: str
    hash: str
    size: int
    licence: str
    purpose: str
