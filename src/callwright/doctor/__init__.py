"""What may be wrong with a trunk, found by using it: names, connections, registration, a call with sound both ways.

finding.py   what is told: one sentence, and the setting that mends it
judge.py     what an observation means (pure)
names.py     a name system whose questions and answers are kept
secure.py    a TLS server's certificate
caller.py    a line of our own, and one call over it
examine.py   everything about one trunk, in order
"""
