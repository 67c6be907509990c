"""A telephone network on this machine, for people and for tests: real SIP, real RTP, nobody outside.

carrier.py     the built-in carrier: takes calls, gives each a phone; places calls
behaviour.py   what a phone does; which number does it
handset.py     a phone's ear and mouth: RTP and RTCP
keypad.py      what pressing its keys becomes
placed.py      a call that a phone here placed
recording.py   what it heard
pace.py        one 20 ms timer for all handsets
loopback.py    telephony over one trunk, with the record of its legs
"""
