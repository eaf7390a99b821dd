"""Changes lines of the code, one at a time, and shows which changes no test notices.

    cd tests && python -m rig.mutants --seed 7 --count 60

Each mutant is written into the checkout, which must have no uncommitted changes, and is taken back
after the tests of its package (see `TESTS`) have run. A mutant survives if they all pass. Then it
is either in code whose behaviour no test describes, or makes no difference; a person has
to say which.
"""

import argparse
import ast
import copy
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The tests of a package that is not in this table are those of the unit folder with its name.
TESTS = {
    "cucmd": ["unit/test_*.py", "unit/config", "unit/service"],
    "cucmd/job": ["unit/job", "unit/jobs", "unit/plan", "unit/work"],
    "cucmd/protocol": ["unit/api", "unit/ctl"],
    "cucmd/node": ["unit/node", "unit/work"],
    "cucmd/receiver": ["unit/receiver", "system/receiver"],
    "cucmd/reading": ["unit/reading", "unit/cases"],
    "cucmd/ssh": ["unit/ssh", "system/ssh_shell"],
    "cucmd/worker": ["unit/worker", "system/test_worker.py", "system/test_taken_over.py"],
    "cucmlab": ["unit/lab", "system/lab"],
    "cucmctl": ["unit/ctl", "system/ctl"],
    "cucmtrio": ["system/cucmtrio"],
    "cucmweb": ["unit/web", "system/web"],
}
_OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    path: Path
    line: int
    before: str
    after: str
    text: str  # the whole file with the change

    @property
    def package(self) -> str:
        """The folder of the file, as `TESTS` names folders: `cucmd/ssh` or `cucmweb`."""
        parts = self.path.relative_to(ROOT).parts[1:-1]
        return "/".join(parts[:2] if parts[0] == "cucmd" else parts[:1])


def changed(node: ast.AST) -> ast.AST | None:
    """Returns a copy of the node that means something else, or None if no rule fits the node."""
    other = copy.deepcopy(node)
    match other:
        case ast.Compare(ops=[operator, *_]) if type(operator) in _OPPOSITES:
            other.ops[0] = _OPPOSITES[type(operator)]()  # type: ignore[call-overload]
        case ast.BoolOp() | ast.BinOp() if type(other.op) in _OPPOSITES:
            other.op = _OPPOSITES[type(other.op)]()  # type: ignore[assignment]
        case ast.UnaryOp(op=ast.Not()):
            return other.operand
        case ast.Constant(value=bool()):
            other.value = not other.value
        case ast.Constant(value=int() | float()):
            other.value = other.value + 1  # type: ignore[operator]
        case ast.IfExp():
            other.body, other.orelse = other.orelse, other.body
        case ast.Return(value=ast.AST()) if ast.unparse(other) != "return None":
            other.value = ast.Constant(None)
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.AugAssign():
            return ast.Pass()
        case _:
            return None
    return other


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yields each change of an expression or statement that stands on one line of the file."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    tree = ast.parse(text)
    # `frozen=True` and the like stand in the head of a class, where a change rarely matters.
    heads = {line for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
             for line in range(node.lineno, node.body[0].lineno)}  # fmt: skip
    for node in ast.walk(tree):
        if (
            not isinstance(node, ast.expr | ast.stmt)
            or node.lineno != node.end_lineno
            or node.lineno in heads
        ):
            continue
        if (other := changed(node)) is None:
            continue
        # Columns are counted in bytes of UTF-8.
        line = lines[node.lineno - 1].encode()
        new = ast.unparse(ast.fix_missing_locations(other))
        if isinstance(other, ast.expr):
            new = f"({new})"
        after = (line[: node.col_offset] + new.encode() + line[node.end_col_offset :]).decode()
        mutated = "".join((*lines[: node.lineno - 1], after, *lines[node.lineno :]))
        before = lines[node.lineno - 1].strip()
        yield Mutant(path, node.lineno, before, after.strip(), mutated)


def chosen(seed: int, count: int) -> list[Mutant]:
    """Returns `count` mutants on different lines. Each line is as likely as any other."""
    by_line: dict[tuple[Path, int], list[Mutant]] = {}
    for folder in ("daemon", "ctl"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for mutant in mutants_of(path):
                by_line.setdefault((path, mutant.line), []).append(mutant)
    picks = random.Random(seed)
    return [picks.choice(by_line[key]) for key in picks.sample(sorted(by_line), count)]


def is_noticed(mutant: Mutant) -> bool:
    """Returns whether a test of the mutant's package fails when the change is in the checkout."""
    package = mutant.package
    patterns = TESTS.get(package, [f"unit/{package.rpartition('/')[2]}"])
    tests = [str(path) for each in patterns for path in sorted(ROOT.glob(f"tests/{each}"))]
    original = mutant.path.read_text()
    mutant.path.write_text(mutant.text)
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-n2", "--all", "--timeout=120", *tests],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        mutant.path.write_text(original)
    return run.returncode != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--list", action="store_true", help="show the mutants, and try none")
    asked = parser.parse_args()
    if subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, check=False).returncode:
        parser.error("the checkout has uncommitted changes: commit or stash them")
    survivors = 0
    for number, mutant in enumerate(chosen(asked.seed, asked.count), 1):
        result = "listed"
        if not asked.list:
            result = "noticed" if is_noticed(mutant) else "SURVIVED"
            survivors += result == "SURVIVED"
        print(f"{number:3} {result} {mutant.path.relative_to(ROOT)}:{mutant.line}")
        print(f"      - {mutant.before}\n      + {mutant.after}", flush=True)
    print(f"{survivors} survived")


if __name__ == "__main__":
    main()
