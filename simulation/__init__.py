"""The deterministic simulation: the real rooms on a virtual machine, where one number decides everything that happens.

    python -m simulation --seeds 2000

Real are the switchboard, telephony with its SIP user agents, the webhook delivery, the store with SQLite, and all pure
rooms. Virtual are time, the event loop, the network, the media process, receivers, telephones and chance. A process can
be killed between any two steps of its loop; what is committed then survives, nothing else does.
"""
