"""Drawing with Matplotlib, which loads when used: settings, sizes, the saved picture.

The same drawing gives the same bytes. What is text in an SVG stays text, so nothing in
it is laid out by the fonts of the machine, and the reader's own fonts show it.
"""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from jiepin.core import errors
from jiepin.core.report import svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT: Final = 13  # points; the unit of every picture is the point

_POINTS_PER_INCH = 72
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "jiepin",
    "font.family": "DejaVu Sans",  # comes with Matplotlib; measures, but does not show
    "font.size": TEXT,
    "text.color": svg.INK,
    "text.parse_math": False,
    "xtick.color": svg.INK,
    "ytick.color": svg.INK,
}


@contextmanager
def drawing(extra: str, packages: Sequence[str] = ()) -> Iterator[None]:
    """Draw by our settings alone, and leave those of the process as they were.

    packages  others that the drawing needs; they may change settings, so they go first
    extra     of jiepin, with which Matplotlib and they are installed

    Raises NotInstalled when one of them is missing.
    """
    try:
        import matplotlib as mpl

        with mpl.rc_context(), warnings.catch_warnings():
            for package in packages:
                importlib.import_module(package)
            mpl.rcdefaults()
            mpl.rcParams.update(_SETTINGS)
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            yield
    except ImportError as error:
        raise errors.NotInstalled.of(error, extra) from None


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many points."""
    from matplotlib.figure import Figure

    size = width / _POINTS_PER_INCH, height / _POINTS_PER_INCH
    return Figure(size, frameon=False)


def saved(figure: Figure) -> str:
    """Return a figure as SVG, without a date or the name of a program."""
    text = io.StringIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", transparent=True, metadata=unsaid)
    return text.getvalue()


def text_width(text: str) -> float:
    """Return about how wide a text is, in ems.

    >>> text_width("互調"), text_width("12")
    (2, 1.2)
    """
    return sum(1 if ord(letter) > 0x2E7F else 0.6 for letter in text)
