"""Other people's programs at the work that callwright is measured by, in the same run on the same machine.

One file per peer, each with `measure(rig, program) -> Result`; its figures bear the names of callwright's where the
work is the same. A peer that is not installed is named, and no failure.
"""
