"""What Prometheus and whoever watches the engine may know of it.

1. **Counters are fed, gauges are read.** Counters and histograms grow with what was decided and is written in the
   journal (:mod:`.counters`); how things stand is read from the floor when somebody asks (:mod:`.gauges`).
2. Counters begin at 0 with each engine. Prometheus knows how to add over that; the journal has the whole truth.
3. Nothing here decides, or can stop an engine: a port that is taken is tried again, a folder that hangs is left out.
4. Labels are names that the centre wrote itself (campaigns, trunks, servers) and words from closed sets. No number, no
   name of a person, no id of a call or a contact is ever one.
5. A scrape reads the floor in one go on the loop, and writes its text in a thread.
"""
