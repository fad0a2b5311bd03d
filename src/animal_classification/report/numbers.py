"""Numbers as a report shows them: each has a key under which it can be measured again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True, slots=True)
class Shown:
    """One number.

    Attributes:
        key: What it is; the same in every place where it is shown.
        value: Exactly, on the scale on which it is shown: 95.98 for a share of 0.9598 that is shown in percent.
        text: As it is shown.
    """

    key: str
    value: float
    text: str

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> str:
        return f'<span data-claim="{escape(self.key)}">{escape(self.text)}</span>'


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and numbers, for a page (``__html__``) or for plain text (``str``)."""

    parts: tuple[str | Shown, ...]

    def __str__(self) -> str:
        return "".join(map(str, self.parts))

    def __html__(self) -> str:
        return "".join(escape(part) if isinstance(part, str) else part.__html__() for part in self.parts)


NOTHING = Sentence(())


def say(words: str, *values: object) -> Sentence:
    """Put numbers, names and other sentences in the places marked ``{}``.

    >>> str(say("{} of {}", "none", "these"))
    'none of these'
    """
    pieces = words.split("{}")
    if len(pieces) != len(values) + 1:
        raise ValueError(f"{len(values)} values for {len(pieces) - 1} places in {words!r}")
    parts: list[str | Shown] = [pieces[0]]
    for value, piece in zip(values, pieces[1:], strict=True):
        parts += _parts(value)
        parts.append(piece)
    return Sentence(tuple(part for part in parts if part != ""))


def listed(sentences: list[Sentence], *, last: str = ", ") -> Sentence:
    """Join them with commas, the last with ``last``."""
    parts: list[str | Shown] = []
    for place, one in enumerate(sentences):
        if place:
            parts.append(last if place == len(sentences) - 1 else ", ")
        parts += one.parts
    return Sentence(tuple(parts))


def _parts(value: object) -> Iterator[str | Shown]:
    if isinstance(value, Sentence):
        yield from value.parts
    elif isinstance(value, Shown):
        yield value
    else:
        yield str(value)


@dataclass
class Ledger:
    """Makes the numbers of one report and remembers them by key."""

    numbers: dict[str, Shown] = field(default_factory=dict)

    def count(self, key: str, value: int) -> Shown:
        """A whole number: ``1,046``."""
        return self._shown(key, value, f"{value:,}")

    def percent(self, key: str, share: float, digits: int = 1) -> Shown:
        """A share in percent: ``96.0%``."""
        return self._shown(key, 100 * share, f"{100 * share:.{digits}f}%")

    def points(self, key: str, share: float, *, signed: bool = False) -> Shown:
        """A share, or a difference of two, in points: ``2.3``, or with its sign."""
        return self._shown(key, 100 * share, f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}")

    def decimal(self, key: str, value: float, digits: int = 3) -> Shown:
        """A plain number: ``0.961``."""
        return self._shown(key, value, f"{value:.{digits}f}")

    def significant(self, key: str, value: float) -> Shown:
        """A number of any size, to two digits: ``0.0031``."""
        return self._shown(key, value, f"{value:.2g}")

    def _shown(self, key: str, value: float, text: str) -> Shown:
        before = self.numbers.get(key)
        if before is not None and before.value != value:
            raise ValueError(f"two numbers are called {key!r}: {before.value} and {value}")
        shown = Shown(key, value, text)
        self.numbers[key] = shown
        return shown
