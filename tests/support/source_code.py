"""Python files of the repository, parsed for the guards of its structure."""

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "hilserl"
TESTS = REPOSITORY / "tests"

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)", re.DOTALL)


@dataclass(frozen=True)
class Docstring:
    """Documentation of one module, class, function or attribute."""

    name: str
    """Path of the file, and the line."""
    text: str

    @property
    def first_sentence(self) -> str:
        """Text up to the first full stop, on one line."""
        paragraph = self.text.strip().split("\n\n")[0]
        found = _SENTENCE.match(paragraph)
        return " ".join((found.group(1) if found else paragraph).split())

    @property
    def first_line(self) -> str:
        """Line that starts the docstring."""
        return self.text.strip().split("\n")[0].strip()


@dataclass(frozen=True)
class SourceFile:
    """One Python file with its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Path from the root of the repository."""
        return self.path.relative_to(REPOSITORY).as_posix()

    @property
    def num_lines(self) -> int:
        """Number of lines, empty ones and comments included."""
        return len(self.text.splitlines())

    def place(self, node: ast.stmt | ast.expr | ast.arg | ast.alias) -> str:
        """Return a node's path and line as editors open it."""
        return f"{self.name}:{node.lineno}"

    def classes(self) -> list[ast.ClassDef]:
        """Return all classes, nested ones included."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Return all functions and methods, nested ones included."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def imports(self) -> set[str]:
        """Return the dotted names of all imports.

        `from hilserl import x` counts as `hilserl.x`.
        """
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "hilserl":
                found |= {f"hilserl.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
        return found

    def docstrings(self) -> Iterator[Docstring]:
        """Yield the docstrings of the module, its definitions and their attributes."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Module | Definition) and (text := ast.get_docstring(node)):
                line = 1 if isinstance(node, ast.Module) else node.lineno
                yield Docstring(f"{self.name}:{line}", text)
            if isinstance(node, ast.Module | ast.ClassDef):
                yield from self._attribute_docstrings(node.body)

    def _attribute_docstrings(self, body: list[ast.stmt]) -> Iterator[Docstring]:
        for before, node in itertools.pairwise(body):
            if not (isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(node, ast.Expr)):
                continue
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                yield Docstring(self.place(node), node.value.value)

    def public_definitions(self) -> Iterator[tuple[str, Definition]]:
        """Yield the dotted names and nodes of what other modules may use.

        Functions inside functions are private, as are methods of private classes.
        """
        yield from _public(self.tree.body, "")


def _public(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _public(node.body, prefix)
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        yield f"{prefix}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from _public(node.body, f"{prefix}{node.name}.")


@cache
def python_files(directory: Path) -> tuple[SourceFile, ...]:
    """Parse all Python files below a directory, sorted by path."""
    paths = sorted(path for path in directory.rglob("*.py") if "__pycache__" not in path.parts)
    return tuple(SourceFile(path, text := path.read_text(), ast.parse(text)) for path in paths)


def files_of_package() -> tuple[SourceFile, ...]:
    """Parse all files of the package."""
    return python_files(PACKAGE)


def files_of_tests() -> tuple[SourceFile, ...]:
    """Parse all files of the tests, helpers included."""
    return python_files(TESTS)


def package_directories() -> list[Path]:
    """Return the package's directories with Python files, relative to it."""
    return sorted({file.path.parent.relative_to(PACKAGE) for file in files_of_package()})
