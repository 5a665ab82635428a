"""A call centre without telephones: the production floor, and simulated people, operators and faults.

* :mod:`.switch` is an Asterisk in memory; :mod:`.people` and :mod:`.seats` say how people and operators behave;
* :mod:`.memory` is a journal in memory, :mod:`.disk` the real one;
* :mod:`.day` plays a day (:mod:`.plan`) from a seed; :mod:`.plans` makes days of a given size;
* :mod:`.worlds` and :mod:`.fates` are people and operators in figures, for a pacing rule alone (:mod:`.quick`, against
  :mod:`.rivals`, scored by :mod:`.score`); :mod:`.lives` puts them on the whole floor, :mod:`.seen` as a journal has them,
  :mod:`.troubles` makes their days harder;
* :mod:`.stage` makes days of one campaign, :mod:`.trial` compares them, :mod:`.meter` counts and :mod:`.picture` draws
  (on a :mod:`.canvas`), for ``dialer simulate`` (:mod:`.command`, :mod:`.options`);
* :mod:`.breaking` is what breaks; :mod:`.invariants` and :mod:`.books` say what must be true, all along and at the end.
"""
