//! What a report file says: see `sql/README.md` for the grammar.

use super::Schedule;
use crate::error::{Result, UserError};

/// A report.
#[derive(Debug, Clone)]
pub struct Report {
    /// Name: the file's.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// When it is due; none for a report that is only run by hand.
    pub schedule: Option<Schedule>,
    /// In order; a later one may use the earlier ones.
    pub parameters: Vec<Parameter>,
    /// What it is delivered as.
    pub formats: Vec<OutputFormat>,
    /// In order.
    pub sections: Vec<Section>,
}

/// A parameter of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Used as `$name`.
    pub name: String,
    /// SQL type.
    pub sql_type: String,
    /// SQL expression of its value when nobody sets it.
    pub default: String,
}

/// One query of a report.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Also the name of its files.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// How its columns are shown.
    pub columns: Vec<ReportColumn>,
    /// A picture of it.
    pub chart: Option<Chart>,
    /// The query.
    pub sql: String,
}

/// How a column is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportColumn {
    /// Column of the query.
    pub name: String,
    /// Heading.
    pub label: String,
    /// How its values are written.
    pub kind: ColumnKind,
    /// Whether a total stands below it.
    pub total: bool,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// As they are.
    Text,
    /// Rounded to cents, with thousands separators.
    Money,
    /// With thousands separators.
    Number,
    /// A ratio as per cent.
    Percent,
    /// A time in the report's time zone.
    Time,
}

/// A picture of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Lines rather than bars.
    pub line: bool,
    /// Column of the categories.
    pub x: String,
    /// Column of the values.
    pub y: String,
    /// Column of the colours.
    pub series: Option<String>,
}

/// What a report is delivered as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// One file a section, with a header line.
    Csv,
    /// One file a section.
    Parquet,
    /// One page.
    Html,
}

/// Understand a report file.
///
/// # Errors
/// When a line of a header is not what `sql/README.md` says; the error names the line.
pub fn parse(name: &str, text: &str) -> Result<Report> {
    let mut report = Report {
        name: name.to_owned(),
        title: name.replace('_', " "),
        description: String::new(),
        schedule: None,
        parameters: Vec::new(),
        formats: Vec::new(),
        sections: Vec::new(),
    };
    for (at, line) in (1..).zip(text.lines()) {
        let wrong = |why: &str| UserError::invalid(format!("report {name}, line {at}: {why}")).detail(line.to_owned());
        let in_query = report.sections.last().is_some_and(|section| !section.sql.is_empty());
        let header = line.strip_prefix("--").map(str::trim);
        match header.and_then(|header| header.split_once(':')) {
            Some(("section", section)) => {
                report.sections.push(Section {
                    name: identifier(section.trim())
                        .ok_or_else(|| wrong("a section needs a name of letters, digits and _"))?,
                    ..Section::default()
                });
            }
            Some((key, value)) if !in_query => {
                let done = match report.sections.last_mut() {
                    Some(section) => section_line(section, key.trim(), value.trim()),
                    None => report_line(&mut report, key.trim(), value.trim())?,
                };
                done.map_err(|why| wrong(&why))?;
            }
            None if !in_query && header.is_some_and(str::is_empty) => {}
            None if !in_query && header.is_some() => return Err(wrong("a header line is -- key: value").into()),
            _ => match report.sections.last_mut() {
                Some(section) if in_query || !line.trim().is_empty() => {
                    section.sql.push_str(line);
                    section.sql.push('\n');
                }
                None if !line.trim().is_empty() => return Err(wrong("a query stands before the first section").into()),
                _ => {}
            },
        }
    }
    finish(report)
}

fn finish(mut report: Report) -> Result<Report> {
    if report.formats.is_empty() {
        report.formats = vec![OutputFormat::Csv, OutputFormat::Parquet, OutputFormat::Html];
    }
    if report.sections.is_empty() {
        return Err(UserError::invalid(format!("report {} has no section", report.name)).into());
    }
    for section in &mut report.sections {
        section.sql = section.sql.trim().trim_end_matches(';').to_owned();
        if section.sql.is_empty() {
            return Err(
                UserError::invalid(format!("report {}: section {} has no query", report.name, section.name)).into()
            );
        }
        if section.title.is_empty() {
            section.title = section.name.replace('_', " ");
        }
    }
    Ok(report)
}

fn identifier(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    fits.then(|| text.to_owned())
}

type Line = Result<(), String>;

fn report_line(report: &mut Report, key: &str, value: &str) -> Result<Line> {
    match key {
        "title" => value.clone_into(&mut report.title),
        "description" => add_text(&mut report.description, value),
        "schedule" => report.schedule = Some(value.parse()?),
        "parameter" => match parameter(value) {
            Some(parameter) => report.parameters.push(parameter),
            None => return Ok(Err("a parameter is name type = expression".to_owned())),
        },
        "formats" => {
            for word in value.split(',').map(str::trim) {
                report.formats.push(match word {
                    "csv" => OutputFormat::Csv,
                    "parquet" => OutputFormat::Parquet,
                    "html" => OutputFormat::Html,
                    other => return Ok(Err(format!("{other} is not one of csv, parquet, html"))),
                });
            }
        }
        other => return Ok(Err(format!("{other} is not a key of a report"))),
    }
    Ok(Ok(()))
}

