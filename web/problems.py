"""What is wrong with one field of a form, told so that it can be mended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: the field it stands at, and a sentence for people."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Problems:
    """The problems of one form, in the order of its fields; false when there are none.

    >>> problems = Problems((Problem("name", "請填寫姓名"),))
    >>> problems.at("name"), problems.at("phone1"), bool(Problems())
    ('請填寫姓名', '', False)
    """

    found: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, *checks: Problem | None) -> Problems:
        """Keep the checks that found something."""
        return cls(tuple(check for check in checks if check is not None))

    def at(self, field: str) -> str:
        """Return what is wrong at a field, empty when nothing is."""
        return " ".join(found.text for found in self.found if found.field == field)

    def __bool__(self) -> bool:
        return bool(self.found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.found)

    def __add__(self, others: Sequence[Problem] | Problems) -> Problems:
        return Problems(self.found + tuple(others))
