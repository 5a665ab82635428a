"""Is everything in the dialplan spelt as it is spelt elsewhere?

Asterisk does not say: a jump to a label that is not there hangs the person up, a variable that nobody sets is empty. So we read our
dialplan as Asterisk does, and what speaks of it (the wire, the scripts, the templates), and compare names:

1. Every jump (``Goto``, ``GotoIf``, ``Gosub``, ``GosubIf``) leads to a context, extension and label (or priority) that is there.
2. Every variable of ours (``OBZVON_...``) that is read is set by somebody: a step, a global, the wire or a script; and what a step,
   a global, the wire or a script sets is read by somebody.
3. Every context, tone or section of ours (``obzvon-...``) that is named by anybody is there.

What is put together at run time (``${...}`` in a target) is followed as far as it is written out.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dialer.pbx.render import files_folder

_CONTEXT = re.compile(r"\[([^\]]+)\](?:\([^)]*\))?\s*\Z")
_STEP = re.compile(
    r"(?:exten\s*=>?\s*([^,]+),|same\s*=>?\s*)(\d+|n)(?:\(([\w-]+)\))?,(\w+)(?:\((.*)\))?\s*\Z"
)
_INCLUDE = re.compile(r"include\s*=>?\s*(\S+)\s*\Z")
_OURS = re.compile(r"\bobzvon-[a-z][a-z0-9-]*[a-z0-9]\b")
_VARIABLE = re.compile(r"\bOBZVON_[A-Z0-9_]*[A-Z0-9]\b")
_SETTING = re.compile(r"\A_{0,2}(OBZVON_[A-Z0-9_]+)=")

SPEAKERS: Final = ("dialer/pbx/*.py", "dialer/office/**/*.py", "dialer/engine/*.py", "agi/*.py")
"""Modules that name contexts and variables of the dialplan."""
ENVIRONMENT: Final = re.compile(r"OBZVON_(HOME|TRACEBACK|ASTERISK_ROOT|SECRET\w*)\Z")
"""Variables of processes, which are none of the dialplan's."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One priority. *where*: file and line."""

    where: str
    context: str
    extension: str
    priority: int
    label: str
    application: str
    arguments: str


class Dialplan(msgspec.Struct, kw_only=True):
    """What was read. *faults*: lines that nobody understands."""

    steps: list[Step] = []
    contexts: dict[str, list[str]] = {}
    """Their names, and which contexts each includes."""
    faults: list[str] = []


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What others than the dialplan say. Each name with where it was said.

    *globals*: variables of ours that are. *spoken*: variables that the wire, the scripts and others name, with every module that
    does. *ours*: contexts, tones and sections that anybody names. *there*: tones and sections that are there.
    """

    globals: Mapping[str, str] = {}
    spoken: Mapping[str, tuple[str, ...]] = {}
    ours: Mapping[str, str] = {}
    there: frozenset[str] = frozenset()


def check(texts: Mapping[str, str], names: Names) -> list[str]:
    """What is wrong with the dialplan *texts* (by file): a sentence with file and line for each; empty: nothing."""
    plan = read(texts)
    return [*plan.faults, *_jumps(plan), *_variables(plan, names), *_ours(plan, names)]


def check_ours() -> list[str]:
    """What is wrong with the dialplan of this installation, and with what speaks of it."""
    return check(own_texts(), own_names())


def own_texts() -> dict[str, str]:
    """Our dialplan, by file. Raises BadSetting: it is not there."""
    return {
        f"dialplan/{path.name}": path.read_text(encoding="utf-8")
        for path in sorted(files_folder("dialplan").glob("*.conf"))
    }


def own_names() -> Names:
    """What our templates, the wire and the scripts say. Raises BadSetting: the templates are not there."""
    templates = files_folder("asterisk-conf")
    extensions = (templates / "extensions.conf").read_text(encoding="utf-8")
    indications = (templates / "indications.conf").read_text(encoding="utf-8")
    pjsip = (templates / "pjsip.conf").read_text(encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    spoken: dict[str, dict[str, str]] = {}
    ours: dict[str, str] = {}
    for path in sorted(path for pattern in SPEAKERS for path in root.glob(pattern)):
        for text, place in _constants(path):
            where = f"{path.relative_to(root)}:{place}"
            for name in _VARIABLE.findall(text):
                if not ENVIRONMENT.match(name):
                    spoken.setdefault(name, {})[path.name] = where
            if path.parent.name in ("pbx", "agi"):  # elsewhere it may be a word like any other
                ours |= dict.fromkeys(_OURS.findall(text), where)
    for path in sorted(templates.rglob("*.conf")):
        for place, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.lstrip().startswith(";"):
                ours |= dict.fromkeys(_OURS.findall(line), f"{path.name}:{place}")
    there = set(re.findall(r"^(obzvon-[\w-]+) =", indications, re.MULTILINE))
    there |= set(re.findall(r"^\[(obzvon-[\w-]+)\]", pjsip, re.MULTILINE))
    known = dict.fromkeys(re.findall(r"^(OBZVON_\w+)\s*=", extensions, re.MULTILINE), "extensions.conf")
    return Names(
        globals=known,
        spoken={name: tuple(places.values()) for name, places in spoken.items()},
        ours=ours,
        there=frozenset(there),
    )


def _constants(path: Path) -> Iterator[tuple[str, int]]:
    """Texts in a module's code with their lines; what a docstring tells is not code."""
    text = path.read_text(encoding="utf-8")
    if "obzvon-" not in text and "OBZVON_" not in text:
        return
    tree = ast.parse(text)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value, node.lineno


