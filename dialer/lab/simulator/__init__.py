"""A call centre without telephones: the production floor, and simulated people, operators and faults.

* :mod:`.switch` is an Asterisk in memory; :mod:`.people` and :mod:`.seats` say how people and operators behave;
* :mod:`.memory` is a journal in memory, :mod:`.disk` the real one;
* :mod:`.day` plays a day (:mod:`.plan`) from a seed; :mod:`.plans` makes days of a given size;
* :mod:`.invariants` and :mod:`.books` say what must be true, all along and at the end.
"""
