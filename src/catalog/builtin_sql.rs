//! The SQL that is built in: one file of `sql/views/` a view, one of `sql/reports/` a report; see `sql/README.md`.

/// A built-in view.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// SQL name.
    pub name: &'static str,
    /// The file: comments, then one query.
    pub sql: &'static str,
}

impl View {
    /// The leading comment as one line.
    #[must_use]
    pub fn comment(&self) -> String {
        let lines = self.sql.lines().map_while(|line| line.strip_prefix("--"));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    }
}

/// Every built-in view, in the order of the documentation.
#[must_use]
pub fn views() -> Vec<View> {
    vec![]
}

/// A built-in report file.
#[derive(Debug, Clone, Copy)]
pub struct ReportFile {
    /// Name of the report.
    pub name: &'static str,
    /// The file.
    pub sql: &'static str,
}

/// Every built-in report, in the order of the documentation.
#[must_use]
pub fn report_files() -> Vec<ReportFile> {
    vec![
        ReportFile {
            name: "weekly_cost_allocation",
            sql: include_str!("../../sql/reports/weekly_cost_allocation.sql"),
        },
        ReportFile { name: "monthly_chargeback", sql: include_str!("../../sql/reports/monthly_chargeback.sql") },
    ]
}
