"""Recordings from their first sample to the customer's own storage.

shelf.py      begins recordings, takes them in when they are whole, uploads them until they arrive
lanes.py      which of those that wait is next (pure)
spool.py      the files that wait on this machine
encoding.py   a process for each file that is to become an mp3; encoder.py is what runs in it
places.py     what a finished recording is called at its target (pure)
push/         one way to deliver each: s3.py, sftp.py, local.py

Nothing leaves the machine unless the sub-account has a push config.
"""
