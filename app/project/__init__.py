"""From logged callbacks to runs, inputs and results: a pure core, and a loop around it."""
