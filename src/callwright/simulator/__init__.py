"""A telephone network on this machine, for people and for tests: real SIP, real RTP, nobody outside.

carrier.py     the built-in carrier: takes calls, gives each a callee
behaviour.py   what a callee does; which number does it
handset.py     a callee's ear and mouth: RTP and RTCP
recording.py   what it heard
pace.py        one 20 ms timer for all handsets
loopback.py    telephony over one trunk, with the record of its legs
"""
