"""What can go wrong with a measurement that is no fault of the bench: it is reported, and the others still run."""

from bench.rig.result import Failure


class Trouble(Exception):
    """A figure cannot be measured, and why."""


class ServerTrouble(Trouble):
    """A process that is measured, or measures, did not start or ended on its own."""


class UnexpectedAnswer(Trouble):
    """The server answered something that no measurement asked for."""


class NotHeld(Trouble):
    """So many calls did not come up, or did not stay up."""


class Attempt:
    """`with Attempt(name, failures):` what is in trouble inside is added to `failures`, with its reason, and is over.

    Anything else that is raised is a fault of the bench and goes on.
    """

    def __init__(self, name: str, failures: list[Failure]) -> None:
        self._name, self._failures = name, failures

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """True when what happened is reported."""
        match error:
            case TimeoutError():
                reason = "it took too long"
            case Trouble() | OSError() | EOFError():
                reason = str(error) or type(error).__name__
            case _:
                return False
        self._failures.append(Failure(self._name, reason))
        return True
