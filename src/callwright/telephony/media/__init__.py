"""The media plane: RTP of every call, paced and received in a process of its own.

plane.py      the door, in the parent          process.py   the child: loop, schedule, commands
stream.py     what the door speaks             pacer.py     20 ms frames leaving on schedule
events.py     what it posts                    inbound.py   what arrives: source lock, statistics, keys
protocol.py   messages between the two         reports.py   RTCP of one stream
ports.py      which RTP ports are free         call.py      one stream: sockets, outbound, inbound, reports
"""
