"""The code blocks of the README and of the documentation run, in their order; links lead somewhere; the site builds.

What users wait for is shortened: training and benchmarks have budgets too small to learn anything, after the names and
settings that the page gives have been read; of figures, the page in the browser, the quick start and routers of bfcl
the options are read. Of other programs' commands the names of targets, extras and files are checked. Printed `text` has
to be what the first command of the block before it prints, `...` standing for what is left out.
"""

import csv
import doctest
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import stackroute
from stackroute.agents import routers
from stackroute.configs.benchmarks import load_suite
from stackroute.configs.outcome_files import is_outcomes
from stackroute.configs.shadow_price import load_shadow_price_settings
from stackroute.configs.training import load_training_settings
from stackroute.training.benchmark import algorithms
from stackroute.training.benchmark.algorithms import find_algorithm
from stackroute.training.own_code import is_own_code

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")), *sorted(DOCS.rglob("*.md"))]
NAMED = {page.relative_to(ROOT).as_posix(): page for page in PAGES}
GO_ON = {"docs/tutorial.md", *(name for name in NAMED if name.startswith("docs/how-to/"))}
"""Pages whose blocks go on from one another; elsewhere each stands by itself."""

BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$[^$]+\$\$|\$[^$\n]+\$")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = {*re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE), *(f"install-{extra}" for extra in EXTRAS)}
TINY = Path(__file__).parent / "training" / "tiny.yaml"
TINY_TASKS = TINY.with_name("tiny_shadow_price.yaml")

Runner = Callable[..., tuple[int, str, str]]


def option(words: list[str], name: str) -> list[str]:
    return [value for given, value in pairwise(words) if given == name]


def without(words: list[str], *names: str) -> list[str]:
    dropped = {place + k for place, word in enumerate(words) if word in names for k in (0, 1)}
    return [word for place, word in enumerate(words) if place not in dropped]


def shortened(words: list[str]) -> list[str]:
    """The command with the least budgets, once the names that it gives have been read."""
    command = words[0]
    if command == "train" and "--resume" not in words and is_outcomes(words[1]):
        load_shadow_price_settings(*option(words, "--settings") or ["shadow_price"], option(words, "--set"))
        folder = option(words, "--out") or ["runs/" + "-".join(words).replace("/", "_")]
        return [*without(words, "--settings", "--set", "--out"), "--settings", str(TINY_TASKS), "--out", *folder]
    if command == "train" and "--resume" not in words:
        load_training_settings(*option(words, "--settings") or ["follower_first"], option(words, "--set"))
        folder = option(words, "--out") or ["runs/" + "-".join(words).replace("/", "_")]
        return [*without(words, "--settings", "--set", "--out"), "--settings", str(TINY), "--out", *folder]
    if command == "benchmark" and "--list" not in words:
        load_suite(words[1])
        for name in ",".join(option(words, "--algorithms")).split(","):
            assert not name or is_own_code(name) or find_algorithm(name)
        assert all(int(jobs) > 0 for jobs in option(words, "--jobs"))
        assert set(option(words, "--backend")) <= {"loky", "ray"}
        kept = without(words[2:], "--jobs", "--backend", "--algorithms", "--seeds", "--out")
        folder = option(words, "--out") or [f"benchmarks/{words[1]}"]
        return ["benchmark", "quick", *kept, "--out", *folder, "--algorithms", "exact,random", "--seeds", "1"]
    only_read = command in ("explore", "figures", "quickstart") or words[:2] == ["route", "bfcl"]
    return [*words, "--help"] if only_read else words


@dataclass
class Page:
    """A page at work: the folder it works in, and what the commands of the last block have printed."""

    folder: Path
    run: Runner
    go_on: bool
    names: dict[str, Any] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)

    def python(self, text: str) -> None:
        names = self.names if self.go_on else {}
        if ">>>" in text:
            test = doctest.DocTestParser().get_doctest(text, names, "block", "page", 0)
            assert doctest.DocTestRunner().run(test).failed == 0
        else:
            exec(compile(text, "block", "exec"), names)

    def console(self, text: str) -> None:
        self.printed = []
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words.pop(0)
            if words:
                self.command(words, line)

    def command(self, words: list[str], line: str) -> None:
        program = words.pop(0)
        if program == "stackroute":
            code, out, error = self.run(*shortened(words))
            assert code == 0, f"{line}: {error}"
            self.printed.append(out)
        elif program == "make":
            assert {word for word in words if "=" not in word} <= TARGETS, line
            assert {word.split("=")[0] for word in words if "=" in word} <= {"SEED", "PYTHON"}, line
        elif program == "pip":
            found = re.fullmatch(r"install stackroute(?:\[([a-z,]+)\])?", " ".join(words))
            assert found, line
            assert set((found[1] or "train").split(",")) <= set(EXTRAS), line
        elif program == "python" and words[0] == "-c":
            subprocess.run([sys.executable, *words], check=True, cwd=self.folder, capture_output=True)
        elif program == "python":
            assert (ROOT / words[0]).is_file(), line
        else:
            assert [program, words[0]] in (["ray", "start"], ["tensorboard", "--logdir"]), line

    def text(self, text: str) -> None:
        place = 0
        for part in text.split("\n...\n"):
            wanted = " ".join(part.split())
            place = self.printed[0].find(wanted, place)
            assert place >= 0, part


