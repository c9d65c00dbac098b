"""Errors about files of learned players."""

import re


class PolicyFileError(ValueError):
    """A file does not hold a saved policy of the expected kind."""


class UntrustedFileError(Exception):
    """A file could run code when it is loaded, and the caller has not said that it is to be trusted."""


def without_advice(error: Exception) -> str:
    """What an error says, in one line, but for a library's advice to load a file in a way that could run code."""
    text = " ".join(str(error).split())
    advises = re.search("pickle|weights_only|trust", text)
    return "it holds more than numbers" if advises else text or type(error).__name__
