"""A second opinion on a season: required units from the YAML, capacity from the live actions.

Imports nothing of `infra.season`, so that a mistake there cannot hide here.
"""

from tests.evaluator.replay import Gap, evaluate
from tests.evaluator.rules import rule_violations

__all__ = ["Gap", "evaluate", "rule_violations"]
