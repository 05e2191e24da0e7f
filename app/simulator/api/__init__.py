"""The HTTP face: one file for each resource, and what stands before and around them."""
