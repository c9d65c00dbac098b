"""A page in the browser that shows a game and its answer while its numbers are changed."""
