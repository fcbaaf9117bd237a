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
├── BadScenario         a simulation's scenario was refused; .problems says why
│   (its problems are refusals of a rule set, or the exceptions below)
├── ScenarioProblem
│   └── UnknownEntry MissingEntry BadEntry BrokenScenario
├── BadResult           a result folder cannot be read
├── BadDirectory        a school directory of the Ministry cannot be read
├── BadArray            an array or a column cannot be computed with
├── BadArgument         a number or a word given to a function is not possible
├── NoHomePoints        a mechanism needs points that teachers.csv does not give
├── OtherMechanism      a result of another mechanism than the rules of the year
├── UnknownTeacher      no such teacher in the round
├── FolderInTheWay      the folder to write holds something else
├── FileInTheWay        the file to write is something else
├── CannotWrite         the disk does not take the results of a simulation
├── ReplicationFailed   a replication of a simulation raised an exception
├── WorkersLost         workers of a simulation ended again and again
├── BadScheduler        a Dask scheduler cannot be reached, or not be worked with
└── NotInstalled        a package of an extra is missing
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from unicodedata import category

MAX_SHOWN = 100  # problems of one folder that are listed; the rest is a count
LONGEST_SHOWN = 200  # characters of a value that are repeated


def shown(value: object) -> str:
    """Return a value as text to repeat: cut where it is long, no control characters.

    What is wrong in a file is repeated on a terminal, which must not obey it.

    >>> print(shown("two"), shown("\\x1b[2J"), shown("x" * 1_000)[-3:])
    two \\x1b[2J xx…
    """
    return printable(cut(str(value)))


def printable(text: str) -> str:
    """Return a text with its control characters written out."""
    return "".join(
        c if c.isprintable() or category(c) == "Zs" else repr(c)[1:-1] for c in text
    )


def cut(text: str) -> str:
    """Return a text to repeat, cut where it is long."""
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


class JiepinError(Exception):
    """Any mistake in what the user gave; the text says how to go on."""


class Refusal(JiepinError):
    """A mistake told in two lines: Chinese, then English.

    >>> print(UnknownTeacher("no teacher 'T9'"))
    查無此教師。
        no teacher 'T9'
    """

    zh = "輸入有誤"

    def __init__(self, english: str, place: str = "") -> None:
        self.english = english
        super().__init__(f"{place}{self.zh}。\n    {english}")


