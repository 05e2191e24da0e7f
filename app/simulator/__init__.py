"""A simulated Edges: the documented API over real HTTP, with faults on demand.

It keeps to the contract alone and imports nothing from the rest of `app`, so that the
collector and its stand-in check each other. What happens is pure and comes from a seed
(`outcome`, `fate`, `results`, `api.faults`); when it happens is left to `delivery`, and for
schedules to `scheduler`. The `clock` is the simulator's own. Below `/_simulator` stand the
truth and the levers that tests pull (`api.control`).
"""

from app.simulator.application import create_app
from app.simulator.scenario import Scenario
from app.simulator.server import SimulatedEdges, serve

__all__ = ["Scenario", "SimulatedEdges", "create_app", "serve"]