# -- reading ------------------------------------------------------------------------------------


def read(texts: Mapping[str, str]) -> Dialplan:
    """The dialplan as Asterisk would read it."""
    plan = Dialplan()
    for name, text in texts.items():
        context = extension = ""
        priority = 0
        for place, raw in enumerate(text.splitlines(), 1):
            line, where = _without_comment(raw), f"{name}:{place}"
            if not line or line.startswith("#include"):
                continue
            if found := _CONTEXT.match(line):
                context, extension, priority = found[1], "", 0
                plan.contexts.setdefault(context, [])
            elif context in ("general", "globals"):
                continue
            elif found := _INCLUDE.match(line):
                plan.contexts[context].append(found[1])
            elif (found := _STEP.match(line)) and context and (found[1] or extension):
                extension = found[1].strip() if found[1] else extension
                priority = int(found[2]) if found[2] != "n" else priority + 1
                plan.steps.append(
                    Step(
                        where=where,
                        context=context,
                        extension=extension,
                        priority=priority,
                        label=found[3] or "",
                        application=found[4],
                        arguments=found[5] or "",
                    )
                )
            else:
                plan.faults.append(f"{where}: {line!r} is not understood")
    return plan


def _without_comment(line: str) -> str:
    return re.sub(r"(?<!\\);.*", "", line).strip()


# -- jumps --------------------------------------------------------------------------------------


def _jumps(plan: Dialplan) -> Iterator[str]:
    for step in plan.steps:
        for target in targets(step):
            if (fault := _fault(plan, target)) is not None:
                yield f"{step.where}: {step.application}({step.arguments}): {fault}"
    for context, included in plan.contexts.items():
        for one in included:
            if one not in plan.contexts:
                yield f"[{context}]: includes {one}, and there is no such context"


def targets(step: Step) -> list[tuple[str, str, str]]:
    """Where the step may jump: context, extension, label or priority."""
    match step.application:
        case "Goto" | "Gosub":
            told = [step.arguments]
        case "GotoIf" | "GosubIf":
            _, told = branches(step.arguments)
        case _:
            return []
    found = []
    for one in told:
        if one:
            parts = _split(re.sub(r"\(.*\)\Z", "", one, flags=re.DOTALL), ",")
            found.append(tuple([step.context, step.extension][: 3 - len(parts)] + parts))
    return found  # type: ignore[return-value]


