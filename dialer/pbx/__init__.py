"""Speaks Asterisk: requests and events over ARI, and the translation to and from the core's words.

``errors`` what can go wrong · ``client`` requests and the event socket · ``frames`` what Asterisk
says, typed · ``wire`` frames to events, commands to requests, errors to refusals (pure) ·
``adopt`` what lives in Asterisk right now · ``inbox`` the measured queue that never drops ·
``render`` Asterisk's configuration from templates.
"""
