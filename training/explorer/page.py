"""What streamlit runs: the page of the game that its one argument describes, JSON as of `asked.Asked`."""

import sys

from stackroute.training.explorer.app import show
from stackroute.training.explorer.asked import Asked

if __name__ == "__main__":
    show(Asked.from_argument(sys.argv[1]))
