"""What a transaction machine asks for in answer to an input, in this order.

The four machines decide, `layer.py` carries out. Each machine has `state`, `deadline` (when to call `tick`, or None),
`over`, and one method per kind of input; each method returns a tuple of effects, empty when the input changes nothing.
"""

from enum import Enum, auto


class Effect(Enum):
    """One thing to do."""

    SEND = auto()
    "a client sends its request (again), a server its latest response (again)"
    ACK = auto()
    "acknowledge a final response other than 2xx (RFC 3261 §17.1.1.3)"
    DELIVER = auto()
    "pass the message that was just received to the transaction user"
    TIMED_OUT = auto()
    "tell the user that no answer (client) or no ACK (server) came"
    UNREACHABLE = auto()
    "tell the user that the message could not be sent"


Effects = tuple[Effect, ...]
NOTHING: Effects = ()
