"""What strangers can send us, bent: `python -m fuzz` (`make fuzz`) looks for inputs that break a reader.

`targets.py` says what is read and what may come out, `seeds.py` what is bent, `mutation.py` how. Tests bend 100,000
inputs with a fixed seed; `python -m fuzz` goes on as long as one likes, led by the coverage of what it runs.
"""
