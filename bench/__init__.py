"""What callwright costs: `python -m bench`, one file per figure, each with `measure(rig) -> Result`."""
