"""What people are told by the dialplan and its scripts: made into sound before it is needed, and laid out where they find it.

``<home>/prompts/NAME.wav`` are recorded files; ``prompts/ru/PHRASE.wav`` (``en``, ``zh``) stand in for our own phrases
(:mod:`dialer.pbx.phrases`). ``prompts/cache`` is made of both (:mod:`dialer.pbx.soundcache`).

For each campaign: ``run/ivr/CAMPAIGN.json``, all that the scripts must know (:class:`Desk`), and what the dialplan plays by itself, as links
into the cache: ``run/ivr/CAMPAIGN/who.wav`` (who calls), ``menu.wav`` (what may be chosen), ``still.wav`` and ``alone.wav`` (the same for who waited in
vain, or cannot be given back to an engine), ``goodbye.wav``; ``message.wav``, ``machine.wav``. Of a campaign that takes calls: ``greeting.wav``,
why nobody takes one (``busy.wav``, ``closed.wav``, ``nobody.wav``), ``callback.wav`` (the offer), ``voicemail.wav``.

1. A file appears whole or not at all, and never changes: a call that is being told something now goes on being told it.
2. A sound that cannot be made is a caution, not an end: the scripts pass over what is missing, and where nothing is left the
   dialplan has its recorded sounds and its tones.
3. A choice is offered only if it can be told: without a voice there is no menu. Times take the longest (some ninety sounds);
   "call me later" is offered from the moment that they are there (:func:`make_times`).
4. So are a person's place in the queue and the waiting time, in the campaign's language (:meth:`Prompts.waiting`): what is not there yet,
   Asterisk says in English. They are the engine's to play, and stand in no desk.

All of it touches the disk and runs programs: off the event loop's thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.conduct import Choice, Language, Prompt
from dialer.core.ids import CampaignId
from dialer.core.values import CallingHours, Campaign
from dialer.pbx.phrases import inbound_phrases, phrases, waiting
from dialer.pbx.render import IVR_FOLDER
from dialer.pbx.soundcache import BadSound, SoundCache, write_whole

PROMPTS_FOLDER = "prompts"
RECALL: Mapping[str, str] = {"1": "callback", "2": "later"}
"""What who called us, and met nobody, is offered by which key."""
SAID = ("who", "message", "machine", "greeting", "closed")
"""What campaigns may say in their own words."""
_CAMPAIGN = re.compile(r"[a-z0-9_-]{1,32}\Z")


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What the scripts must know of a campaign (``run/ivr/CAMPAIGN.json``).

    *sounds*: by name, absolute paths without an ending, as Asterisk takes them. *offers*: key to choice, for who meets no operator; *keys*: the
    same for an announcement, which is played *times* times; *recall*: for who called us. *hours*: for the times that are offered; None: any time.
    *has_who*: a text of the campaign's own is said at once; without one it is our regret.
    """

    campaign: str
    language: Language
    sounds: dict[str, str]
    offers: dict[str, Choice]
    keys: dict[str, Choice] = {}
    recall: dict[str, str] = {}
    times: int = 2
    later_max: int = 3
    hours: CallingHours | None = None
    has_who: bool = False


