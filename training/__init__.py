"""Learning the game by sampled play, judging what was learned exactly, and the command line."""
