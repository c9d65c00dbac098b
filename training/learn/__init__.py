"""Learning: schemes, exact evaluation, and runs in folders."""
