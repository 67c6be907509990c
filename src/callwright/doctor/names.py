"""A name system whose questions and answers are kept, so that people see how a trunk was found."""

import socket

from callwright.sip.resolution import Answers, Naptr, Question, Srv
from callwright.telephony.resolver import NameSystem


class NamesAsked:
    """Asks another, and remembers in words."""

    def __init__(self, names: NameSystem) -> None:
        self._names = names
        self.told: list[str] = []
        "`SRV _sip._udp.example.com: 10 5 sip.example.com:5060`"

    async def ask(self, question: Question, family: socket.AddressFamily) -> Answers:
        """The other's answer."""
        kind = question.kind if question.kind != "ADDRESS" else "AAAA" if family is socket.AF_INET6 else "A"
        try:
            answers = await self._names.ask(question, family)
        except OSError as error:
            self.told.append(f"{kind} {question.name}: {error.strerror or error}")
            raise
        self.told.append(f"{kind} {question.name}: {', '.join(map(_words, answers)) or 'none'}")
        return answers


def _words(record: Naptr | Srv | str) -> str:
    match record:
        case Naptr():
            return f"{record.order} {record.preference} {record.service} {record.replacement}"
        case Srv():
            return f"{record.priority} {record.weight} {record.target}:{record.port}"
        case _:
            return record
