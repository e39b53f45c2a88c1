"""One run of a SARIF log: its files, its rules, and what its results say. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .hostile_json import JsonObject, object_of, objects_of, text_of, texts_of, whole_of
from .reported import (
    LINE_MAX,
    MESSAGE_CHARS_MAX,
    PATH_CHARS_MAX,
    RANKS,
    RULE_CHARS_MAX,
    Reported,
    ReportUnreadable,
    plain_line,
    plain_message,
    plain_path,
)

BASES_MAX = 10

_PLACEHOLDER = re.compile(r"\{(\d{1,3})\}|\{\{|\}\}")
_REFERENCE = re.compile(r"(?:file:(?://[^/?#]*)?)?(?P<path>[^?#]*)", re.IGNORECASE)
_ESCAPED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|/")
# What is not `fail` tells that something is in order, does not apply, or waits for a person's look.
_FAILING = frozenset({"fail"})
_GONE = "absent"
# A suppression that somebody still thinks about, or that was turned down, suppresses nothing.
_WITHOUT_EFFECT = frozenset({"underReview", "rejected"})


class SarifRun:
    """What the members of a run refer to each other by."""

    def __init__(self, run: JsonObject) -> None:
        tool = object_of(run, "tool")
        self._driver = object_of(tool, "driver")
        if not text_of(self._driver, "name", ""):
            raise ReportUnreadable("A run of the report does not name its tool.")
        self._extensions = objects_of(tool, "extensions")
        self._artifacts = objects_of(run, "artifacts")
        self._bases = object_of(run, "originalUriBaseIds")
        self._rules = {id(part): objects_of(part, "rules") for part in (self._driver, *self._extensions)}
        self._by_id = {text_of(rule, "id", ""): rule for rules in self._rules.values() for rule in rules}
        paths = (self._path(object_of(artifact, "location")) for artifact in self._artifacts)
        self.files = frozenset(path for path in paths if path)

    def item(self, result: JsonObject) -> Reported | None:
        """The result as an item; None for one that is no objection."""
        if text_of(result, "kind", "fail") not in _FAILING or result.get("baselineState") == _GONE:
            return None
        rule = self._rule(result)
        level = text_of(result, "level", None) or text_of(object_of(rule, "defaultConfiguration"), "level", "warning")
        if level == "none":
            return None
        if level not in RANKS:
            raise ReportUnreadable("A result's level is none of error, warning, note and none.")
        name = text_of(result, "ruleId", None) or text_of(object_of(result, "rule"), "id", None)
        found = self._placed(result, name or text_of(rule, "id", "") or "", self.message(result, rule))
        return replace(found, severity=level, is_hidden=_is_suppressed(result))

    def notification(self, notification: JsonObject) -> Reported:
        """What the tool says about itself, as an error."""
        name = text_of(object_of(notification, "descriptor"), "id", "")
        return self._placed(notification, name, self.message(notification, {}))

    def message(self, owner: JsonObject, rule: JsonObject) -> str:
        """What the owner's message says, its arguments put in; a text of the rule's where it refers to one."""
        message = object_of(owner, "message")
        text = text_of(message, "text", None) or text_of(message, "markdown", None)
        if text is None:
            name = text_of(message, "id", "")
            shared = object_of(self._driver, "globalMessageStrings")
            strings = object_of(object_of(rule, "messageStrings") or shared, name)
            text = text_of(strings or object_of(shared, name), "text", None)
        if not text:
            raise ReportUnreadable("A result of the report has no message.")
        arguments = [argument[:MESSAGE_CHARS_MAX] for argument in texts_of(message, "arguments")]
        # Arguments are put in once: a text that they bring is not read again.
        return _put_in(text[:MESSAGE_CHARS_MAX], arguments)

    def _placed(self, owner: JsonObject, rule: str, message: str) -> Reported:
        place = next((object_of(location, "physicalLocation") for location in objects_of(owner, "locations")), {})
        region = object_of(place, "region")
        return Reported(
            path=self._path(object_of(place, "artifactLocation")),
            line=whole_of(region, "startLine", least=1, most=LINE_MAX),
            column=whole_of(region, "startColumn", least=1, most=LINE_MAX),
            rule=plain_line(rule, RULE_CHARS_MAX) or None,
            message=plain_message(message),
        )

    def _rule(self, result: JsonObject) -> JsonObject:
        """The rule of a result, found by its place among the rules, or else by its id; empty when there is none."""
        reference = object_of(result, "rule")
        component = object_of(reference, "toolComponent")
        part = _at(self._extensions, whole_of(component, "index")) if component else self._driver
        index = whole_of(result, "ruleIndex", least=-1)
        index = whole_of(reference, "index", least=-1) if index is None else index
        rule = _at(self._rules.get(id(part), ()), index)
        name = text_of(result, "ruleId", None) or text_of(reference, "id", None)
        return rule or self._by_id.get(name or "", {})

    def _path(self, location: JsonObject) -> str | None:
        """The path that a location names, its bases put before it; None when it names none."""
        uri = text_of(location, "uri", None)
        if uri is None:
            artifact = _at(self._artifacts, whole_of(location, "index", least=-1))
            location = object_of(artifact, "location")
            uri = text_of(location, "uri", None)
        for _ in range(BASES_MAX):
            name = text_of(location, "uriBaseId", None)
            if uri is None or name is None or _ABSOLUTE.match(uri):
                break
            # A base that is not told, such as %SRCROOT%, is the folder in which the tool ran.
            location = object_of(self._bases, name)
            base = text_of(location, "uri", "")
            if len(uri) + len(base) > PATH_CHARS_MAX:
                break
            uri = f"{base.rstrip('/')}/{uri}" if base else uri
        return plain_path(_path_of(uri)) or None if uri else None


def _path_of(uri: str) -> str:
    """The path of a relative reference or a file URI; anything else as it is."""
    reference = _REFERENCE.match(uri)
    if reference is None or (_ABSOLUTE.match(uri) and not reference["path"].startswith("/")):
        return uri
    path = _ESCAPED.sub(
        lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace"), reference["path"]
    )
    return path.removeprefix("./")


def _is_suppressed(result: JsonObject) -> bool:
    suppressions = objects_of(result, "suppressions")
    return bool(suppressions) and not any(each.get("status") in _WITHOUT_EFFECT for each in suppressions)


def _put_in(text: str, arguments: Sequence[str]) -> str:
    def replacement(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0] if arguments else found[0]
        number = int(found[1])
        return arguments[number] if number < len(arguments) else found[0]

    return _PLACEHOLDER.sub(replacement, text)


def _at(items: Sequence[Mapping[str, object]], index: int | None) -> Mapping[str, object]:
    """The item there; empty when there is none."""
    return items[index] if index is not None and 0 <= index < len(items) else {}