class Prompts:
    """The sounds of the home folder *home*. *shared*: the folder that engine and scripts share."""

    def __init__(self, home: Path, shared: Path) -> None:
        self.folder = home.absolute() / PROMPTS_FOLDER
        self.ivr = shared.absolute() / IVR_FOLDER
        self._sounds = SoundCache(self.folder)
        self._waiting: dict[Language, dict[str, str]] = {}
        self._languages: dict[CampaignId, Language] = {}

    def stop(self) -> None:
        """Nothing more is spoken."""
        self._sounds.is_over = True

    def waiting(self, campaign: CampaignId) -> Mapping[str, str]:
        """What people who wait for the campaign are told: paths without an ending, by the names of
        :func:`dialer.pbx.phrases.waiting`. What is not made yet is not in it. Touches no disk."""
        language = self._languages.get(campaign)
        return self._waiting.get(language, {}) if language is not None else {}

    def make(self, campaigns: Sequence[Campaign]) -> list[str]:
        """Make what *campaigns* say and lay it out, but for the times of calls; the desks of all other campaigns go.

        Cautions: sentences about what could not be made. Raises OSError: the folders cannot be written.
        """
        self._sounds.open()
        self.ivr.mkdir(mode=0o700, parents=True, exist_ok=True)
        cautions: list[str] = []
        made = set()
        for campaign in campaigns:
            self._lay_out(campaign, cautions, with_times=False)
            made.add(campaign.id)
        self._languages = {one.id: one.last_word.language for one in campaigns}
        for language in set(self._languages.values()):
            self._make_waiting(language, cautions, only_cached=True)
        for path in self.ivr.glob("*.json"):
            if path.stem not in made:
                path.unlink(missing_ok=True)
        return cautions

    def make_times(self, campaigns: Sequence[Campaign]) -> list[str]:
        """Make the times of calls too, and offer to call later where a campaign says so; and what people are told who
        wait. Takes seconds, once for a language."""
        cautions: list[str] = []
        for campaign in campaigns:
            if "later" in _choices(campaign):
                self._lay_out(campaign, cautions, with_times=True)
        for language in dict.fromkeys(one.last_word.language for one in campaigns if _may_wait(one)):
            self._make_waiting(language, cautions, only_cached=False)
        return cautions

    def check(self, campaign: Campaign) -> list[str]:
        """What of *campaign*'s prompts cannot be used as it is, in sentences; nothing is made."""
        cautions = []
        for _, prompt in _prompts(campaign):
            if prompt.sound:
                try:
                    self._sounds.read(prompt.sound)
                except BadSound as error:
                    cautions.append(str(error))
        return cautions

    def _make_waiting(self, language: Language, cautions: list[str], *, only_cached: bool) -> None:
        found = {}
        for name, text in waiting(language).items():
            path = self._phrase(name, text, language, cautions, only_cached=only_cached)
            if path is not None:
                found[name] = path
                if not only_cached:  # each may be played from now on
                    self._waiting[language] = {**self._waiting.get(language, {}), name: path}
        self._waiting[language] = found

    # -- one campaign -------------------------------------------------------------------

    def _lay_out(self, campaign: Campaign, cautions: list[str], *, with_times: bool) -> None:
        language = campaign.last_word.language
        offers: dict[str, Choice] = {
            str(key): choice for key, choice in enumerate(campaign.last_word.offers, 1)
        }
        keys = dict(campaign.announcement.keys) if campaign.mode == "announcement" else {}
        recall = dict(RECALL) if campaign.inbound.numbers else {}
        wanted = {**phrases(language, offers), **phrases(language, keys)}
        essential = set(phrases(language, {k: c for k, c in offers.items() if c != "later"}))
        essential |= set(phrases(language, {k: c for k, c in keys.items() if c != "later"}))
        if recall:
            wanted |= inbound_phrases(language, recall)
            essential |= inbound_phrases(language, {k: c for k, c in recall.items() if c != "later"}).keys()
        sounds: dict[str, str] = {}
        for name, prompt in _prompts(campaign):
            path = self._prompt(campaign, name, prompt, language, cautions)
            if path is not None:
                sounds[name] = path
        for name, text in wanted.items():
            if name in sounds:  # in the campaign's own words
                continue
            is_now = with_times or name in essential
            path = self._phrase(name, text, language, cautions, only_cached=not is_now)
            if path is not None:
                sounds[name] = path
        has_times = wanted.keys() <= sounds.keys()
        offers = {key: choice for key, choice in offers.items() if _can_offer(key, choice, sounds, has_times)}
        # a message names its own keys, so they hold whether or not we could say them
        keys = {key: choice for key, choice in keys.items() if choice != "later" or has_times}
        recall = {key: choice for key, choice in recall.items() if _can_offer(key, choice, sounds, has_times)}
        desk = Desk(
            campaign=campaign.id,
            language=language,
            sounds=sounds,
            offers=offers,
            keys=keys,
            recall=recall,
            times=campaign.announcement.times,
            later_max=campaign.last_word.later_max,
            hours=campaign.hours,
            has_who="who" in sounds,
        )
        self._publish(campaign, desk)

    def _publish(self, campaign: Campaign, desk: Desk) -> None:
        if not _CAMPAIGN.match(campaign.id):
            return
        folder = self.ivr / campaign.id
        folder.mkdir(mode=0o700, exist_ok=True)
        links = dict.fromkeys(SAID) | {name: desk.sounds.get(name) for name, _ in _prompts(campaign)}
        links["who"] = desk.sounds.get("who") or desk.sounds.get("sorry")
        links["goodbye"] = desk.sounds.get("goodbye")
        others = {key: choice for key, choice in desk.offers.items() if choice != "wait"}
        links["menu"] = self._joined(desk, ["sorry"] if desk.has_who else [], desk.offers)
        links["still"] = self._joined(desk, ["still_nobody"], others)
        links["alone"] = self._joined(desk, ["alone"], others)
        links |= {"busy": None, "nobody": None, "callback": None, "voicemail": None}
        if campaign.inbound.numbers:
            links |= {"busy": desk.sounds.get("sorry"), "nobody": desk.sounds.get("alone")}
            links |= {name: desk.sounds.get(name) for name in ("closed", "voicemail")}
            links["callback"] = self._joined(desk, [], desk.recall)
        for name, sound in links.items():
            _link(folder / f"{name}.wav", None if sound is None else Path(f"{sound}.wav"))
        write_whole(self.ivr / f"{campaign.id}.json", msgspec.json.encode(desk))

    def _prompt(
        self, campaign: Campaign, name: str, prompt: Prompt, language: Language, cautions: list[str]
    ) -> str | None:
        if prompt.sound:
            try:
                return self._sounds.recorded(prompt.sound)
            except BadSound as error:
                cautions.append(f"Campaign {campaign.id}: {error}")
        if prompt.text:
            return self._sounds.spoken(prompt.text, language, f"campaign {campaign.id}, {name}", cautions)
        return None

    def _phrase(
        self, name: str, text: str, language: Language, cautions: list[str], *, only_cached: bool
    ) -> str | None:
        own = f"{language}/{name}.wav"
        if (self.folder / own).exists():
            try:
                return self._sounds.recorded(own)
            except BadSound as error:
                cautions.append(str(error))
        if only_cached:
            return self._sounds.spoken_before(text, language)
        return self._sounds.spoken(text, language, f"the phrase {name!r}", cautions)

    def _joined(self, desk: Desk, opening: Iterable[str], offers: Mapping[str, str]) -> str | None:
        """A menu as one sound, so that the dialplan can say it by itself; None: there is nothing to choose."""
        names = [*opening, *(f"{choice}_{key}" for key, choice in offers.items())]
        sounds = [desk.sounds[name] for name in names if name in desk.sounds]
        if not offers or not sounds:
            return None
        return self._sounds.joined(sounds)


