"""A second opinion on a season: required units from the YAML, capacity from the live actions.

Imports nothing of `infra.season`, so that a mistake there cannot hide here.
"""

from tests.evaluator.lent import find_excess
from tests.evaluator.replay import Gap, evaluate
from tests.evaluator.required import required_units
from tests.evaluator.rules import rule_violations

__all__ = ["Gap", "evaluate", "find_excess", "required_units", "rule_violations"]
