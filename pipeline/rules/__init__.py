"""Rules of alerts: `alerts.toml` read, checked and compiled."""

from pipeline.rules.compile import compile_rules, unable
from pipeline.rules.facts import Known
from pipeline.rules.file import RuleText, load, rules_of

__all__ = ["Known", "RuleText", "compile_rules", "load", "rules_of", "unable"]
