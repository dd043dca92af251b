"""`ascribe serve` makes the reports that are due: seen over a due instant, by two servers, over a restart and downtime.

The instant is one of the built-in monthly report. The clock is set by faketime, which is skipped loudly when absent.
Environment: ASCRIBE_BIN.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time

from program import ASCRIBE, ascribe, background, free_port, reachable, rows

NAME = "monthly_chargeback"
RUNS = f"SELECT due_at, status, rows FROM system.report_runs WHERE report = '{NAME}' AND trigger = 'schedule' AND status <> 'registered' ORDER BY 1"
REGISTERED = "SELECT count(*) FROM system.report_runs WHERE status = 'registered'"


def at(time_of_day, lake):
    """A server whose clock begins at that time."""
    # Waiting is by the monotonic clock, which is left alone.
    environment = {**os.environ, "TZ": "UTC", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    port = free_port()
    command = ["faketime", "-f", f"@{time_of_day}", ASCRIBE, "serve", "--lake", lake, "--listen", f"127.0.0.1:{port}",
            "--otlp-http", "off", "--otlp-grpc", "off"]
    return background(command, env=environment), port


def wait_for(lake, sql, accept, seconds):
    deadline = time.monotonic() + seconds
    while True:
        found = rows(lake, sql)
        if accept(found):
            return found
        assert time.monotonic() < deadline, f"{sql}: {found}"
        time.sleep(1)


def main():
    if not shutil.which("faketime"):
        print("SKIPPED the scheduler over a due instant: faketime is not installed", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        lake = os.path.join(folder, "lake")
        ascribe("simulate", "--seed", "2", "--spans", "1000", "--lake", lake)
        first, port = at("2026-04-03 03:59:20", lake)
        second, other = at("2026-04-03 03:59:20", lake)
        with first, second:
            reachable(port)
            reachable(other)
            reports = len([line for line in ascribe("report", "list", "--lake", lake).splitlines() if line.strip().startswith("due: ") and "by hand" not in line])
            wait_for(lake, REGISTERED, lambda found: int(found[0][0]) >= reports, 30)
            assert rows(lake, RUNS) == [], "nothing is due yet"
            made = wait_for(lake, RUNS, bool, 90)
            # Time for the other server to look as well, twice.
            time.sleep(32)
            assert rows(lake, RUNS) == made, "the run is made once by two servers"
        assert len(made) == 1 and made[0][0].startswith("2026-04-03 04:00:00") and made[0][1] == "succeeded", made
        assert int(made[0][2]) > 0
        delivered = pathlib.Path(lake) / "reports" / NAME / "2026-04-03T04-00-00Z"
        kinds = {path.suffix for path in delivered.iterdir()}
        assert kinds == {".csv", ".parquet", ".html"}, kinds
        page = (delivered / "report.html").read_text()
        assert "<svg" in page and "Monthly chargeback" in page
        print("ok  two servers made the run that was due once: CSV, Parquet and a page with charts")

        again, port = at("2026-04-03 04:10:00", lake)
        with again:
            reachable(port)
            time.sleep(20)
            assert rows(lake, RUNS) == made, "a restart makes it again"
        later, port = at("2026-06-10 12:00:00", lake)
        with later:
            reachable(port)
            caught = wait_for(lake, RUNS, lambda found: len(found) >= 3, 90)
            time.sleep(16)
            assert rows(lake, RUNS) == caught
        instants = [row[0][:19] for row in caught]
        assert instants == ["2026-04-03 04:00:00", "2026-05-03 04:00:00", "2026-06-03 04:00:00"], caught
        assert {row[1] for row in caught} == {"succeeded"}
        print("ok  a restart makes no run again, and two months of downtime are made up for")


if __name__ == "__main__":
    main()
