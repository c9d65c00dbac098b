"""Hooks of the documentation site's build: the page of the command line is made from the commands themselves."""

import html
import re
import subprocess
import sys

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_PAGE = "reference/command-line.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of the command line."""
    command = [sys.executable, "-m", "typer", "stackroute.training.cli.main", "utils", "docs", "--name", "stackroute"]
    text = html.unescape(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    examples = re.sub(r"^(Examples?: ?)?(stackroute .+)$", r"\1`\2`", text, flags=re.MULTILINE)
    files.append(File.generated(config, _PAGE, content=examples.replace("# `stackroute`", "# Command line", 1)))
    return files
