import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Objects;

/** The PostgreSQL JDBC driver against the server of the URL that is given. */
public final class Jdbc {
    private static int failures;

    private static void check(String what, Object actual, Object expected) {
        if (!Objects.equals(actual, expected)) {
            System.err.println("FAILED JDBC " + what + ": expected " + expected + ", got " + actual);
            failures++;
        }
    }

    public static void main(String[] arguments) throws SQLException {
        try (Connection connection = DriverManager.getConnection(arguments[0])) {
            check("version", connection.getMetaData().getDatabaseMajorVersion(), 16);
            String sql = "SELECT ?::int4 + 1, ?::text, ?::numeric(38,2)";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                // The driver names its statements and turns to binary after a few executions.
                for (int turn = 0; turn < 8; turn++) {
                    statement.setInt(1, 41);
                    statement.setString(2, "x");
                    statement.setBigDecimal(3, new java.math.BigDecimal("1.25"));
                    try (ResultSet rows = statement.executeQuery()) {
                        check("row", rows.next(), true);
                        check("int", rows.getInt(1), 42);
                        check("text", rows.getString(2), "x");
                        check("numeric", rows.getBigDecimal(3), new java.math.BigDecimal("1.25"));
                    }
                }
            }
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(100);
                long sum = 0;
                try (ResultSet rows = statement.executeQuery("SELECT value FROM generate_series(1, 1000) ORDER BY 1")) {
                    while (rows.next()) {
                        sum += rows.getLong(1);
                    }
                }
                check("fetched in parts", sum, 500500L);
            }
            connection.rollback();
            connection.setAutoCommit(true);
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT * FROM nothing");
                check("error", "none", "42P01");
            } catch (SQLException error) {
                check("error", error.getSQLState(), "42P01");
            }
            StringBuilder tables = new StringBuilder();
            try (ResultSet rows = connection.getMetaData().getTables(null, "public", "costs", null)) {
                while (rows.next()) {
                    tables.append(rows.getString("TABLE_NAME")).append(' ').append(rows.getString("TABLE_TYPE"));
                }
            }
            check("tables", tables.toString(), "costs TABLE");
            String type = null;
            try (ResultSet rows = connection.getMetaData().getColumns(null, "public", "costs", "billed_cost")) {
                while (rows.next()) {
                    type = rows.getString("TYPE_NAME") + " " + rows.getInt("COLUMN_SIZE") + " " + rows.getInt("DECIMAL_DIGITS");
                }
            }
            check("column", type, "numeric 38 12");
        }
        if (failures == 0) {
            System.out.println("JDBC: passed");
        }
        System.exit(failures == 0 ? 0 : 1);
    }
}