def _prompts(campaign: Campaign) -> tuple[tuple[str, Prompt], ...]:
    """What is said in the campaign's own words, by the names of the sounds."""
    said = [("who", campaign.last_word.who)]
    if campaign.mode == "announcement":
        said.append(("message", campaign.announcement.message))
    if campaign.machines.detect and campaign.machines.action == "message":
        said.append(("machine", campaign.machines.message))
    if campaign.inbound.numbers:
        said.append(("greeting", campaign.inbound.greeting))
        said.append(("closed", campaign.inbound.outside_message))
    return tuple(said)


def _choices(campaign: Campaign) -> set[Any]:
    keys = campaign.announcement.keys.values() if campaign.mode == "announcement" else ()
    recall = RECALL.values() if campaign.inbound.numbers else ()
    return {*campaign.last_word.offers, *keys, *recall}


def _may_wait(campaign: Campaign) -> bool:
    """Whether people are ever held for an operator of the campaign."""
    return (
        bool(campaign.inbound.numbers)
        or campaign.no_agent == "hold"
        or not _choices(campaign).isdisjoint({"wait", "operator"})
    )


def _can_offer(key: str, choice: str, sounds: Mapping[str, str], has_times: bool) -> bool:
    return f"{choice}_{key}" in sounds and (choice != "later" or has_times)


def _link(link: Path, to: Path | None) -> None:
    if to is None:
        link.unlink(missing_ok=True)
        return
    if link.is_symlink() and link.readlink() == to:
        return
    scratch = link.with_name(f".{link.name}.new")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(to)
    scratch.replace(link)
