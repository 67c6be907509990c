"""What the figures are measured with: the server as a process of its own, callees, load, and a look at processes."""
