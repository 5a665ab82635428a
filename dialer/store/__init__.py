"""Remembers: the journal and everything that is asked of it (SQLite, one writer).

1. The journal holds facts; a deadline or a due time is a column of its attempt or lead. Redis
   may be wiped and nothing is lost.
2. The engine writes through :class:`dialer.store.journal.Journal`: one thread, one connection,
   one transaction for each decision. What it asks for when it decides (leads, open attempts) is
   read on that same connection, so it always sees its own writes.
3. The command line writes by short transactions of its own (:mod:`dialer.store.settings`,
   :mod:`dialer.store.contacts`); nobody holds the write lock for longer than a chunk.
4. Reports read on read-only connections. WAL: readers and the writer never wait for each other.
5. Tables and columns have plain names, so that ``sqlite-utils`` or ``datasette`` shows them to
   anyone; the columns of ``attempts`` are the fields of :class:`dialer.core.values.Call`.
"""
