"""Sockets, the media process and the trunks: carries legs for the switchboard.

line.py        the door: dial, take, pick up, hang up, play, bridge, listen, record; posts events
outgoing.py    legs that we dial            incoming.py  legs that come in
exchange.py    what all legs share          leg.py       one leg's record, and what its ends mean (pure)
caller.py      who calls whom (pure)        keys.py      one press told by several ways is one (pure)
trunk.py       who carries calls, and how each wants them (pure)
trunking.py    which trunk, which address, when; upkeep.py asks and registers; condition.py how a trunk is doing
reach.py       where trunks reach us
signalling.py  one SIP user agent on the loop; who may speak to it
datagrams.py   one UDP socket that learns which peers are not there
media/         RTP, in a process of its own
"""
