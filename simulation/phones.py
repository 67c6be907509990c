"""The other end: a trunk with telephones behind it, on the real SIP user agent, that behave as they were told.

Each phone keeps a record of what really happened to it, which is what the truth of a session is judged by.
"""

import random
from dataclasses import dataclass, field

from callwright.errors import SdpError
from callwright.sip import outputs, sdp
from callwright.sip.address import NameAddr, SipUri, escape_user
from callwright.sip.agent import UserAgent
from callwright.sip.negotiation import make_answer, make_offer
from callwright.sip.outputs import Output
from callwright.sip.profile import AgentProfile
from simulation.media import CODECS, Airwaves
from simulation.network import Address, Network
from simulation.world import Entry, World

TRUNK: Address = ("192.0.2.10", 5060)
MEDIA_HOST = "192.0.2.11"
SILENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How a phone behaves. Seconds count from its INVITE, unless said otherwise; None: never."""

    rings_after: float | None = 0.1
    early_media: bool = False
    decides_after: float | None = 1.0
    status: int = 200
    "its decision: it answers, or refuses with a final status"
    answers_cancel: bool = False
    "picks up in the very moment in which it is told not to"
    hangs_up_after: float | None = None
    "counted from its answer"
    presses: tuple[tuple[float, str], ...] = ()
    "keys, each with seconds from its answer"
    vanishes_after: float | None = None
    "its battery is empty: it hears and says nothing any more"
    never_acknowledges: bool = False
    "a caller whose ACKs are lost on the way, all of them"


@dataclass(slots=True)
class Phone:
    """What happened to one call of one phone."""

    call_id: str
    number: str
    manner: Manner
    port: int
    invited_at: float
    inbound: bool = False
    "it called us"
    rang_at: float | None = None
    answered_at: float | None = None
    "when its user picked up; for a caller, when it heard our answer"
    ended_at: float | None = None
    vanished: bool = False
    pressed: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    answer: bytes = b""

    @property
    def up(self) -> bool:
        """Somebody is still holding it to their ear."""
        return self.answered_at is not None and self.ended_at is None and not self.vanished

    @property
    def calls_us(self) -> bool:
        """It waits for our answer."""
        return self.inbound and self.answered_at is None and self.ended_at is None and not self.vanished


class Phones:
    """All phones behind one trunk address."""

    def __init__(self, world: World, network: Network, airwaves: Airwaves, address: Address = TRUNK) -> None:
        self.address = address
        self.manners: dict[str, Manner] = {}
        "by number, as dialled"
        self.calls: list[Phone] = []
        self._world = world
        self._network = network
        self._airwaves = airwaves
        chance = world.lots(f"phones {address}")
        self._chance: random.Random = chance
        self._by_call_id: dict[str, Phone] = {}
        self._lost: list[bytes] = []
        "Call-IDs of phones that vanished"
        self._agent = UserAgent(
            AgentProfile(address[0], address[1], user="trunk", name="trunk", may_call=lambda _source, _request: True),
            lambda: f"{chance.getrandbits(96):024x}",
        )
        self._timer: Entry | None = None
        self._timer_at = 0.0
        network.listen(address, self._receive)

    def call(self, number: str, destination: str, to: Address, manner: Manner) -> None:
        """A phone here calls somebody."""
        call_id = f"{self._chance.getrandbits(96):024x}"
        phone = self._add(call_id, number, manner, inbound=True)
        offer = sdp.serialize(make_offer(MEDIA_HOST, phone.port, session_id=1, version=1, codecs=CODECS))
        callee = SipUri(to[0], escape_user(destination), to[1])
        caller = NameAddr(str(SipUri(self.address[0], escape_user(number))))
        self._tell(phone, f"calls {destination}")
        self._carry(
            self._agent.invite(
                self._world.now,
                call_id,
                target=callee,
                next_hop=to,
                from_=caller,
                to=NameAddr(str(callee)),
                offer=offer,
            )
        )
        if manner.decides_after is not None:  # a caller loses patience
            phone.entries.append(self._world.after(manner.decides_after, self._lose_patience, phone))

    def _add(self, call_id: str, number: str, manner: Manner, *, inbound: bool) -> Phone:
        phone = Phone(call_id, number, manner, 20_000 + 2 * len(self.calls), self._world.now, inbound)
        self.calls.append(phone)
        self._by_call_id[call_id] = phone
        if manner.vanishes_after is not None:
            phone.entries.append(self._world.after(manner.vanishes_after, self._vanish, phone))
        return phone

    def _tell(self, phone: Phone, what: str) -> None:
        self._world.tell(f"phone {phone.number[-4:]}", what)

    # --- the wire ----------------------------------------------------------------------------------------------------

    def _receive(self, data: bytes, source: Address) -> None:
        if any(call_id in data for call_id in self._lost):
            return
        if data.startswith(b"CANCEL "):
            for phone in self.calls:
                if phone.manner.answers_cancel and phone.answered_at is None and phone.call_id.encode() in data:
                    self._answer(phone)
        self._carry(self._agent.receive(self._world.now, data, source))

    def _carry(self, wishes: list[Output]) -> None:
        for output in wishes:
            if isinstance(output, outputs.Transmit):
                self._send(output)
            elif isinstance(output, outputs.IncomingCall):
                self._invited(output)
            elif not isinstance(output, outputs.Received | outputs.Replied):
                phone = self._by_call_id.get(output.call_id)
                if phone is not None:
                    self._told(phone, output)
        self._arm()

    def _send(self, output: outputs.Transmit) -> None:
        if any(call_id in output.data for call_id in self._lost):
            return
        phone = self._by_call_id.get(output.call_id)
        if phone is not None and phone.manner.never_acknowledges and output.data.startswith(b"ACK "):
            return
        self._network.send(output.data, self.address, output.destination)

    def _arm(self) -> None:
        deadline = self._agent.deadline
        if deadline is None or (self._timer is not None and self._timer_at <= deadline):
            return
        if self._timer is not None:
            self._timer.cancelled = True
        self._timer_at = deadline
        self._timer = self._world.at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._carry(self._agent.tick(self._world.now))

    # --- what the user agent tells -----------------------------------------------------------------------------------

    def _invited(self, call: outputs.IncomingCall) -> None:
        number = SipUri.parse(call.request.uri).decoded_user
        manner = self.manners.get(number, Manner())
        phone = self._add(call.call_id, number, manner, inbound=False)
        self._tell(phone, "is called")
        try:
            description = self._description(phone, call.sdp)
        except SdpError:
            self._carry(self._agent.reject(self._world.now, call.call_id, 488))
            return
        phone.answer = description
        if manner.rings_after is not None:
            phone.entries.append(self._world.after(manner.rings_after, self._ring, phone))
        if manner.decides_after is not None:
            phone.entries.append(self._world.after(manner.decides_after, self._decide, phone))

    def _description(self, phone: Phone, offer: bytes | None) -> bytes:
        if not offer:
            return sdp.serialize(make_offer(MEDIA_HOST, phone.port, session_id=1, version=1, codecs=CODECS))
        description, _ = make_answer(sdp.parse(offer), MEDIA_HOST, phone.port, session_id=1, version=1, codecs=CODECS)
        return sdp.serialize(description)

    def _told(self, phone: Phone, output: Output) -> None:
        match output:
            case outputs.CallAnswered() if phone.inbound:
                self._talk(phone)
            case outputs.CallRinging() if phone.rang_at is None:
                phone.rang_at = self._world.now
            case outputs.CallFailed(status=status):
                self._over(phone, f"is no longer called ({status})")
            case outputs.CallEnded(by_peer=by_peer):
                self._over(phone, "was hung up on" if by_peer else "is over")
            case outputs.ChangeOffered(sdp=offer):
                answer = self._description(phone, offer)
                self._carry(self._agent.accept_change(self._world.now, phone.call_id, answer))
            case _:
                pass

    # --- what its user does ------------------------------------------------------------------------------------------

    def _ring(self, phone: Phone) -> None:
        if phone.ended_at is not None or phone.answered_at is not None:
            return
        phone.rang_at = self._world.now
        self._tell(phone, "rings")
        if phone.manner.early_media:
            self._carry(self._agent.ring(self._world.now, phone.call_id, 183, phone.answer))
        else:
            self._carry(self._agent.ring(self._world.now, phone.call_id, 180))

    def _decide(self, phone: Phone) -> None:
        if phone.ended_at is not None or phone.answered_at is not None:
            return
        if phone.manner.status == 200:
            self._answer(phone)
        else:
            self._tell(phone, f"refuses with {phone.manner.status}")
            self._carry(self._agent.reject(self._world.now, phone.call_id, phone.manner.status))

    def _answer(self, phone: Phone) -> None:
        if phone.ended_at is not None:
            return
        self._talk(phone)
        self._carry(self._agent.answer(self._world.now, phone.call_id, phone.answer))

    def _talk(self, phone: Phone) -> None:
        phone.answered_at = self._world.now
        self._tell(phone, "hears us" if phone.inbound else "is picked up")
        for seconds, digit in phone.manner.presses:
            phone.entries.append(self._world.after(seconds, self._press, phone, digit))
        if phone.manner.hangs_up_after is not None:
            phone.entries.append(self._world.after(phone.manner.hangs_up_after, self._hang_up, phone))

    def _press(self, phone: Phone, digit: str) -> None:
        if phone.up:
            self._tell(phone, f"presses {digit}")
            phone.pressed.append(digit)
            self._airwaves.press((MEDIA_HOST, phone.port), digit)

    def _hang_up(self, phone: Phone) -> None:
        if phone.up:
            self._tell(phone, "hangs up")
            phone.ended_at = self._world.now
            self._carry(self._agent.hang_up(self._world.now, phone.call_id))

    def _lose_patience(self, phone: Phone) -> None:
        if phone.answered_at is None and phone.ended_at is None:
            self._tell(phone, "gives up calling")
            self._carry(self._agent.hang_up(self._world.now, phone.call_id))

    def _vanish(self, phone: Phone) -> None:
        self._tell(phone, "vanishes")
        phone.vanished = True
        self._lost.append(phone.call_id.encode())
        self._airwaves.fall_silent((MEDIA_HOST, phone.port), SILENCE_SECONDS)

    def _over(self, phone: Phone, what: str) -> None:
        if phone.ended_at is None:
            phone.ended_at = self._world.now
            self._tell(phone, what)
        for entry in phone.entries:
            entry.cancelled = True
        self._airwaves.fall_silent((MEDIA_HOST, phone.port), SILENCE_SECONDS)