class Problem(Refusal):
    """One refusal: where it is, what was found there, what was expected.

    `line` is the line of a CSV file (the header is line 1), or the row of another
    table (the first is row 1); None when the whole file or folder is meant.

    >>> print(BadSeats("vacancies.csv", 3, "seats", "two", "a number"))
    vacancies.csv 第 3 列 seats 欄「two」：缺額應為 0 以上的整數。
        vacancies.csv line 3, column seats: bad seats 'two'; expected a number
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
        place_zh, place = file, file
        if line is not None:
            place_zh += f" 第 {line} 列"
            place += f" {'line' if file.endswith('.csv') else 'row'} {line}"
        if column is not None:
            place_zh += f" {column} 欄"
            place += f", column {column}"
        shown_zh = "" if value is None else f"「{shown(value)}」"
        shown_en = "" if value is None else f" {cut(value)!r}"
        english = f"{place}: {self.found}{shown_en}; expected {expected}"
        super().__init__(english, f"{place_zh}{shown_zh}：")


class FolderProblem(Problem):
    """The folder or a file in it cannot be read at all."""


class MissingFolder(FolderProblem):
    zh = "沒有這個資料夾"
    found = "no such folder"


class EmptyFolder(FolderProblem):
    zh = "資料夾是空的；應有 schools、subjects、teachers 三個檔案"
    found = "the folder is empty"


class MissingFile(FolderProblem):
    zh = "缺少這個檔案"
    found = "the file is missing"


class AmbiguousFile(FolderProblem):
    zh = "同一張表有兩個檔案，請只留一個"
    found = "the table is there twice"


class UnreadableFile(FolderProblem):
    zh = "檔案無法開啟"
    found = "the file cannot be opened:"


class BrokenUtf8(FolderProblem):
    zh = "不是 UTF-8 文字，請以 UTF-8 存檔"
    found = "bytes that are not UTF-8"


class BrokenTable(FolderProblem):
    zh = "檔案格式有誤，無法讀取"
    found = "the table cannot be read:"


class ColumnProblem(Problem):
    """The header lacks a column or names it twice."""


class MissingColumn(ColumnProblem):
    zh = "缺少這個欄位"
    found = "the column is missing"


class RepeatedColumn(ColumnProblem):
    zh = "標題列有重複的欄位，請只留一個"
    found = "the column stands twice in the header"


class CodeProblem(Problem):
    """A code is empty, unknown or used twice."""


class EmptyCell(CodeProblem):
    zh = "此格不可空白"
    found = "an empty cell:"


class UnknownSchool(CodeProblem):
    zh = "查無此學校，應為 schools 檔中的代碼"
    found = "unknown school"


class UnknownSubject(CodeProblem):
    zh = "查無此科（類）別，應為 subjects 檔中的代碼"
    found = "unknown subject"


class UnknownCounty(CodeProblem):
    zh = "查無此縣市，應為 schools 檔中出現的縣市代碼"
    found = "unknown county"


class UnknownLevel(CodeProblem):
    zh = "沒有這個階段別，應為 junior-high、elementary 或 kindergarten"
    found = "unknown level"


class CodeUsedTwice(CodeProblem):
    zh = "代碼重複，每個代碼只能用一次"
    found = "a code used before:"


class ListProblem(Problem):
    """The entries of a row do not fit together."""


class LevelMismatch(ListProblem):
    zh = "階段別不符，應與現職學校同一階段"
    found = "another level:"


class FirstSubjectNotHome(ListProblem):
    zh = "第一個申請科（類）別應與現職科（類）別相同"
    found = "the first subject is not the subject held:"


class ListedTwice(ListProblem):
    zh = "重複列出，每項只能列一次"
    found = "listed twice:"


class HomeSchoolListed(ListProblem):
    zh = "志願中不可有現職學校"
    found = "the school of today is listed:"


class ChoiceOutsideCounties(ListProblem):
    zh = "志願學校不在志願縣市內"
    found = "a school outside the wish counties:"


class NumberProblem(Problem):
    """A number or a date cannot be read as one."""


class PointsCount(NumberProblem):
    zh = "積分個數應與志願縣市個數相同"
    found = "not one points value per county:"


class BadPoints(NumberProblem):
    zh = "積分應為 0 以上、最多兩位小數的數字，例如 65.25"
    found = "bad points"


class BadSeats(NumberProblem):
    zh = "缺額應為 0 以上的整數"
    found = "bad seats"


class BadServiceYears(NumberProblem):
    zh = "服務年資應為 0 以上、最多兩位小數的數字，或空白"
    found = "bad service years"


class BadBirthDate(NumberProblem):
    zh = "生日應為西元日期，例如 1985-09-28，或空白"
    found = "bad birth date"


class LimitProblem(Problem):
    """The row breaks a limit of the rule set."""


class TooManyCounties(LimitProblem):
    zh = "志願縣市超過規則上限"
    found = "too many counties:"


class TooManySubjects(LimitProblem):
    zh = "申請科（類）別超過規則上限"
    found = "too many subjects:"


class TooManyChoices(LimitProblem):
    zh = "志願學校超過規則上限"
    found = "too many choices:"


class HomeCountyWished(LimitProblem):
    zh = "依規則不可填現職縣市"
    found = "the home county is wished:"


class BadRound(JiepinError):
    """A round was refused. `problems` holds the first 100, `n_problems` counts all."""

    def __init__(self, problems: Sequence[Problem], n_problems: int) -> None:
        self.problems = tuple(problems[:MAX_SHOWN])
        self.n_problems = n_problems
        lines = [str(problem) for problem in self.problems]
        if n_problems > len(lines):
            more = n_problems - len(lines)
            lines.append(f"… 另有 {more} 個問題。 … and {more} more")
        noun = "problem" if n_problems == 1 else "problems"
        title = f"作業資料有 {n_problems} 個問題。 {n_problems} {noun} in the round:"
        super().__init__("\n".join([title, *lines]))


class BadRules(Refusal):
    """A rule set was refused: which file, which entry, what was expected."""

    def __init__(self, source: str, entry: str, value: object, expected: str) -> None:
        self.source = source
        self.entry = entry
        self.value = value
        self.expected = expected
        place, what = printable(source), printable(entry)
        english = f"{place}: {what} {cut(repr(value))}; expected {expected}"
        super().__init__(english, f"{place}：")


class UnknownPreset(BadRules):
    """Neither a preset nor a file has this name."""

    zh = "沒有這個預設規則，也沒有這個檔案"


class UnknownKey(BadRules):
    """A key that rule sets do not have."""

    zh = "規則檔有不認得的項目"


class MissingKey(BadRules):
    """A key that must be there is not."""

    zh = "規則檔缺少必要的項目"


class UnknownKind(BadRules):
    """A stage is neither one-way nor an exchange."""

    zh = "沒有這種階段，應為 one-way 或 exchange"


class BadSize(BadRules):
    """The size of an exchange is outside 2..10."""

    zh = "交換人數應為 2 到 10 的整數"


class StageNameUsedTwice(BadRules):
    """Two stages share a name, so results could not be told apart."""

    zh = "階段名稱重複"


class NoStage(BadRules):
    """A rule set without a stage decides nothing."""

    zh = "規則檔至少要有一個階段 [[stage]]"


class BadRuleValue(BadRules):
    """A value has the wrong type or is none of those allowed."""

    zh = "規則檔的值不合規定"


class BrokenToml(BadRules):
    """The file is not TOML."""

    zh = "規則檔不是 TOML"


class ScenarioProblem(Refusal):
    """One refusal of a scenario: which file, which entry, what was expected.

    >>> print(BadEntry("sizes.toml", "replications", 0, "1 or more"))
    sizes.toml 的 replications「0」：情境檔的值不合規定。
        sizes.toml: replications 0; expected 1 or more
    """

    def __init__(self, source: str, entry: str, value: object, expected: str) -> None:
        self.source = source
        self.entry = entry
        self.value = value
        self.expected = expected
        place, what = printable(source), printable(entry)
        english = f"{place}: {what} {cut(repr(value))}; expected {expected}"
        super().__init__(english, f"{place} 的 {what}「{shown(value)}」：")


class UnknownEntry(ScenarioProblem):
    """A key that scenarios do not have."""

    zh = "情境檔有不認得的項目"


class MissingEntry(ScenarioProblem):
    """A key that must be there is not."""

    zh = "情境檔缺少必要的項目"


class BadEntry(ScenarioProblem):
    """A value has the wrong type, is none of those allowed, or does not fit others."""

    zh = "情境檔的值不合規定"


class BrokenScenario(ScenarioProblem):
    """The file cannot be opened, or is not TOML."""

    zh = "情境檔無法讀取，或不是 TOML"


class BadScenario(JiepinError):
    """A scenario was refused. `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[Refusal]) -> None:
        self.problems = tuple(problems)
        n = len(self.problems)
        noun = "problem" if n == 1 else "problems"
        title = f"情境檔有 {n} 個問題。 {n} {noun} in the scenario:"
        super().__init__("\n".join([title, *map(str, self.problems)]))


class BadResult(Refusal):
    """A result folder cannot be read: which file, and what is wrong with it."""

    zh = "結果資料夾無法讀取"


class BadDirectory(Refusal):
    """A school directory cannot be read: which file, and what is wrong with it."""

    zh = "學校名錄無法讀取"


class BadArray(Refusal):
    """An array or a column would lead a kernel astray; nothing was computed.

    >>> print(BadArray("home_of", 3, 9, "0 to 8"))
    資料陣列不合規定，沒有開始計算。
        home_of[3]: 9; expected 0 to 8
    """

    zh = "資料陣列不合規定，沒有開始計算"

    def __init__(
        self, array: str, index: int | None, found: object, expected: str
    ) -> None:
        self.array, self.index = array, index
        self.found, self.expected = found, expected
        place = array if index is None else f"{array}[{index}]"
        super().__init__(f"{place}: {cut(str(found))}; expected {cut(expected)}")


class BadArgument(Refusal):
    """An argument is outside what is possible; the text says what may be given."""

    zh = "參數不合規定"


class NoHomePoints(Refusal):
    """A mechanism compares holders at home, and the points for that are not given.

    `n_missing` of the `n_wishing` teachers with choices lack them; `row` of the table
    (the first is row 1) and `teacher_id` are those of the first.

    >>> print(NoHomePoints("block_exchange", 2, 9, 4, "T4"))
    這個機制需要填有志願者對現職縣市的積分（home_points 欄），有人未填。
        block_exchange: home_points missing for 2 of 9 teachers with choices, the first
        in row 4 of the teachers, 'T4'; expected in the column home_points of
        teachers.csv the points each would have for the county of the school held; or
        choose a mechanism without them, as top_trading_cycles or deferred_acceptance
    """

    zh = "這個機制需要填有志願者對現職縣市的積分（home_points 欄），有人未填"

    def __init__(
        self, mechanism: str, n_missing: int, n_wishing: int, row: int, teacher_id: str
    ) -> None:
        self.mechanism = mechanism
        self.n_missing, self.n_wishing = n_missing, n_wishing
        self.row, self.teacher_id = row, teacher_id
        super().__init__(
            f"{mechanism}: home_points missing for {n_missing} of {n_wishing} teachers "
            f"with choices, the first\n    in row {row} of the teachers, "
            f"{teacher_id!r}; expected in the column home_points of\n    teachers.csv "
            "the points each would have for the county of the school held; or\n    "
            "choose a mechanism without them, as top_trading_cycles or "
            "deferred_acceptance"
        )


class OtherMechanism(Refusal):
    """A result of another mechanism, where only the rules of the year will do."""

    zh = "這個結果不是依規則分階段產生的，無法說明各階段的原因"


class UnknownTeacher(Refusal):
    """The round has no teacher of this id."""

    zh = "查無此教師"


class FolderInTheWay(Refusal):
    """The folder to be written exists and holds something that is not ours."""

    zh = "無法寫入該處，沒有寫入任何檔案；請指定新的或空的資料夾"


class FileInTheWay(Refusal):
    """The file to be written exists and is something that is not ours."""

    zh = "無法寫入該檔，沒有寫入任何檔案；請指定新的檔名"


class CannotWrite(Refusal):
    """A file of a simulation cannot be written: which, and why."""

    zh = "檔案無法寫入；先前的結果都保留，同一指令可接續"


class ReplicationFailed(Refusal):
    """A replication raised an exception: its number, and the exception as text.

    `foreseen`: the exception was a JiepinError; if not, `trace` is the traceback.
    """

    zh = "一次模擬重複發生錯誤，已停止；先前的結果都保留"

    def __init__(
        self, number: int | None, text: str, foreseen: bool, trace: str
    ) -> None:
        self.number = number
        self.foreseen = foreseen
        self.trace = trace
        where = (
            "before the first replication"
            if number is None
            else (f"replication {number}")
        )
        super().__init__(f"{where}: {text}\n    the replications done so far are kept")


class WorkersLost(Refusal):
    """Workers that compute a simulation ended again and again; the text says how."""

    zh = "計算程序一再中止；先前的結果都保留，同一指令可接續"


class BadScheduler(Refusal):
    """A Dask scheduler does not answer, or its workers differ from this program."""

    zh = "無法使用這個 Dask 排程器，請查明後以同一指令再試"


class NotInstalled(Refusal):
    """Something was asked for whose packages are not installed."""

    zh = "缺少所需的套件，請先安裝"

    @classmethod
    def of(cls, error: ImportError, extra: str) -> NotInstalled:
        """Say which package is missing, and with which extra it comes."""
        return cls(f"no package {error.name!r}: pip install 'jiepin[{extra}]'")

    @classmethod
    def check(cls, packages: Iterable[str], extra: str) -> None:
        """Raise it for the first of these packages that is missing; import none."""
        for package in packages:
            if find_spec(package) is None:
                raise cls.of(ModuleNotFoundError(name=package), extra)


class UnknownColumnsWarning(UserWarning):
    """Columns that no table has are ignored; one warning lists them all."""
