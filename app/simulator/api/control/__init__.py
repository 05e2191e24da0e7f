"""The control plane, which Edges does not have: what is true, and levers for tests."""

from app.simulator.api.control import levers, truth

ROUTES = [*truth.ROUTES, *levers.ROUTES]
