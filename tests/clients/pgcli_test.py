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


def contains(what, text, *parts):
    failures.extend(f"{what}: {part!r} is not in {text!r}" for part in parts if part not in text)


class Pgcli:
    """pgcli at a terminal of many lines, so that nothing is drawn twice."""

    def __init__(self, home):
        (home / "settings").write_text(SETTINGS)
        environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "TERM": "xterm", "LANG": "C.UTF-8",
                       "PROMPT_TOOLKIT_NO_CPR": "1"}
        program = pathlib.Path(sys.executable).parent / "pgcli"
        self.child = pexpect.spawn(str(program), ["--pgclirc", str(home / "settings"), "--log-file", str(home / "log")],
                                   env=environment, dimensions=(200, 240), encoding="utf-8")
        self.until(PROMPT, 1)

    def quiet(self, seconds=0.3):
        """What is drawn until nothing more comes."""
        text = ""
        while True:
            try:
                text += self.child.read_nonblocking(65536, timeout=seconds)
            except pexpect.TIMEOUT:
                return ESCAPES.sub("", text)

    def until(self, wanted, times):
        """What is drawn until something is there as often as that."""
        text, deadline = "", time.monotonic() + 60
        while text.count(wanted) < times:
            assert time.monotonic() < deadline, f"{wanted!r} does not come: {text!r}"
            text += self.quiet(0.1)
        return text

    def type(self, keys):
        """What is drawn for the keys, which is the line and the menu below it."""
        self.quiet(0.1)
        self.child.send(keys)
        return self.quiet()

    def ask(self, statement):
        """What is printed for it; the line that was edited is drawn once more, then comes the next prompt."""
        self.type(statement)
        self.child.send("\r")
        return self.until(PROMPT, 2).split(PROMPT)[1].replace("\r", "")

    def complete(self, typed, rest, *offered):
        """Completed by Tab when the menu offers it; names are read behind the prompt, so that may take a while."""
        deadline = time.monotonic() + 20
        while not all(name in (menu := self.type(typed)) for name in offered):
            if time.monotonic() > deadline:
                failures.append(f"{offered} are not offered for {typed!r}: {menu!r}")
                break
            self.type("\x05\x15")
        return self.ask("\t" + rest)


def lines(text):
    """The cells of a table by row."""
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("| ")]


with tempfile.TemporaryDirectory() as home:
    terminal = Pgcli(pathlib.Path(home))
    said = terminal.ask("SELECT 40 + 2 AS answer, NULL AS nothing, 'naïve ☃', ARRAY['a b'], 1.50, now() > '2020-01-01' AS later;")
    contains("a query", said, "| 42     | <null>  | naïve ☃  | ['a b'] | 1.50     | True  |", "SELECT 1\n", "Time: ")
    contains("timing", terminal.ask("\\timing"), "Timing is off.")
    said = terminal.ask("SELECT 1 AS a; SELECT 'x' AS b;")
    contains("two statements", said, "| 1 |\n", "| x |\n")
    failures.extend(["timing is not off"] * ("Time:" in said))

    contains("a completed table", terminal.complete("SELECT change_id FROM chang", " LIMIT 0;", "changes"), "| change_id |", "SELECT 0")
    said = terminal.complete("SELECT change_id FROM changes WHERE pipeline_r", " = 'x';", "pipeline_run_id")
    contains("a completed column", said, "WHERE pipeline_run_id = 'x';", "| change_id |", "SELECT 0")
    contains("a completed alias", terminal.complete("SELECT c.change_id FROM changes c ORDER BY c.started_", " LIMIT 0;", "started_at"), "SELECT 0")
    terminal.complete("SELECT * FROM deploy_imp", "\x15", "deploy_impact")
    terminal.complete("SELECT * FROM information_schema.tab", "\x15", "tables")
    terminal.complete("SELECT curr", "\x15", "CURRENT_DATE")

    listed = lines(terminal.ask("\\dt"))
    names = {(row[0], row[1], row[2]) for row in listed}
    missing = {("public", name, "table") for name in ("changes", "costs", "spans")} - names
    failures.extend([f"\\dt lacks {missing}"] * bool(missing))
    contains("\\dt of one", terminal.ask("\\dt changes"), "| public | changes | table |", "SELECT 1\n")
    columns = lines(terminal.ask("\\d changes"))
    wanted = [["Column", "Type", "Modifiers"], ["change_id", "text"], ["kind", "text"], ["service_name", "text"]]
    failures.extend([f"\\d changes: {columns}"] * (columns[:4] != wanted or ["started_at", "timestamp with time zone"] not in columns))
    contains("\\d of none", terminal.ask("\\d nothing"), "Did not find any relation named nothing.")
    described = terminal.ask("\\dt+ changes")
    contains("\\dt+", described, "Everything that somebody changed")
    functions = lines(terminal.ask("\\df deploy_impact"))
    failures.extend([f"\\df: {functions}"] * ([row[:2] for row in functions] != [["Schema", "Name"], ["public", "deploy_impact"]]))
    contains("\\dn", terminal.ask("\\dn"), "| public ")
    contains("\\l", terminal.ask("\\l"), "| ascribe ")
    contains("\\du", terminal.ask("\\du"), "rolname")
    contains("\\dv", terminal.ask("\\dv nothing"), "SELECT 0")
    contains("\\conninfo", terminal.ask("\\conninfo"), f'to database "{os.environ["PGDATABASE"]}" as user "{os.environ["PGUSER"]}"')

    contains("\\x", terminal.ask("\\x"), "Expanded display is on.")
    contains("expanded", terminal.ask("SELECT 1 AS a, 'b' AS c;"), "-[ RECORD 1 ]", "\na | 1\nc | b\n")
    contains("\\x again", terminal.ask("\\x"), "Expanded display is off.")

    said = terminal.ask("SELECT * FROM nothing;")
    contains("an unknown table", said, 'relation "nothing" does not exist\nLINE 1: SELECT * FROM nothing\n                      ^')
    contains("a wrong statement", terminal.ask("SELEC 1;"), 'syntax error at or near "SELEC"\nLINE 1: SELEC 1\n        ^')
    terminal.ask("BEGIN;")
    contains("failing", terminal.ask("SELECT 1 / 0;"), "division by zero")
    contains("aborted", terminal.ask("SELECT 1;"), "current transaction is aborted")
    terminal.ask("ROLLBACK;")

    terminal.type("SELECT count(*) FROM generate_series(1, 300000) a(x), generate_series(1, 300000) b(y) WHERE a.x % 7 = b.y % 11;")
    terminal.child.send("\r")
    time.sleep(1)
    begin = time.monotonic()
    terminal.child.send("\x03")
    contains("Ctrl-C", terminal.until(PROMPT, 2), "cancelled query")
    failures.extend(["Ctrl-C takes long"] * (time.monotonic() - begin > 5))
    contains("alive", terminal.ask("SELECT 7 AS seven;"), "| seven |", "| 7     |")
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
