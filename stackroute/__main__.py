"""The command line as `python -m stackroute`."""

from stackroute.training.cli.main import main

if __name__ == "__main__":
    main()