def branches(arguments: str) -> tuple[str, list[str]]:
    """A condition, and where it leads: when it holds, and when not."""
    condition, *rest = _split(arguments, "?", most=1)
    return condition, _split(rest[0], ":", most=1) if rest else []


def _split(text: str, at: str, *, most: int = -1) -> list[str]:
    """*text* in parts at *at*, but not within brackets or quotes."""
    parts: list[str] = []
    part, depth, is_quoted = "", 0, False
    for char in text:
        if char == '"':
            is_quoted = not is_quoted
        depth += (char in "([{") - (char in ")]}") if not is_quoted else 0
        if char == at and not depth and not is_quoted and (most < 0 or len(parts) < most):
            parts.append(part)
            part = ""
        else:
            part += char
    return [*(one.strip() for one in parts), part.strip()]


def _fault(plan: Dialplan, target: tuple[str, str, str]) -> str | None:
    context, extension, label = target
    if "${" in context:
        return None
    if context not in plan.contexts:
        return f"there is no context {context}"
    if "${" in extension:
        return None
    reached = [one for one in _reached(plan, context) if _is(one.extension, extension)]
    if not reached:
        return f"there is no extension {extension} in {context}"
    if "${" in label or any(label in (one.label, str(one.priority)) for one in reached):
        return None
    return f"there is no label or priority {label} in {context},{extension}"


def _reached(plan: Dialplan, context: str) -> list[Step]:
    """The steps that may be found in *context*, those of contexts that it includes among them."""
    seen, left = [context], list(plan.contexts.get(context, []))
    while left:
        one = left.pop()
        if one not in seen:
            seen.append(one)
            left += plan.contexts.get(one, [])
    return [step for step in plan.steps if step.context in seen]


def _is(pattern: str, extension: str) -> bool:
    """Whether an extension is the one that a step was written for."""
    if not pattern.startswith("_"):
        return pattern == extension
    parts = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]", ".": ".+", "!": ".*"}
    text = "".join(
        one if one.startswith("[") else parts.get(one.upper(), re.escape(one))
        for one in re.findall(r"\[[^\]]*\]|.", pattern[1:])
    )
    return re.fullmatch(text, extension) is not None or pattern == extension


# -- names --------------------------------------------------------------------------------------


def _variables(plan: Dialplan, names: Names) -> Iterator[str]:
    written: dict[str, str] = dict(names.globals)
    read_at: dict[str, str] = {}
    for step in plan.steps:
        said = step.arguments
        if step.application == "Set" and (found := _SETTING.match(said)):
            written.setdefault(found[1], step.where)
            said = said[found.end() :]
        for name in _VARIABLE.findall(said):
            read_at.setdefault(name, step.where)
    for name, where in read_at.items():
        if name not in written and name not in names.spoken:
            yield f"{where}: {name} is read, and nobody sets it{_meant(name, {*written, *names.spoken})}"
    for name, where in written.items():
        if name not in read_at and name not in names.spoken:
            yield f"{where}: {name} is set, and nobody reads it{_meant(name, read_at)}"
    for name, places in names.spoken.items():
        # of two modules the one tells the other
        if name not in read_at and name not in written and len(places) == 1:
            yield f"{places[0]}: {name} is unknown to the dialplan{_meant(name, {*written, *read_at})}"


def _ours(plan: Dialplan, names: Names) -> Iterator[str]:
    there = {*plan.contexts, *names.there}
    named = dict(names.ours)
    for step in plan.steps:
        # a jump's context was looked for above
        said = step.arguments if step.application in ("Gosub", "Playtones") else ""
        named |= dict.fromkeys(_OURS.findall(said), step.where)
    for name, where in named.items():
        if name not in there:
            yield f"{where}: there is no context, tone or section {name}{_meant(name, there)}"


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""
