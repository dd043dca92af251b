"""psycopg2's sessions against a server that the environment's PG* variables name: cursors, transactions, cancelling, pools."""

import sys
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.pool
from psycopg2 import errors

failures = []


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


def one(statement):
    """The only value, or the error in its place."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]
    except psycopg2.Error as error:
        if not connection.closed and connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INERROR:
            connection.rollback()
        return f"{error.pgcode} {error}".strip()


def refused(what, statement, kind):
    """That the statement fails as psycopg2's class of the SQLSTATE."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
        failures.append(f"{what}: expected {kind.__name__}, got {cursor.statusmessage}")
    except psycopg2.Error as error:
        check(what, type(error).__name__, kind.__name__)


def section(work):
    """What fails unexpectedly does not keep the others from being asked."""
    connection.rollback()
    try:
        work()
    except psycopg2.Error as error:
        failures.append(f"{work.__name__}: {error.pgcode} {error}")
    connection.rollback()
    connection.set_session(isolation_level="DEFAULT", readonly="DEFAULT", autocommit=False)


def named():
    with connection, connection.cursor("named") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT g, %s || g FROM generate_series(1, 1000) AS g ORDER BY 1", ["x"])
        check("named", (sum(row[0] for row in cursor), cursor.description[1].name), (500500, "?column?"))
    with connection, connection.cursor("dicts", cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute("SELECT g AS n FROM generate_series(1, 10) AS g ORDER BY 1")
        check("named dicts", ([dict(row) for row in cursor.fetchmany(2)], cursor.fetchone()["n"]), ([{"n": 1}, {"n": 2}], 3))
        cursor.scroll(2)
        check("moved", cursor.fetchone()["n"], 6)
    with connection, connection.cursor("one") as one, connection.cursor("two") as two:
        one.execute("SELECT g FROM generate_series(1, 10) AS g ORDER BY 1")
        two.execute("SELECT change_id FROM changes WHERE change_id = 'none'")
        check("two at once", (one.fetchone(), two.fetchall(), one.fetchmany(2)), ((1,), [], [(2,), (3,)]))
    cursor = connection.cursor("failing")
    try:
        cursor.execute("SELECT 10 / (3 - g) FROM generate_series(1, 5) AS g")
        cursor.fetchall()
        failures.append("a cursor divides by zero")
    except errors.DivisionByZero:
        connection.rollback()


def held():
    cursor = connection.cursor("held", withhold=True)
    cursor.execute("SELECT g FROM generate_series(1, 10) AS g ORDER BY 1")
    connection.commit()
    check("held", cursor.fetchmany(3), [(1,), (2,), (3,)])
    cursor.close()
    connection.commit()
    refused("closed", "FETCH 1 FROM held", errors.InvalidCursorName)


def transactions():
    """psycopg2 opens them by itself."""
    status = psycopg2.extensions
    check("idle", connection.info.transaction_status, status.TRANSACTION_STATUS_IDLE)
    check("one", one("SELECT 1"), 1)
    check("in transaction", connection.info.transaction_status, status.TRANSACTION_STATUS_INTRANS)
    refused("fails", "SELECT 1 / 0", errors.DivisionByZero)
    refused("aborted", "SELECT 1", errors.InFailedSqlTransaction)
    connection.rollback()
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT here")
        refused("within", "SELECT * FROM nothing", errors.UndefinedTable)
        cursor.execute("ROLLBACK TO SAVEPOINT here")
        check("after the savepoint", one("SELECT 1"), 1)
    connection.commit()
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        connection.set_session(isolation_level=level, readonly=True)
        check(level, (one("SHOW transaction_isolation"), one("SHOW transaction_read_only")), (level.lower(), "on"))
        refused("read-only", "INSERT INTO changes (change_id) VALUES ('two8')", errors.ReadOnlySqlTransaction)
        connection.rollback()
    connection.set_session(isolation_level="DEFAULT", readonly="DEFAULT", autocommit=True)
    connection.set_session(readonly=True)
    check("read-only session", one("SHOW default_transaction_read_only"), "on")
    refused("read-only statement", "INSERT INTO changes (change_id) VALUES ('two8')", errors.ReadOnlySqlTransaction)
    connection.set_session(readonly=False)
    check("writable session", one("SHOW default_transaction_read_only"), "off")
    connection.reset()


def writing():
    """Outside of transactions; within one it is refused where ROLLBACK could not take it back."""
    counted = "SELECT count(*) FROM changes WHERE change_id = %s"
    with connection.cursor() as cursor:
        try:
            cursor.execute("INSERT INTO changes (change_id) VALUES ('two8')")
        except errors.FeatureNotSupported:
            check("aborted by it", connection.info.transaction_status, psycopg2.extensions.TRANSACTION_STATUS_INERROR)
        connection.rollback()
        connection.autocommit = True
        cursor.execute(counted, ["two8"])
        check("rolled back", cursor.fetchone(), (0,))
        cursor.executemany("INSERT INTO changes (change_id) VALUES (%s)", [["two9"], ["two9"]])
        cursor.execute(counted, ["two9"])
        check("written", cursor.fetchone(), (2,))


def limits():
    slow = "SELECT count(*) FROM generate_series(1, 300000) a(x) CROSS JOIN generate_series(1, 300000) b(y) WHERE a.x % 7 = b.y % 11"
    threading.Timer(0.5, connection.cancel).start()
    begin = time.monotonic()
    refused("cancel", slow, errors.QueryCanceled)
    check("cancelled soon", time.monotonic() - begin < 5, True)
    connection.rollback()
    check("alive", one("SELECT 1"), 1)
    with psycopg2.connect("", options="-c statement_timeout=300", application_name="limited") as limited, limited.cursor() as cursor:
        cursor.execute("SELECT current_setting('application_name'), current_setting('statement_timeout')")
        check("options", cursor.fetchone(), ("limited", "300ms"))
        try:
            cursor.execute(slow)
            failures.append("the time limit does not hold")
        except errors.QueryCanceled as error:
            check("time limit", error.diag.message_primary, "canceling statement due to statement timeout")
    connection.reset()
    check("reset", one("SELECT 1"), 1)


def pools():
    pool = psycopg2.pool.ThreadedConnectionPool(2, 4, "")
    answers = []

    def ask(number):
        mine = pool.getconn()
        with mine.cursor() as cursor:
            cursor.execute("SELECT %s * 2", [number])
            answers.append(cursor.fetchone()[0])
        pool.putconn(mine)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("pool", sorted(answers), [0, 2, 4, 6])
    pool.closeall()


def waiting():
    """The caller waits for the socket, as gevent's users do."""
    psycopg2.extensions.set_wait_callback(psycopg2.extras.wait_select)
    with psycopg2.connect("") as own, own.cursor() as cursor:
        cursor.execute("SELECT g FROM generate_series(1, 1000) AS g ORDER BY 1")
        check("wait callback", cursor.fetchall()[-1], (1000,))
    psycopg2.extensions.set_wait_callback(None)


connection = psycopg2.connect("")
for work in (named, held, transactions, writing, limits, pools, waiting):
    section(work)
connection.close()

for failure in failures:
    print("FAILED psycopg2 sessions", failure, file=sys.stderr)
if not failures:
    print("psycopg2 sessions: passed")
sys.exit(bool(failures))
