"""Advice as files: one page to read and print, the same as Markdown, numbers with units, games and pictures."""

from __future__ import annotations

import base64
import html
import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stackroute.configs.loading import as_yaml
from stackroute.training.output import escaped, markdown, output_folder, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from stackroute.configs import GameConfig

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.answer { border-left: .3rem solid #0072B2; padding-left: 1rem; font-size: 1.1rem; }
ul { padding-left: 1.2rem; } li { margin: .3rem 0; } figure { margin: 1.5rem 0; }
img { max-width: 100%; background: #fff; border-radius: .3rem; }
.wide { overflow-x: auto; position: relative; left: 50%; transform: translateX(-50%); width: fit-content;
  min-width: 100%; max-width: calc(100vw - 2rem); background:
  linear-gradient(to right, Canvas 40%, transparent) left / 2.4rem 100% no-repeat local,
  linear-gradient(to left, Canvas 40%, transparent) right / 2.4rem 100% no-repeat local,
  linear-gradient(to right, #8888, transparent) left / .6rem 100% no-repeat scroll,
  linear-gradient(to left, #8888, transparent) right / .6rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .85rem; overflow-wrap: normal; }
th, td { border-bottom: 1px solid #8888; padding: .25rem .5rem; text-align: right; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 8rem; }
@media (prefers-color-scheme: dark) { img { box-sizing: border-box; padding: .5rem; } }
@media print { body { max-width: none; font-size: 10pt; } figure, tr, li { break-inside: avoid; }
  h2 { break-after: avoid; } img { max-height: 12cm; padding: 0; } .wide { overflow: visible; background: none;
  position: static; transform: none; width: auto; max-width: none; }
  table { font-size: 7.5pt; width: 100%; } th, td, td:first-child { white-space: normal; min-width: 0; } }
"""

_SHOWN = {
    "frontier": "What a solved task costs over how long it takes",
    "plane": "What is best over the value of a task and the churn penalty",
    "population": "What a task costs over which types of users are kept",
    "attempts": "How often attempts after failures succeed",
    "ladder": "Who serves which attempt, and when users stop",
}
"""What pictures show, by their names."""


@dataclass(frozen=True, eq=False)
class Report:
    """Advice in words and numbers.

    Attributes:
        title: Of what.
        introduction: Where the numbers come from, how they were read, and the scenario.
        sections: Headings and sentences; the first one is the answer.
        table: What each policy costs and gives, units in the names of the columns.
        contents: All numbers for programs, with units.
        configs: The games.
        draw: Draws its pictures by their names; only where matplotlib is there.
        tables: Other tables by the names of their files, units in the names of the columns or beside the numbers.
    """

    title: str
    introduction: list[str]
    sections: list[tuple[str, list[str]]]
    table: pd.DataFrame
    contents: dict[str, Any]
    configs: list[GameConfig]
    draw: Callable[[], dict[str, Figure]]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write a report, each file atomically.

    Args:
        report: What to write.
        folder: Where to; it is made.

    Returns:
        The files. There are no pictures without matplotlib.

    Raises:
        OutputError: The folder cannot be made, or a file not be written.
    """
    games = output_folder(output_folder(folder) / "games")
    pictures = _draw(report, folder)
    texts = {
        folder / "report.html": as_html(report, pictures),
        folder / "report.md": as_markdown(report, [path.name for path in pictures.values()]),
        folder / "results.csv": str(report.table.to_csv(index=False)),
        **{folder / f"{name}.csv": str(table.to_csv(index=False)) for name, table in report.tables.items()},
        **{games / f"{config.name}.yaml": as_yaml(config) for config in report.configs},
    }
    for path, text in texts.items():
        write_text(path, text)
    write_json(folder / "results.json", report.contents)
    return [*texts, folder / "results.json", *pictures.values()]


def _draw(report: Report, folder: Path) -> dict[str, Path]:
    """The pictures, by what they show."""
    if not importlib.util.find_spec("matplotlib"):
        return {}
    from stackroute.training.figures.style import save, style

    drawn = {}
    with style():
        for name, figure in report.draw().items():
            drawn[_SHOWN[name]] = folder / f"{name}.png"
            save(figure, folder / f"{name}.png")
    return drawn


def as_markdown(report: Report, pictures: list[str]) -> str:
    """A report as Markdown, with the names of the pictures beside it."""
    answer, *others = ((f"## {heading}", _bullets(sentences)) for heading, sentences in report.sections)
    shown = [f"![{name.partition('.')[0]}]({name})" for name in pictures]
    parts: list[str | pd.DataFrame] = [
        f"# {escaped(report.title)}",
        *map(escaped, report.introduction),
        *answer,
        *shown,
    ]
    parts += [part for section in others for part in section]
    return markdown([*parts, "## Numbers", _as_text(report.table)])


def _bullets(sentences: list[str]) -> str:
    return "\n".join(f"- {escaped(sentence)}" for sentence in sentences)


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda cell: f"{cell:.4g}" if isinstance(cell, float) else str(cell)).replace("nan", "")


def as_html(report: Report, pictures: dict[str, Path]) -> str:
    """A report as one page of HTML that needs nothing else."""
    (heading, answer), *others = report.sections
    parts = [f"<h1>{_safe(report.title)}</h1>", *(f"<p>{_safe(text)}</p>" for text in report.introduction)]
    parts += [f"<h2>{_safe(heading)}</h2>", f'<div class="answer">{_listed(answer)}</div>']
    for words, path in pictures.items():
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append(f'<figure><img alt="{_safe(words)}" src="data:image/png;base64,{data}"></figure>')
    for heading, sentences in others:
        parts += [f"<h2>{_safe(heading)}</h2>", _listed(sentences)]
    table = _as_text(report.table).to_html(index=False, border=0)
    parts += ["<h2>Numbers</h2>", f'<div class="wide">{table}</div>']
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(report.title)}</title><style>{_STYLE}</style>"
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _listed(sentences: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{_safe(sentence)}</li>" for sentence in sentences) + "</ul>"


def _safe(text: str) -> str:
    return html.escape(text)
