"""Result sets as files: the same bytes for the same callbacks, whatever order they came in."""
