"""What callwright stands for a long time: a flood of hostile SIP, and session after session. See `python -m soak`."""
