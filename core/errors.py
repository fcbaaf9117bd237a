"""What can go wrong, as one tree.

JiepinError
├── BadRound            a round folder was refused; .problems says why
│   (its problems are the exceptions below, each one refusal with its place)
├── Problem
│   ├── FolderProblem   MissingFolder EmptyFolder MissingFile AmbiguousFile
│   │                   UnreadableFile BrokenUtf8 BrokenTable
│   ├── ColumnProblem   MissingColumn RepeatedColumn
│   ├── CodeProblem     EmptyCell UnknownSchool UnknownSubject UnknownCounty
│   │                   UnknownLevel CodeUsedTwice
│   ├── ListProblem     LevelMismatch FirstSubjectNotHome ListedTwice
│   │                   HomeSchoolListed ChoiceOutsideCounties
│   ├── NumberProblem   PointsCount BadPoints BadSeats BadServiceYears BadBirthDate
│   └── LimitProblem    TooManyCounties TooManySubjects TooManyChoices
│                       HomeCountyWished
├── BadRules            a rule set was refused
│   └── UnknownPreset UnknownKey MissingKey UnknownKind BadSize StageNameUsedTwice
│       NoStage BadRuleValue BrokenToml
├── BadResult           a result folder cannot be read
├── BadDirectory        a school directory of the Ministry cannot be read
├── BadArgument         a number or a word given to a function is not possible
├── UnknownTeacher      no such teacher in the round
└── FolderInTheWay      the folder to write holds something else
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_SHOWN = 100  # problems of one folder that are listed; the rest is a count


class JiepinError(Exception):
    """Any mistake in what the user gave; the text says how to go on."""


class Problem(JiepinError):
    """One refusal: where it is, what was found there, what was expected.

    `line` is the line of a CSV file (the header is line 1), or the row of another
    table (the first is row 1); None when the whole file or folder is meant.

    >>> print(UnknownSchool("teachers.csv", 3, "school", "99", "a code of schools"))
    teachers.csv line 3, column school: unknown school '99'; expected a code of schools
    """

    found = "found"

    def __init__(
        self,
        file: str,
        line: int | None,
        column: str | None,
        value: str | None,
        expected: str,
    ) -> None:
        self.file = file
        self.line = line
        self.column = column
        self.value = value
        self.expected = expected
        place = file
        if line is not None:
            place += f" {'line' if file.endswith('.csv') else 'row'} {line}"
        if column is not None:
            place += f", column {column}"
        shown = "" if value is None else f" {value!r}"
        super().__init__(f"{place}: {self.found}{shown}; expected {expected}")


class FolderProblem(Problem):
    """The folder or a file in it cannot be read at all."""


class MissingFolder(FolderProblem):
    found = "no such folder"


class EmptyFolder(FolderProblem):
    found = "the folder is empty"


class MissingFile(FolderProblem):
    found = "the file is missing"


class AmbiguousFile(FolderProblem):
    found = "the table is there twice"


class UnreadableFile(FolderProblem):
    found = "the file cannot be opened:"


class BrokenUtf8(FolderProblem):
    found = "bytes that are not UTF-8"


class BrokenTable(FolderProblem):
    found = "the table cannot be read:"


class ColumnProblem(Problem):
    """The header lacks a column or names it twice."""


class MissingColumn(ColumnProblem):
    found = "the column is missing"


class RepeatedColumn(ColumnProblem):
    found = "the column stands twice in the header"


class CodeProblem(Problem):
    """A code is empty, unknown or used twice."""


class EmptyCell(CodeProblem):
    found = "an empty cell:"


class UnknownSchool(CodeProblem):
    found = "unknown school"


class UnknownSubject(CodeProblem):
    found = "unknown subject"


class UnknownCounty(CodeProblem):
    found = "unknown county"


class UnknownLevel(CodeProblem):
    found = "unknown level"


class CodeUsedTwice(CodeProblem):
    found = "a code used before:"


class ListProblem(Problem):
    """The entries of a row do not fit together."""


class LevelMismatch(ListProblem):
    found = "another level:"


class FirstSubjectNotHome(ListProblem):
    found = "the first subject is not the subject held:"


class ListedTwice(ListProblem):
    found = "listed twice:"


class HomeSchoolListed(ListProblem):
    found = "the school of today is listed:"


class ChoiceOutsideCounties(ListProblem):
    found = "a school outside the wish counties:"


class NumberProblem(Problem):
    """A number or a date cannot be read as one."""


class PointsCount(NumberProblem):
    found = "not one points value per county:"


class BadPoints(NumberProblem):
    found = "bad points"


class BadSeats(NumberProblem):
    found = "bad seats"


class BadServiceYears(NumberProblem):
    found = "bad service years"


class BadBirthDate(NumberProblem):
    found = "bad birth date"


class LimitProblem(Problem):
    """The row breaks a limit of the rule set."""


class TooManyCounties(LimitProblem):
    found = "too many counties:"


class TooManySubjects(LimitProblem):
    found = "too many subjects:"


class TooManyChoices(LimitProblem):
    found = "too many choices:"


class HomeCountyWished(LimitProblem):
    found = "the home county is wished:"


class BadRound(JiepinError):
    """A round was refused. `problems` holds the first 100, `n_problems` counts all."""

    def __init__(self, problems: Sequence[Problem], n_problems: int) -> None:
        self.problems = tuple(problems[:MAX_SHOWN])
        self.n_problems = n_problems
        lines = [str(problem) for problem in self.problems]
        if n_problems > len(lines):
            lines.append(f"… and {n_problems - len(lines)} more")
        noun = "problem" if n_problems == 1 else "problems"
        super().__init__("\n".join([f"{n_problems} {noun} in the round:", *lines]))


class BadRules(JiepinError):
    """A rule set was refused: which file, which entry, what was expected."""

    def __init__(self, source: str, entry: str, value: object, expected: str) -> None:
        self.source = source
        self.entry = entry
        self.value = value
        super().__init__(f"{source}: {entry} {value!r}; expected {expected}")


class UnknownPreset(BadRules):
    """Neither a preset nor a file has this name."""


class UnknownKey(BadRules):
    """A key that rule sets do not have."""


class MissingKey(BadRules):
    """A key that must be there is not."""


class UnknownKind(BadRules):
    """A stage is neither one-way nor an exchange."""


class BadSize(BadRules):
    """The size of an exchange is outside 2..10."""


class StageNameUsedTwice(BadRules):
    """Two stages share a name, so results could not be told apart."""


class NoStage(BadRules):
    """A rule set without a stage decides nothing."""


class BadRuleValue(BadRules):
    """A value has the wrong type or is none of those allowed."""


class BrokenToml(BadRules):
    """The file is not TOML."""


class BadResult(JiepinError):
    """A result folder cannot be read: which file, and what is wrong with it."""


class BadDirectory(JiepinError):
    """A school directory cannot be read: which file, and what is wrong with it."""


class BadArgument(JiepinError):
    """An argument is outside what is possible; the text says what may be given."""


class UnknownTeacher(JiepinError):
    """The round has no teacher of this id."""


class FolderInTheWay(JiepinError):
    """The folder to be written exists and holds something that is not ours."""


class UnknownColumnsWarning(UserWarning):
    """Columns that no table has are ignored; one warning lists them all."""
