"""The routing game between an LLM provider and its user, playable, trainable and exactly solved."""

from stackroute._version import __version__ as __version__
