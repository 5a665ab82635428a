"""A whole campaign for show: a home folder made by the real commands, a laboratory that plays the world.

Everything that a supervisor would do is done by the ``dialer`` command itself, and printed as it is
run; the laboratory plays the carrier, the people and the desk phones, and small robots play the
operators. At the end the report is held against the network's own count, call by call.
"""
