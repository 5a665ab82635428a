"""The commands by subject: each parses, calls one function of ``dialer.office``, and prints.

As with ``cli``, everything that is not needed for ``--help`` is imported when a command is called.
"""
