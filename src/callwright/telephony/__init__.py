"""Sockets, the media process and the trunks: carries legs for the switchboard.

line.py        the door: dial, hang up, play; posts events
leg.py         one leg's record, and what its ends mean (pure)
trunk.py       who carries calls, and at which addresses
signalling.py  one SIP user agent on the loop; who may speak to it
datagrams.py   one UDP socket that learns which peers are not there
media/         RTP, in a process of its own
"""
