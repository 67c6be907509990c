"""The media plane: RTP of every call, paced and received in a process of its own.

plane.py      the door, in the parent          process.py     the child: loop, commands
planes.py     several processes, one door
stream.py     what the door speaks             pacer.py       when which frames leave
events.py     what it posts                    slot.py        the fast lane: frames of many calls together
protocol.py   messages between the two         wire.py        sendmmsg
ports.py      which RTP ports are free         lane.py        which way a call's frames leave
local_port.py a port, one call's or shared     outbound.py    what one stream sends
sockets.py    UDP sockets                      inbound.py     what arrives: SSRC lock, statistics, keys
prompts.py    files, mapped once               hearing.py     what arrived sound is wanted for
framing.py    sound cut into packets           relay.py       one direction of a bridge
call.py       one stream                       tone_keys.py   keys among the sounds
reports.py    RTCP of one stream               recorder.py    both directions on one time line
sieve.py      sound left unread                recordings.py  the thread that writes them
"""
