"""The routing game between an LLM provider and its user, playable, trainable and exactly solved.

The game and its equilibrium are those of Mahmood 2026, *Routing, Cascades, and User Choice for LLMs*
(arXiv:2602.09902). Importing the package registers the environments with Gymnasium and PettingZoo; all else is loaded
when it is first used. `__init__.pyi` lists the names.
"""

import lazy_loader

from stackroute._registration import register_environments

register_environments()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
