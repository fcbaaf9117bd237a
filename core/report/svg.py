"""Pictures as SVG that follow the page they stand on: its text colour, light or dark.

Matplotlib writes everything into `style`, which a site that forbids inline styles would
not show. Here it becomes attributes, with ids that differ from picture to picture, and
what is drawn in INK takes the colour of the text around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

INK = "#010203"  # drawn in this colour: text and lines, which are to follow the page
FONTS = "'Noto Sans CJK TC', 'Noto Sans TC', 'PingFang TC', sans-serif"
_NAMESPACE = "http://www.w3.org/2000/svg"
_LIGHT, _DARK = "#1d2522", "#e6ece9"  # of text, where no page says so
_FONT = re.compile(r"(?:\d+ )?(?P<size>[\d.]+)px .*")
_NUMBER = re.compile(r"-?\d+\.\d+")
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"""(?:url\(|xlink:href=")#([\w-]+)""")


def tidied(text: str, name: str, alt: str) -> str:
    """Return what Matplotlib drew as an element to stand in a page.

    name  goes before every id, so that several pictures can stand in one page
    alt   tells what is to be seen, for those who do not
    """
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child) in {"metadata", "style"}:
                parent.remove(child)
    wanted = set(_REFERENCE.findall(text))
    for element in root.iter():
        element.tag = _local(element)
        element.attrib = dict(_attributes(element, name, wanted))
        element.text, element.tail = (element.text or "").strip(), None
    root.attrib |= {
        "xmlns": _NAMESPACE,
        "role": "img",
        "aria-label": alt,
        "font-family": FONTS,
        "stroke-linejoin": "round",
    }
    for unit in ("width", "height"):
        root.attrib[unit] = root.attrib[unit].removesuffix("pt")
    return ElementTree.tostring(root, "unicode")


def stand_alone(element: str) -> str:
    """Return a tidied picture as a file of its own, light or dark as the reader is."""
    start, rest = element.split(">", 1)
    style = f"@media (prefers-color-scheme: dark) {{ svg {{ color: {_DARK} }} }}"
    return f'{start} color="{_LIGHT}"><style>{style}</style>{rest}\n'


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _attributes(
    element: ElementTree.Element, name: str, wanted: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield the attributes an element keeps, those of its style spelled out."""
    for key, value in element.attrib.items():
        if key == "style":
            yield from _styles(value)
        elif key == "id":
            if value in wanted:
                yield key, f"{name}-{value}"
        elif key == _LINK:
            yield "href", f"#{name}-{value.removeprefix('#')}"
        elif key == "d":
            yield key, _NUMBER.sub(_rounded, " ".join(value.split()))
        elif key != "version":
            yield key, value.replace("url(#", f"url(#{name}-")


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _styles(style: str) -> Iterator[tuple[str, str]]:
    """Yield the attributes that say what a style says, but for the font.

    >>> dict(_styles("font: 13px 'DejaVu Sans', sans-serif; fill: #010203"))
    {'font-size': '13', 'fill': 'currentColor'}
    """
    for entry in filter(None, (entry.strip() for entry in style.split(";"))):
        key, value = (part.strip() for part in entry.split(":", 1))
        font = _FONT.fullmatch(value) if key == "font" else None
        if font:
            yield "font-size", font["size"]
        elif key not in {"font", "font-family"}:
            yield key, "currentColor" if value == INK else value
