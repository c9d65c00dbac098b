"""Foreign text, such as the names of models in a file, made safe to show."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Emoji",
    "Segoe UI Emoji",
    "Segoe UI Symbol",
    "Symbola",
)
"""Fonts of pictures: the one that matplotlib brings, and those with other letters, where they are installed."""

# Beside control characters, those that reorder text or break its lines.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, *, kept: str = "") -> str:
    r"""The same text with control characters written as escapes, but for those `kept`.

    Examples:
        >>> visible("red\x1b[31m")
        'red\\x1b[31m'
    """
    return _CONTROL.sub(
        lambda found: found[0] if found[0] in kept else found[0].encode("unicode_escape").decode(), text
    )


def one_line(text: str) -> str:
    """The same text on one line, without control characters."""
    return visible(" ".join(text.split()))


def some_of(names: Collection[str], most: int = 12) -> str:
    """Names in a row, the first of them where they are many."""
    shown = ", ".join(list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def named(*names: str) -> str:
    """The names in a row of a table, fit to show; "(no name)" where one is missing."""
    return one_line(", ".join(name or "(no name)" for name in names))


@cache
def font_families() -> tuple[str, ...]:
    """The fonts of pictures that are here; a letter is drawn with the first that has it."""
    from matplotlib.font_manager import fontManager

    here = set(fontManager.get_font_names())
    return tuple(name for name in _FONTS if name in here)


def drawable(text: str) -> str:
    """The same text on one line for a picture; a letter that no font here has is written as an escape."""
    drawn = _letters()
    return "".join(letter if letter in drawn else letter.encode("unicode_escape").decode() for letter in one_line(text))


def shortened(text: str, most: int) -> str:
    """The same text, or as much of its beginning and end as is `most` letters long."""
    left = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - left]}\N{HORIZONTAL ELLIPSIS}{text[-left:]}"


@cache
def _letters() -> frozenset[str]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(chr(code) for name in font_families() for code in get_font(findfont(name)).get_charmap())
