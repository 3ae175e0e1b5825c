"""Chat templates: programs of strangers in Jinja, run in its sandbox with every step and every character counted.

The sandbox keeps a template from reaching anything but its messages; it does not keep it from taking all time and
memory. So each expression that makes something new is wrapped, in the parsed template, into a filter that charges
its size to a budget, and what cannot be charged beforehand (``*``, padding, formatting) is not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from heedful.errors import CheckpointError, RequestError

MAX_TEMPLATE = 200_000
"""Characters; the longest in use have about 20 thousand."""
_BUDGET, _BUDGET_A_CHARACTER = 500_000, 20
"""Characters, entries and steps that a rendering may take, and how many more for each character of its input."""

_FILTERS = """abs capitalize count d default dictsort e escape first float int items last length list lower map max min
    reject rejectattr reverse round safe select selectattr sort string title trim unique upper"""
_STRING_METHODS = """capitalize casefold count endswith find index isalnum isalpha isdigit islower isspace istitle
    isupper lower lstrip removeprefix removesuffix replace rfind rindex rpartition partition rsplit rstrip split
    splitlines startswith strip swapcase title upper"""
_DATE = frozenset("%aAbBdHIjmMpSwyYZ ,.:/-")


class ChatTemplate:
    """Turns the messages of a conversation into one text."""

    def __init__(self, source: str) -> None:
        """Raises CheckpointError where the template is too long or no Jinja."""
        if len(source) > MAX_TEMPLATE:
            raise CheckpointError(
                f"the chat template has {len(source):,} characters, and {MAX_TEMPLATE:,} are the limit",
                remedy="Take an intact copy of the tokenizer's files.",
            )
        environment = _Environment()
        try:
            self._template = environment.from_string(_Metering().visit(environment.parse(source)))
        except Exception as error:  # of Jinja's parser, or of Python's compiler behind it
            raise CheckpointError(
                f"the chat template cannot be read: {error}", remedy="Take an intact copy of the tokenizer's files."
            ) from error

    def render(self, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> str:
        """The conversation as one text.

        Raises:
            RequestError: the template refuses the messages, as some do where roles do not alternate.
            CheckpointError: the template fails, or takes more steps and characters than any honest one.
        """
        given = {"messages": messages, "tools": None, "documents": None, **variables}
        _spent.set(_Spending(_BUDGET + _BUDGET_A_CHARACTER * _weight(given, limit=10**8)))
        try:
            return self._template.render(given)
        except RequestError:
            raise
        except Exception as error:  # a template may fail in any way a program may
            raise CheckpointError(
                f"the chat template failed: {type(error).__name__}: {error}",
                remedy="See whether the messages have the roles and fields that the template wants.",
            ) from error


class _Spending:
    def __init__(self, budget: int) -> None:
        self.left = budget

    def charge(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise SecurityError("it takes more steps and characters than it may")


_spent: ContextVar[_Spending] = ContextVar("spent")


def _weight(value: object, *, limit: int) -> int:
    """Characters and entries in a value, inner ones as often as they occur."""
    total, waiting = 0, [value]
    while waiting and total <= limit:
        item = waiting.pop()
        if isinstance(item, str | bytes):
            total += len(item)
        elif isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set | frozenset):
            waiting += item
        elif isinstance(item, int):
            total += item.bit_length() // 8
        total += 1
    return total


def _charge(value: Any) -> Any:
    spending = _spent.get()
    spending.charge(_weight(value, limit=max(0, spending.left)))
    return value


@pass_context
def _charged(_: Context, value: Any) -> Any:
    return _charge(value)


@pass_context
def _counted(_: Context, values: Any) -> Iterator[Any]:
    for value in () if isinstance(values, Undefined) else values:
        _spent.get().charge(1)
        yield value


class _Metering(NodeTransformer):
    """Wraps what makes something new into ``_charged``, and what is looped over into ``_counted``."""

    def _wrap(self, node: nodes.Expr) -> nodes.Filter:
        return nodes.Filter(node, "_charged", [], [], None, None, lineno=node.lineno)

    def _visit_and_wrap(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        return self._wrap(node)

    visit_Add = visit_Concat = visit_Call = visit_List = visit_Tuple = visit_Dict = _visit_and_wrap  # noqa: N815

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return node if node.node is None else self._wrap(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self._wrap(node) if isinstance(node.arg, nodes.Slice) else node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        self.generic_visit(node.call)
        node.body = [self.visit(child) for child in node.body]
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        target = node.target  # a place to assign to, which is no value
        self.generic_visit(node)
        node.target = target
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:  # noqa: N802
        node.node = self.visit(node.node)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [
            self._wrap(nodes.Const(child.data, lineno=child.lineno) if isinstance(child, nodes.TemplateData) else child)
            for child in node.nodes
        ]
        return node


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, less what makes much out of little."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, optimized=False, extensions=[LoopControlExtension, _Generation]
        )
        self.filters = {name: FILTERS[name] for name in _FILTERS.split()} | {
            "_charged": _charged,
            "_counted": _counted,
            "join": _join,
            "replace": _replace,
            "indent": _indent,
            "tojson": _to_json,
        }
        kept = ("range", "dict", "namespace")
        self.globals = {name: self.globals[name] for name in kept} | {
            "raise_exception": _refuse,
            "strftime_now": _now,
        }

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr not in _STRING_METHODS.split():
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        if super().wrap_str_format(value) is not None:
            raise SecurityError("format can make much out of little")
        return None

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = all(isinstance(side, int | float) and abs(side) < 2**64 for side in (left, right))
        if not numbers or operator == "**":
            raise SecurityError(f"the operator {operator} is for small numbers")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        _spent.get().charge(1)
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str) and getattr(obj, "__name__", "") == "replace":
            return _replace(owner, *args)
        return super().call(context, obj, *args, **kwargs)


class _Generation(Extension):
    """``{% generation %}``, which marks what an assistant says for training: here it is what it holds."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    text, old, new = str(text), str(old), str(new)
    _spent.get().charge(text.count(old) * len(new))
    return text.replace(old, new, count)


def _join(values: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        raise SecurityError("join takes no attribute; map it before")
    parts = []
    for value in values:
        part = str(value)
        _spent.get().charge(len(part) + len(d))
        parts.append(part)
    return d.join(parts)


def _indent(text: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
    lines = text.split("\n")
    _spent.get().charge(len(lines) * width)
    space = " " * width
    made = [space + line if line or blank else line for line in lines]
    return "\n".join(made if first else [lines[0], *made[1:]])


def _to_json(value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= 16:
        raise SecurityError(f"an indent of {indent}")
    _charge(value)
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise RequestError(f"the chat template refuses these messages: {message!s:.500}")


def _now(pattern: str) -> str:
    if len(pattern) > 100 or not _DATE.issuperset(pattern):
        raise SecurityError("a date of this form")
    return datetime.now().astimezone().strftime(pattern)
