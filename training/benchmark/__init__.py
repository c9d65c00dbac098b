"""The benchmark of learning algorithms, judged by exact regret."""
