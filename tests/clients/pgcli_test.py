"""pgcli at a terminal, as a person uses it, against a server that the environment's PG* variables name."""

import os
import pathlib
import re
import sys
import tempfile
import time

import pexpect

failures = []
ESCAPES = re.compile(r"\x1b(\[[0-9;?>]*[A-Za-z]|\][^\x07]*\x07|[=>()][A-Z0-9]?)")
PROMPT = "ask=>"
# Nothing of the user's own is read or written.
SETTINGS = r"""
[main]
prompt = 'ask=> '
prompt_continuation = ''
table_format = psql
enable_pager = False
less_chatty = True
timing = True
keyring = False
destructive_warning = none
search_path_filter = False
multi_line = False
auto_expand = False
use_local_timezone = False
"""


class Pgcli:
    """pgcli at a terminal of many lines, so that nothing is drawn twice."""

    def __init__(self, home):
        (home / "settings").write_text(SETTINGS)
        environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "TERM": "xterm", "LANG": "C.UTF-8",
                       "PROMPT_TOOLKIT_NO_CPR": "1"}
        program = pathlib.Path(sys.executable).parent / "pgcli"
        self.child = pexpect.spawn(str(program), ["--pgclirc", str(home / "settings"), "--log-file", str(home / "log")],
                                   env=environment, dimensions=(200, 240), encoding="utf-8")
        self.until()

    def quiet(self, seconds=0.3):
        """What is drawn until nothing more comes."""
        text = ""
        while True:
            try:
                text += self.child.read_nonblocking(65536, timeout=seconds)
            except pexpect.TIMEOUT:
                return ESCAPES.sub("", text)

    def until(self, *wanted):
        """What is drawn until all of that is there and the prompt behind it, or nothing has come for some time."""
        text, deadline = "", time.monotonic() + 10
        while True:
            more = self.quiet(0.1)
            text += more.replace("\r", "")
            if all(part in text for part in wanted) and PROMPT in text[max((text.index(part) for part in wanted), default=0) :]:
                return text
            if more:
                deadline = time.monotonic() + 10
            elif time.monotonic() > deadline:
                failures.append(f"{[part for part in wanted if part not in text] or PROMPT} does not come: {text!r}")
                return text

    def type(self, keys):
        """What is drawn for the keys, which is the line and the menu below it."""
        self.quiet(0.1)
        self.child.send(keys)
        return self.quiet()

    def ask(self, statement, *wanted):
        """What is printed for it, all of which has to be there."""
        self.type(statement)
        self.child.send("\r")
        return self.until(*wanted)


def lines(text):
    """The cells of a table by row."""
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("| ")]


with tempfile.TemporaryDirectory() as home:
    terminal = Pgcli(pathlib.Path(home))
    terminal.ask("SELECT 40 + 2 AS answer, NULL AS nothing, 'naïve ☃', ARRAY['a b'], 1.50, now() > '2020-01-01' AS later;",
                 "| 42     | <null>  | naïve ☃  | ['a b'] | 1.50     | True  |", "SELECT 1\n", "Time: ")
    terminal.ask("\\timing", "Timing is off.")
    said = terminal.ask("SELECT 1 AS a; SELECT 'x' AS b;", "| 1 |\n", "| x |\n")
    failures.extend(["timing is not off"] * ("Time:" in said))

    columns = lines(terminal.ask("\\d changes", "| attributes "))
    wanted = [["Column", "Type", "Modifiers"], ["change_id", "text"], ["kind", "text"], ["service_name", "text"]]
    failures.extend([f"\\d changes: {columns}"] * (columns[:4] != wanted or ["started_at", "timestamp with time zone"] not in columns))
    terminal.ask("\\d nothing", "Did not find any relation named nothing.")
    terminal.ask("\\dn", "| public ")
    terminal.ask("\\l", "| ascribe ")
    terminal.ask("\\du", "| rolname ")
    terminal.ask("\\conninfo", f'to database "{os.environ["PGDATABASE"]}" as user "{os.environ["PGUSER"]}"')

    terminal.ask("\\x", "Expanded display is on.")
    terminal.ask("SELECT 1 AS a, 'b' AS c;", "-[ RECORD 1 ]", "\na | 1\nc | b\n")
    terminal.ask("\\x", "Expanded display is off.")

    terminal.ask("SELECT * FROM nothing;", 'relation "nothing" does not exist\nLINE 1: SELECT * FROM nothing\n                      ^')
    terminal.ask("SELEC 1;", 'syntax error at or near "SELEC"\nLINE 1: SELEC 1\n        ^')
    terminal.ask("BEGIN;", "BEGIN\n")
    terminal.ask("SELECT 1 / 0;", "division by zero")
    terminal.ask("SELECT 1;", "current transaction is aborted")
    terminal.ask("ROLLBACK;", "ROLLBACK\n")

    terminal.type("SELECT count(*) FROM generate_series(1, 300000) a(x), generate_series(1, 300000) b(y) WHERE a.x % 7 = b.y % 11;")
    terminal.child.send("\r")
    time.sleep(1)
    begin = time.monotonic()
    terminal.child.send("\x03")
    terminal.until("cancelled query")
    failures.extend(["Ctrl-C takes long"] * (time.monotonic() - begin > 5))
    terminal.ask("SELECT 7 AS seven;", "| seven |", "| 7     |")
    terminal.quiet()
    terminal.child.send("\x04")
    terminal.child.expect(pexpect.EOF)
    terminal.child.close()
    failures.extend([f"the exit status is {terminal.child.exitstatus}"] * bool(terminal.child.exitstatus))

for failure in failures:
    print("FAILED pgcli", failure, file=sys.stderr)
if not failures:
    print("pgcli: passed")
sys.exit(bool(failures))