# The command of the market's page, which takes long, has a test of its own.
@pytest.mark.parametrize("name", sorted(set(NAMED) - {"docs/market.md"}))
def test_blocks_run(name: str, tmp_path: Path, stackroute: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(algorithms, "_REGISTERED", dict(algorithms._REGISTERED))
    page = Page(tmp_path, stackroute, name in GO_ON)
    for language, title, text in BLOCK.findall(NAMED[name].read_text()):
        if title:
            (tmp_path / title).write_text(text)
        if language == "toml":
            tomllib.loads(text)
        elif language in ("yaml", "json"):
            assert YAML(typ="safe", pure=True).load(text)
        elif language == "csv":
            assert len({len(row) for row in csv.reader(text.splitlines())}) == 1
        elif language:
            getattr(page, language)(text)


def test_the_market_report_is_what_its_command_writes(tmp_path: Path, stackroute: Runner) -> None:
    page = (DOCS / "market.md").read_text()
    ((*_, command),) = BLOCK.findall(page)
    Page(tmp_path, stackroute, False).console(command)
    written = re.sub(r"\((\w+)\.png\)", r"(images/market_\1.png)", (tmp_path / "market" / "report.md").read_text())
    title, *rest = written.split("\n\n")
    introduction = page.split("\n\n")[1:3]
    assert "\n\n".join([title, *introduction, *rest]) == page


def test_every_extra_has_a_target() -> None:
    (extras,) = re.findall(r"^EXTRAS := (.+)$", MAKEFILE, re.MULTILINE)
    assert extras.split(",") == list(EXTRAS)


@pytest.mark.parametrize("name", NAMED)
def test_no_advice_replaces_an_editable_installation_by_a_copy(name: str) -> None:
    for command in re.findall(r"pip install([^`\n]+)", NAMED[name].read_text()):
        assert "." not in {word.partition("[")[0] for word in shlex.split(command)} or " -e" in command, command


def test_all_blocks_are_found() -> None:
    found = [language for page in PAGES for language, *_ in BLOCK.findall(page.read_text())]
    fences = sum(len(re.findall("^[ >]*(?:```|~~~)", page.read_text(), re.MULTILINE)) for page in PAGES)
    assert 2 * len(found) == fences
    # The quick start's tables, which take a minute to make.
    assert found.count("") == 1
    assert found.count("python") >= 25
    assert found.count("console") >= 12


@pytest.mark.parametrize("name", NAMED)
def test_links_lead_to_files(name: str) -> None:
    text = NAMED[name].read_text()
    for target in re.findall(r"\]\(([^)#:]+)[)#]", text):
        assert (NAMED[name].parent / target).exists(), target
    for target in re.findall(r"`(tests/\S+\.py)`", text):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("name", NAMED)
def test_pages_are_finished(name: str) -> None:
    assert not re.search(r"^[A-Z_]{6,}$|TODO|FIXME", NAMED[name].read_text(), re.MULTILINE)


def test_public_names_are_in_the_reference() -> None:
    pages = "\n".join(
        page.read_text() for folder in ("reference", "environments", "routers") for page in (DOCS / folder).iterdir()
    )
    # A function whose module has its name is given by the path of both.
    described = {re.sub(r"\.(\w+)\.\1$", r".\1", name) for name in re.findall(r"^::: (\S+)$", pages, re.MULTILINE)}
    for module in (stackroute.analytic, stackroute.envs, stackroute.agents, stackroute.configs, routers):
        source = Path(module.__file__).read_text()
        public = {f"{module.__name__}.{name}" for name in re.findall(r"import \w+ as (\w+)$", source, re.MULTILINE)}
        assert public
        aliases = {"stackroute.envs.raw_env", "stackroute.envs.parallel_env"}
        assert public - described <= aliases, module.__name__


@pytest.mark.packaging
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    # With --quiet the build would not count warnings.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Action Space" in (tmp_path / "environments" / "provider" / "index.html").read_text()
    assert "stackroute advise" in (tmp_path / "reference" / "command-line" / "index.html").read_text()
    # The style sheet wraps commands by these names.
    assert 'href="../stylesheets/extra.css"' in (tmp_path / "tutorial" / "index.html").read_text()
    assert 'class="language-console highlight"' in (tmp_path / "tutorial" / "index.html").read_text()
    theory = (tmp_path / "theory" / "index.html").read_text()
    formulas = FORMULA.findall(BLOCK.sub("", NAMED["docs/theory.md"].read_text()))
    assert len(formulas) > 200
    assert theory.count('class="arithmatex"') == len(formulas)
    # What typesets them comes from elsewhere, always the same.
    elsewhere = re.findall(r"<(?:link|script)[^>]+//cdn[^>]+>", theory)
    assert len(elsewhere) == theory.count("//cdn") == 3
    assert all(re.search(r'@\d+\.\d+\.\d+/.+ integrity="sha384-\S{64}"', tag) for tag in elsewhere)
    assert "//cdn" not in (tmp_path / "faq" / "index.html").read_text()
