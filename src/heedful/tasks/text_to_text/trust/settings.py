"""What a model's card keeps about how far its answers can be trusted."""

from __future__ import annotations

from heedful.settings import Settings
from heedful.tasks.text_to_text.trust.alignment import AlignmentSettings
from heedful.tasks.text_to_text.trust.confidence import ConfidenceModel
from heedful.tasks.text_to_text.trust.signals import Usual


class TrustSettings(Settings):
    """What was found on texts that were held out."""

    alignment: AlignmentSettings
    usual: Usual
    confidence: ConfidenceModel | None = None
    """None where too few texts were held out."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user, a line each."""
        chosen = self.alignment
        where = f"layer {chosen.layer + 1}, heads {', '.join(str(head + 1) for head in chosen.heads)}"
        why = "the usual ones: the texts were too few to choose by"
        if chosen.agreement is not None:
            why = f"which agrees with {chosen.agreement:.1%} of the sure links of an IBM model 1"
        notes = [f"word alignments by the attention of {where}, {why}"]
        if self.confidence is not None:
            notes.append(
                f"confidence fitted on {self.confidence.num_answers:,} held-out answers: calibration error "
                f"{self.confidence.calibration_error:.1%}, correlation {self.confidence.correlation:.2f}"
            )
        return tuple(notes)
