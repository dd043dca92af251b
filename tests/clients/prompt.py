"""The interactive prompt and the progress bar, seen through a pseudo-terminal as a person sees them. ASCRIBE_BIN."""

import os
import pty
import re
import select
import subprocess
import tempfile
import time

from program import ASCRIBE, ascribe

PROMPT = "ascribe=> "
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>()][A-Z0-9]?)")


class Terminal:
    """A program at a terminal."""

    def __init__(self, *arguments, state):
        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "XDG_STATE_HOME": state}
        self.process = subprocess.Popen(
            [ASCRIBE, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(slave)
        self.text = ""

    def read(self, seconds):
        """What comes within the time; false at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            more = os.read(self.master, 65536)
        except OSError:
            return False
        self.text += ESCAPES.sub("", more.decode(errors="replace"))
        return bool(more)

    def until(self, wanted, seconds=60):
        """Everything up to the wanted text, which is taken off."""
        deadline = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"{wanted!r} does not come: {self.text!r}"
            assert self.read(0.2) or wanted in self.text, f"it ended before {wanted!r}: {self.text!r}"
        before, _, self.text = self.text.partition(wanted)
        return before

    def type(self, keys):
        # Keys that come before the line is being edited would be seen twice, and a prompt that is drawn again is none.
        before = None
        while before != self.text:
            before = self.text
            self.read(0.3)
        self.text = ""
        os.write(self.master, keys.encode())

    def end(self):
        """The exit status."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.1)
        while select.select([self.master], [], [], 0)[0] and self.read(0):
            pass
        os.close(self.master)
        return self.process.wait(1)


def at_the_prompt(lake, state):
    terminal = Terminal("sql", "--lake", lake, state=state)
    terminal.until("\\? for help.")
    terminal.until(PROMPT)

    terminal.type("SELECT 40 +\r")
    terminal.type("2 AS answer;\r")
    shown = terminal.until("(1 row)")
    assert "| answer |" in shown and "| 42     |" in shown, shown
    terminal.until(PROMPT)

    terminal.type("SELECT count(*) AS owned FROM owners\t")
    terminal.until("ownership")
    terminal.type(";\r")
    assert "| 0     |" in terminal.until("(1 row)")
    terminal.until(PROMPT)

    terminal.type("SELECT * FROM alloc\t\t")
    for name in ("allocate_cost(", "allocation_check(", "allocation_rules"):
        terminal.until(name)
    # A line that is edited is drawn again with the prompt before it, which is not the one behind Ctrl-C.
    terminal.until(PROMPT)
    terminal.type("\x03")
    terminal.until(PROMPT)
    terminal.type("SELECT nope;\r")
    terminal.until('ERROR: column "nope" does not exist')
    terminal.until(PROMPT)

    terminal.type("\x1b[A\x1b[A")
    terminal.until("owned FROM ownership;")
    terminal.type("\r")
    assert "| 0     |" in terminal.until("(1 row)")
    terminal.until(PROMPT)

    slow = "SELECT count(*) FROM generate_series(1, 400000) a, generate_series(1, 400000) b WHERE a.value % 7 = b.value % 11;"
    terminal.type(slow + "\r")
    time.sleep(1.5)
    pressed = time.monotonic()
    os.write(terminal.master, b"\x03")
    terminal.until("cancelled")
    terminal.until(PROMPT)
    assert time.monotonic() - pressed < 10
    # A second one, because the first may have been answered by a default.
    terminal.type(slow + "\r")
    time.sleep(1)
    os.write(terminal.master, b"\x03")
    terminal.until("cancelled")
    terminal.until(PROMPT)

    terminal.type("\\d ownership\r")
    terminal.until("valid_from")
    terminal.until("rows)")
    terminal.until(PROMPT)
    terminal.type("\\nonsense\r")
    terminal.until("ERROR: \\nonsense is not a command")
    terminal.until(PROMPT)
    terminal.type("\\q\r")
    assert terminal.end() == 0

    again = Terminal("sql", "--lake", lake, state=state)
    again.until(PROMPT)
    again.type("\x1b[A")
    again.until("\\q")
    again.type("\x1b[A\x1b[A\x1b[A")
    again.until("generate_series")
    again.type("\x03")
    again.until(PROMPT)
    again.type("\x04")
    assert again.end() == 0
    print("ok  the prompt: two lines, Tab, Up, Ctrl-C, an error, history over sessions, \\q and Ctrl-D")


def the_bar(folder, lake, state):
    sim = os.path.join(folder, "sim")
    ascribe("simulate", "--seed", "3", "--spans", "20000", "--out", sim)
    traces = os.path.join(sim, "otlp")
    terminal = Terminal("import", "otlp", traces, "--lake", lake, state=state)
    bar = terminal.until(" rows landed in ")
    assert terminal.end() == 0
    # A picture of a part that is done, bytes of bytes, rows so far.
    pictures = re.findall(r"[█░]+ [\d.]+ (?:Ki|Mi)?B/[\d.]+ (?:Ki|Mi)?B (\d+) rows", bar)
    assert len(set(pictures)) > 1, bar
    quiet = subprocess.run([ASCRIBE, "import", "otlp", traces, "--lake", lake], capture_output=True, text=True)
    assert quiet.returncode == 0 and not quiet.stderr and "skipped as already imported" in quiet.stdout, quiet
    print(f"ok  the progress bar moves on a terminal ({len(set(pictures))} pictures) and is not in files")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        state, lake = os.path.join(folder, "state"), os.path.join(folder, "lake")
        os.mkdir(lake)
        at_the_prompt(lake, state)
        the_bar(folder, lake, state)
