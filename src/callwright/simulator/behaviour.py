"""What a simulated phone does, and which number does it: every ending of a call can be tried without a phone.

The last four digits of the dialled number choose (E.164 numbers are free in their end):

| ends in | the callee |
|---|---|
| 0486, 0600 | is busy |
| 0480 | is unavailable |
| 0408 | rings for ever |
| 0404, 0484, 0503, 0603 … | is refused with that SIP status; any 04xx, 05xx and 06xx but 0401 and 0407 |
| 0183 | hears early media (183) before it answers |
| 0200 | answers at once, without ringing |
| 0487 | answers and hangs up after two seconds, in the middle of the message |
| 0100 | loses every tenth packet it is sent |
| anything else | rings, answers after a moment, listens until the call is hung up |
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from callwright.telephony.keys import KeyWay

ANSWER_AFTER_SECONDS = 1.0
"""How long a phone rings before somebody picks up."""


@dataclass(frozen=True, slots=True)
class Press:
    """Keys pressed one after the other."""

    after_seconds: float
    "from the answer, or from the silence that it is the reaction to"
    keys: str
    "0-9 * # A-D"
    ways: tuple[KeyWay, ...] = (KeyWay.EVENT,)
    "how each press is told: by one of them, or by several at once as some gateways do"
    hold_seconds: float = 0.1
    "how long each key is down; in steps of 20 ms"
    pause_seconds: float = 0.1
    "between two keys"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One phone's script. Times count from the INVITE unless their name says otherwise."""

    ring_after_seconds: float | None = 0.0
    "when 180 goes out (183 with `early_media`); None: never"
    answer_after_seconds: float | None = ANSWER_AFTER_SECONDS
    "when the callee picks up, or rejects with `reject_status`; None: rings for ever"
    reject_status: int | None = None
    "the final SIP status, 400 to 699, instead of an answer"
    early_media: bool = False
    "ring with a session description and let the tone be heard before the answer"
    hang_up_after_answer_seconds: float | None = None
    "None: the caller hangs up"
    drop_rate: float = 0.0
    "share of the packets it is sent that the callee never hears, 0 to 1"
    seed: int = 0
    "which packets those are"
    talks: bool = True
    "sends room tone back; False: sends no RTP at all"
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    "what the phone can do, in its order of preference"
    says_hz: tuple[float, ...] = ()
    "tones to say all the time instead of room tone, so that this phone's sound is found again elsewhere"
    press: tuple[Press, ...] = ()
    "keys pressed at fixed times after the answer"
    press_after_silence: tuple[Press, ...] = ()
    "the reaction to prompts: the first after the first prompt has fallen silent, the second after the second, ..."
    silence_seconds: float = 0.6
    "how long it must be quiet after a prompt until that one counts as over"

    def __post_init__(self) -> None:
        if self.reject_status is not None and not 400 <= self.reject_status <= 699:
            raise ValueError(f"a call is rejected with 400 to 699, not {self.reject_status}")
        if not 0.0 <= self.drop_rate <= 1.0:
            raise ValueError(f"drop_rate is a share from 0 to 1, not {self.drop_rate}")


SCRIPTED: Mapping[str, Behaviour] = {
    "0100": Behaviour(drop_rate=0.1, seed=100),
    "0183": Behaviour(early_media=True),
    "0200": Behaviour(ring_after_seconds=None, answer_after_seconds=0.0),
    "0408": Behaviour(answer_after_seconds=None),
    "0487": Behaviour(hang_up_after_answer_seconds=2.0),
}
"""Endings that are more than a final status."""

CHALLENGES = {401, 407}
"""Not refusals: a caller answers them."""


def behaviour_of(number: str, usual: Behaviour) -> Behaviour:
    """What the callee at `number` does; `usual` is what a number without a meaning does, and lends its times."""
    ending = number[-4:]
    scripted = SCRIPTED.get(ending)
    if scripted is not None:
        if scripted.answer_after_seconds == ANSWER_AFTER_SECONDS:
            scripted = replace(scripted, answer_after_seconds=usual.answer_after_seconds)
        return scripted
    if len(ending) == 4 and ending.isascii() and ending.isdigit() and 400 <= int(ending) <= 699:
        status = int(ending)
        if status not in CHALLENGES:
            return replace(usual, reject_status=status)
    return usual
