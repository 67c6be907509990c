"""Killing callwright for real: `python -m chaos` (`make chaos`).

The process that users start is killed with SIGKILL at named points (`points.py`), over and over, on one data folder,
while SIPp takes its calls and a web server its webhooks, and both count. Afterwards nothing may be lost or there twice.
"""
