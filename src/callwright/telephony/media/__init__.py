"""The media plane: RTP of every call, paced and received in a process of its own.

plane.py      the door, in the parent          process.py     the child: loop, schedule, commands
stream.py     what the door speaks             pacer.py       20 ms frames leaving on schedule
events.py     what it posts                    outbound.py    what one stream sends
protocol.py   messages between the two         inbound.py     what arrives: source lock, statistics, keys
ports.py      which RTP ports are free         hearing.py     what arrived sound is wanted for
prompts.py    files, mapped once               relay.py       one direction of a bridge
call.py       one stream: sockets and all      tone_keys.py   keys among the sounds
reports.py    RTCP of one stream               recorder.py    both directions on one time line
sieve.py      sound left unread                recordings.py  the thread that writes them
"""