fn section_line(section: &mut Section, key: &str, value: &str) -> Line {
    match key {
        "title" => value.clone_into(&mut section.title),
        "description" => add_text(&mut section.description, value),
        "column" => section.columns.push(column(value)?),
        "chart" => section.chart = Some(chart(value)?),
        other => return Err(format!("{other} is not a key of a section")),
    }
    Ok(())
}

fn add_text(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

fn parameter(text: &str) -> Option<Parameter> {
    let (left, default) = text.split_once('=')?;
    let (name, sql_type) = left.trim().split_once(char::is_whitespace)?;
    let name = identifier(name).filter(|name| name != "at")?;
    Some(Parameter { name, sql_type: sql_type.trim().to_owned(), default: default.trim().to_owned() })
}

fn column(text: &str) -> Result<ReportColumn, String> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let name = identifier(name.trim()).ok_or("a column is name: label, kind")?;
    let mut parts = rest.split(',').map(str::trim);
    let label = parts.next().filter(|label| !label.is_empty()).map_or_else(|| name.replace('_', " "), str::to_owned);
    let mut column = ReportColumn { name, label, kind: ColumnKind::Text, total: false };
    for word in parts {
        match word {
            "text" => column.kind = ColumnKind::Text,
            "money" => column.kind = ColumnKind::Money,
            "number" => column.kind = ColumnKind::Number,
            "percent" => column.kind = ColumnKind::Percent,
            "time" => column.kind = ColumnKind::Time,
            "total" => column.total = true,
            other => return Err(format!("{other} is not a kind of column")),
        }
    }
    Ok(column)
}

fn chart(text: &str) -> Result<Chart, String> {
    let mut words = text.split_whitespace();
    let line = match words.next() {
        Some("line") => true,
        Some("bar") => false,
        _ => return Err("a chart is bar or line".to_owned()),
    };
    let (mut x, mut y, mut series) = (None, None, None);
    for word in words {
        match word.split_once('=') {
            Some(("x", column)) => x = Some(column.to_owned()),
            Some(("y", column)) => y = Some(column.to_owned()),
            Some(("series", column)) => series = Some(column.to_owned()),
            _ => return Err(format!("{word} is not x=, y= or series=")),
        }
    }
    match (x, y) {
        (Some(x), Some(y)) => Ok(Chart { line, x, y, series }),
        _ => Err("a chart needs x= and y=".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- title: Costs
-- description: Who pays.
-- description: And why.
-- schedule: 0 6 2 * * Europe/Berlin
-- parameter: begin timestamptz = date_trunc('month', $at) - interval '1 month'
-- formats: csv, html

-- section: by_owner
-- title: By owner
-- column: owner: Team
-- column: cost: Cost, money, total
-- chart: bar x=owner y=cost
SELECT 1 AS owner, -- not: a header
       2 AS cost;

-- section: check
SELECT 3
";

    #[test]
    fn a_report_is_understood() {
        let report = parse("costs", TEXT).unwrap();
        assert_eq!(report.title, "Costs");
        assert_eq!(report.description, "Who pays. And why.");
        assert_eq!(report.schedule.as_ref().unwrap().text(), "0 6 2 * * Europe/Berlin");
        assert_eq!(report.parameters[0].name, "begin");
        assert_eq!(report.parameters[0].default, "date_trunc('month', $at) - interval '1 month'");
        assert_eq!(report.formats, [OutputFormat::Csv, OutputFormat::Html]);
        let names: Vec<_> = report.sections.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["by_owner", "check"]);
        let section = &report.sections[0];
        assert_eq!(section.sql, "SELECT 1 AS owner, -- not: a header\n       2 AS cost");
        assert_eq!(
            section.columns[1],
            ReportColumn { name: "cost".into(), label: "Cost".into(), kind: ColumnKind::Money, total: true }
        );
        assert_eq!(section.chart.as_ref().unwrap().y, "cost");
        assert_eq!(report.sections[1].title, "check");
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line) in [
            ("-- titel: x\n-- section: a\nSELECT 1", "line 1"),
            ("-- title: x\nSELECT 1", "line 2"),
            ("-- section: a b\nSELECT 1", "line 1"),
            ("-- section: a\n-- column: c: C, gold\nSELECT 1", "line 2"),
            ("-- section: a\n-- chart: pie x=a y=b\nSELECT 1", "line 2"),
            ("-- parameter: begin = 1\n-- section: a\nSELECT 1", "line 1"),
            ("-- formats: pdf\n-- section: a\nSELECT 1", "line 1"),
        ] {
            let error = parse("r", text).unwrap_err();
            assert!(error.to_string().contains(line), "{error}");
        }
        assert!(parse("r", "-- title: x\n").unwrap_err().to_string().contains("no section"));
        assert!(parse("r", "-- section: a\n-- section: b\nSELECT 1").unwrap_err().to_string().contains("no query"));
    }

    #[test]
    fn the_built_in_reports_are_whole() {
        for report in crate::reports::all().unwrap() {
            assert!(!report.description.is_empty(), "{}", report.name);
        }
    }
}
