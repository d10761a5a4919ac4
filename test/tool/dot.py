"""Reads the dot language on standard input as strictly as `pointsman graph` writes it:
statements end with ';', ids are quoted, every node is declared once."""
import re
import sys

TOKEN = re.compile(r'\s*("(?:[^"\\\n]|\\["\\l])*"|->|[][{};=,]|[A-Za-z][A-Za-z_]*|[0-9]+)')


def tokens(text):
    at = 0
    while text[at:].strip():
        m = TOKEN.match(text, at)
        assert m, "no token: " + text[at:at + 60]
        yield m[1]
        at = m.end()


def statements(words):
    statement = []
    for word in words:
        if word == ";":
            yield statement
            statement = []
        else:
            statement.append(word)
    assert not statement, statement


def main():
    words = list(tokens(sys.stdin.read()))
    assert words[0] == "digraph" and words[2] == "{" and words[-1] == "}", words[:3]
    nodes, ends = set(), set()
    for statement in statements(words[3:-1]):
        if statement[1] == "->":
            ends |= {statement[0], statement[2]}
            attributes = statement[3:]
        elif statement[0].startswith('"'):
            assert statement[0] not in nodes, "twice: " + statement[0]
            nodes.add(statement[0])
            attributes = statement[1:]
        else:
            continue
        assert not attributes or (attributes[0], attributes[-1]) == ("[", "]"), attributes
    assert nodes and ends <= nodes, ends - nodes


main()
