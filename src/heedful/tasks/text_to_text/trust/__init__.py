"""How far an answer can be trusted: probabilities, alignments, confidence, warnings."""

from __future__ import annotations

from heedful.tasks.text_to_text.trust.attention import Finished
from heedful.tasks.text_to_text.trust.case import Case
from heedful.tasks.text_to_text.trust.examine import Findings, examine, fit_trust
from heedful.tasks.text_to_text.trust.settings import TrustSettings
from heedful.tasks.text_to_text.trust.words import source_spans

__all__ = ["Case", "Findings", "Finished", "TrustSettings", "examine", "fit_trust", "source_spans"]
