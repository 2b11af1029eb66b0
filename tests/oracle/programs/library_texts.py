# SPDX-License-Identifier: MIT
"""The standard library at work: differences, HTML, wrapping, configuration, pretty printing, tracebacks, logging."""

import configparser
import difflib
import html.parser
import io
import logging
import pprint
import textwrap
import traceback
import urllib.parse

WORDS = "the quick brown fox jumps over the lazy dog and then goes home " * 3


class Parser(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.tags.append(len(data))


def failing(depth):
    if depth == 0:
        raise ValueError("deep")
    failing(depth - 1)


def logged():
    logger = logging.Logger("oracle")
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    logger.warning("number %d", 3)
    logger.debug("left %s", "out")
    try:
        failing(3)
    except ValueError:
        return traceback.format_exc()


def target():
    list(difflib.unified_diff(WORDS.split(), sorted(WORDS.split())))
    parser = Parser()
    parser.feed("<p class=x>text<b>bold</b>&amp;</p>")
    parser.close()
    textwrap.fill(WORDS, 30), textwrap.dedent("  a\n    b\n")
    config = configparser.ConfigParser()
    config.read_string("[a]\nx = 1\ny = %(x)s2\n[b]\nz: no\n")
    config.getint("a", "y"), config.getboolean("b", "z")
    pprint.pformat({"a": [WORDS[:40], {1: (2, 3)}]}, width=30)
    urllib.parse.urlsplit("http://u:p@host:80/a/b?c=d#e").port, urllib.parse.parse_qs("a=1&b=2"), urllib.parse.quote("ä b")
    logged()


def run():
    target()


TARGETS = [target]
