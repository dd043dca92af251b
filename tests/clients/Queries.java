import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Runs the queries of a folder through the PostgreSQL JDBC driver and writes the answers as CSV. */
public final class Queries {
    private static String quoted(String cell) {
        return cell == null ? "" : '"' + cell.replace("\"", "\"\"") + '"';
    }

    private static void write(ResultSet rows, Path to) throws SQLException, IOException {
        int columns = rows.getMetaData().getColumnCount();
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(to))) {
            for (int at = 1; at <= columns; at++) {
                out.print((at > 1 ? "," : "") + quoted(rows.getMetaData().getColumnLabel(at)));
            }
            out.print("\n");
            while (rows.next()) {
                for (int at = 1; at <= columns; at++) {
                    out.print((at > 1 ? "," : "") + quoted(rows.getString(at)));
                }
                out.print("\n");
            }
        }
    }

    private static void names(ResultSet rows, String column, Path to) throws SQLException, IOException {
        StringBuilder names = new StringBuilder();
        while (rows.next()) {
            names.append(rows.getString(column)).append('\n');
        }
        Files.writeString(to, names);
    }

    public static void main(String[] arguments) throws SQLException, IOException {
        Path from = Path.of(arguments[1]);
        Path to = Path.of(arguments[2]);
        List<Path> files;
        try (Stream<Path> listed = Files.list(from)) {
            files = listed.filter(path -> path.toString().endsWith(".sql")).sorted().collect(Collectors.toList());
        }
        try (Connection connection = DriverManager.getConnection(arguments[0])) {
            for (Path file : files) {
                String name = file.getFileName().toString().replace(".sql", ".csv");
                try (PreparedStatement statement = connection.prepareStatement(Files.readString(file))) {
                    write(statement.executeQuery(), to.resolve(name));
                } catch (SQLException error) {
                    throw new SQLException(file.getFileName() + ": " + error.getMessage(), error);
                }
            }
            names(connection.getMetaData().getFunctions(null, "public", "%"), "FUNCTION_NAME", to.resolve("functions.txt"));
            names(connection.getMetaData().getTables(null, "public", "%", null), "TABLE_NAME", to.resolve("tables.txt"));
        }
    }
}
