"""What a client lets its model do, and by which names: what turns an action of a story into words of one client."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conversation import Action, CallTool, Conversation, Say, WriteFile
from events import JsonObject

STORY_ID = "story_"
SEARCH_ID = "search_"


@dataclass(frozen=True)
class ToolUse:
    """A call of one of the client's tools, as the model's endpoint sends it."""

    id: str
    name: str
    arguments: JsonObject
    namespace: str = ""


Turn = ToolUse | Say


@dataclass(frozen=True)
class Hands:
    """One client's names for gatewright's tools, and the tools of its own that a story needs."""

    prefix: str
    """Stands before the server's own name of a tool."""
    write: Callable[[WriteFile], tuple[str, JsonObject]] | None
    """The client's tool that writes a file, and its arguments; None where the model's prose is all that there is."""
    namespace: str = ""
    search: str = ""
    """The client's tool that shows what is listed by name only; asked before the first call of each tool."""
    caller: str = ""
    """The client's tool through which such a tool is called, where it is not called by its own name."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Arguments that the client itself adds to the schema of every tool, for its model to give."""

    @property
    def call_tools(self) -> bool:
        """Whether the client's model calls tools at all."""
        return self.write is not None

    def turn(self, action: Action, conversation: Conversation) -> Turn:
        """The action in this client's words, or the search that must come before it."""
        identity = f"{STORY_ID}{len(conversation.received):04}"
        match action:
            case Say():
                return action
            case WriteFile():
                assert self.write, "this client's model has no tool to write with"
                name, arguments = self.write(action)
                return ToolUse(identity, name, arguments)
            case CallTool(tool, given):
                return self._call(identity, tool, {**given, **self.extra}, conversation)

    def _call(self, identity: str, tool: str, arguments: JsonObject, conversation: Conversation) -> ToolUse:
        name = self.prefix + tool
        if self.search and tool not in conversation.searched:
            return ToolUse(SEARCH_ID + tool, self.search, {"query": f"select:{name}", "max_results": 1})
        if self.caller:
            return ToolUse(identity, self.caller, {"name": name, "arguments": arguments})
        return ToolUse(identity, name, arguments, self.namespace)
