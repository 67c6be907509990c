"""What a session knows of its prompts: asked for, ready, or failed."""

from dataclasses import dataclass, field

from callwright.callflow.events import PromptFailed, PromptReady


@dataclass(slots=True)
class PromptBook:
    """Prompts by id. An id that was never asked for is neither ready nor failed."""

    _settled: dict[str, PromptReady | PromptFailed] = field(default_factory=dict)

    def take(self, event: PromptReady | PromptFailed) -> None:
        """Note how a prompt came out; the first word counts."""
        self._settled.setdefault(event.prompt_id, event)

    def failure(self, prompt_id: str) -> PromptFailed | None:
        """How it failed, if it did."""
        event = self._settled.get(prompt_id)
        return event if isinstance(event, PromptFailed) else None

    def duration_seconds(self, prompt_id: str) -> float:
        """Length of one playing; 0 unless it is ready."""
        event = self._settled.get(prompt_id)
        return event.duration_seconds if isinstance(event, PromptReady) else 0.0

    def settled(self, prompt_id: str) -> bool:
        """Ready or failed."""
        return prompt_id in self._settled
