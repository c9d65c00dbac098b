"""Errors about files of learned players."""


class PolicyFileError(ValueError):
    """A file does not hold a saved policy of the expected kind."""


class UntrustedFileError(Exception):
    """A file could run code when it is loaded, and the caller has not said that it is to be trusted."""
