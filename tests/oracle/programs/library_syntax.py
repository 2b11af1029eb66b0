# SPDX-License-Identifier: MIT
"""The standard library at work: syntax trees visited, rewritten and turned into text, tokens, argument parsers."""

import argparse
import ast
import io
import tokenize

SOURCE = '''
def f(a, b=2, *c, **d):
    """Doc."""
    if a > b and not c:
        return [x * 2 for x in range(10) if x % 3]
    while True:
        try:
            a += lambda y: (y, f"{a!r:>10}")
        except (ValueError, OSError) as e:
            raise
        finally:
            break
class C(object):
    x: int = 1
'''


class Renames(ast.NodeTransformer):
    def visit_Name(self, node):
        return ast.copy_location(ast.Name(node.id + "_", node.ctx), node)


class Counts(ast.NodeVisitor):
    def __init__(self):
        self.count = 0

    def generic_visit(self, node):
        self.count += 1
        super().generic_visit(node)


def parser():
    made = argparse.ArgumentParser("prog", add_help=False)
    made.add_argument("--number", type=int, default=1)
    made.add_argument("--flag", action="store_true")
    made.add_argument("words", nargs="*")
    return made


def target():
    tree = Renames().visit(ast.parse(SOURCE))
    counts = Counts()
    counts.visit(tree)
    ast.unparse(tree), ast.dump(tree, indent=1), ast.literal_eval("{'a': [1, (2, 3)]}")
    list(tokenize.generate_tokens(io.StringIO(SOURCE).readline))
    parser().parse_args(["--number", "3", "a", "b", "--flag"])


def run():
    target()


TARGETS = [target]
