"""The command line as `python -m stackroute`."""

from stackroute.training.cli.main import main

main()
