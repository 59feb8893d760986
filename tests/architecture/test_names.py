"""Names in the field's words, each for one thing."""

import ast
import re
from collections import defaultdict

from tests.support.source_code import SourceFile, files_of_package, files_of_tests

BANNED = {
    *("person", "persons", "somebody", "nobody", "whoever", "station", "crew", "errand", "errands", "governor", "puck"),
    *("tally", "contestant", "contestants", "folder", "picture", "pictures", "film", "films", "filmed", "judge"),
    *("judges", "averager", "descend", "unexpectedness", "beat"),
}
"""Words of identifiers that the package does not use."""
BANNED_CLASSES = {
    "Alongside",
    "Beat",
    "Board",
    "Crew",
    "Door",
    "Line",
    "LineError",
    "Peer",
    "Pace",
    "Where",
    "RefusedError",
    "Seat",
    "Station",
}
NOT_A_THING = {
    *("a", "an", "the", "it", "its", "this", "that", "these", "those", "there", "one", "another", "other"),
    *("what", "whatever", "where", "wherever", "how", "who", "whoever", "whose", "whether", "which", "why", "when"),
    *("each", "every", "all", "any", "anything", "both", "many", "several", "only", "none", "no", "nobody", "nothing"),
    *("with", "without", "from", "of", "on", "in", "at", "by", "to", "before", "after", "between", "beside", "behind"),
    *("if", "while", "once", "as", "over", "off", "elsewhere", "somebody", "anybody"),
}
"""First words of test names that name no thing."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def identifiers(file: SourceFile) -> set[tuple[str, int]]:
    """Return the names that a file gives to things, with their lines."""
    found: set[tuple[str, int]] = set()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add((node.name, node.lineno))
        elif isinstance(node, ast.arg):
            found.add((node.arg, node.lineno))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add((node.id, node.lineno))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add((node.attr, node.lineno))
    return found


def test_replaced_words_do_not_come_back() -> None:
    found = [
        f"{file.name}:{line}: {name}"
        for file in (*files_of_package(), *files_of_tests())
        for name, line in sorted(identifiers(file))
        if BANNED & {word.lower() for word in _WORD.findall(name)}
    ]
    assert not found, "\n".join(found)


def test_replaced_class_names_do_not_come_back() -> None:
    found = [
        f"{file.place(node)}: {node.name}"
        for file in files_of_package()
        for node in file.classes()
        if node.name in BANNED_CLASSES
    ]
    assert not found, "\n".join(found)


def test_class_names_are_defined_once() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file in files_of_package():
        for node in file.classes():
            places[node.name].append(file.place(node))
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_test_names_begin_with_the_thing_tested() -> None:
    found = [
        f"{file.place(node)}: {node.name}"
        for file in files_of_tests()
        if file.path.name.startswith("test_")
        for node in file.functions()
        if node.name.startswith("test_") and node.name.split("_")[1] in NOT_A_THING
    ]
    assert not found, "\n".join(found)
