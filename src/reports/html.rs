//! A report as one self-contained page: no script, no external resource, light and dark, printable.

use std::collections::BTreeMap;
use std::fmt::Write;

use chrono::DateTime;
use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::chart::{self, Point};
use super::number::{exact, plain, rounded};
use super::{ColumnKind, Report, ReportColumn, Section};
use crate::error::Result;

/// Rows of a section that the page shows; the CSV has all.
const MOST_ROWS: usize = 1000;

const STYLE: &str = include_str!("report.css");

/// What the page says about the run.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub due_at: i64,
    pub started_at: i64,
    pub zone: Tz,
    pub parameters: &'a [(String, String)],
    pub versions: &'a [(String, String)],
}

/// The rows of one section.
#[derive(Debug)]
pub(super) struct Filled<'a> {
    pub section: &'a Section,
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The page.
pub(super) fn page(report: &Report, facts: &Facts<'_>, sections: &[Filled<'_>]) -> Result<String> {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body><header><h1>{title}</h1><p>{description}</p><dl>",
        title = escape(&report.title),
        description = escape(&report.description),
    );
    let mut fact = |name: &str, value: &str| {
        write!(page, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value)).unwrap_or_default();
    };
    for (name, value) in facts.parameters {
        fact(&name.replace('_', " "), value);
    }
    fact("stands for", &time(facts.due_at, facts.zone));
    fact("run", &time(facts.started_at, facts.zone));
    page.push_str("</dl></header><main>");
    for filled in sections {
        section(&mut page, filled, facts.zone)?;
    }
    page.push_str("</main><footer><details><summary>How this was computed</summary>");
    for filled in sections {
        write!(page, "<h3>{}</h3><pre>{}</pre>", escape(&filled.section.title), escape(&filled.section.sql))
            .unwrap_or_default();
    }
    page.push_str("<h3>Data</h3><ul>");
    for (table, version) in facts.versions {
        write!(page, "<li>{} at version {}</li>", escape(table), escape(version)).unwrap_or_default();
    }
    page.push_str(
        "</ul></details><p>Amounts are shown rounded to cents; the CSV and Parquet files beside this page have every \
         digit. Made by Ascribe.</p></footer></body></html>\n",
    );
    Ok(page)
}

/// A time to the second in a time zone.
pub(super) fn time(micros: i64, zone: Tz) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn section(page: &mut String, filled: &Filled<'_>, zone: Tz) -> Result<()> {
    let section = filled.section;
    write!(page, "<section><h2>{}</h2>", escape(&section.title)).unwrap_or_default();
    if !section.description.is_empty() {
        write!(page, "<p>{}</p>", escape(&section.description)).unwrap_or_default();
    }
    let rows = concat_batches(&filled.schema, &filled.batches)?;
    let columns = shown(section, &rows);
    if rows.num_rows() == 0 {
        page.push_str("<p class=\"none\">There is nothing to show.</p></section>");
        return Ok(());
    }
    picture(page, section, &rows)?;
    page.push_str("<div class=\"wide\"><table><thead><tr>");
    for (column, cells) in &columns {
        write!(page, "<th class=\"{}\">{}</th>", class(column, cells), escape(&column.label)).unwrap_or_default();
    }
    page.push_str("</tr></thead><tbody>");
    let texts = columns.iter().map(|(column, cells)| cell_texts(column, cells, zone)).collect::<Result<Vec<_>>>()?;
    for row in 0..rows.num_rows().min(MOST_ROWS) {
        page.push_str("<tr>");
        for ((column, cells), texts) in columns.iter().zip(&texts) {
            let text = texts.get(row).map_or("", String::as_str);
            write!(page, "<td class=\"{}\">{}</td>", class(column, cells), escape(text)).unwrap_or_default();
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody>");
    totals(page, &columns, &rows);
    page.push_str("</table></div>");
    if rows.num_rows() > MOST_ROWS {
        let all = rows.num_rows();
        write!(page, "<p>The first {MOST_ROWS} of {all} rows; {}.csv has all.</p>", escape(&section.name))
            .unwrap_or_default();
    }
    page.push_str("</section>");
    Ok(())
}

/// The columns that the section describes, or all of the query's.
fn shown(section: &Section, rows: &RecordBatch) -> Vec<(ReportColumn, ArrayRef)> {
    let schema = rows.schema();
    let described =
        |column: &ReportColumn| rows.column_by_name(&column.name).map(|cells| (column.clone(), cells.clone()));
    if !section.columns.is_empty() {
        return section.columns.iter().filter_map(described).collect();
    }
    let plain = schema.fields().iter().zip(rows.columns()).map(|(field, cells)| {
        let kind = if field.data_type().is_numeric() { ColumnKind::Number } else { ColumnKind::Text };
        let (name, label) = (field.name().clone(), field.name().replace('_', " "));
        (ReportColumn { name, label, kind, total: false }, cells.clone())
    });
    plain.collect()
}

fn class(column: &ReportColumn, cells: &ArrayRef) -> &'static str {
    let right = matches!(column.kind, ColumnKind::Money | ColumnKind::Number | ColumnKind::Percent);
    if right || cells.data_type().is_numeric() { "n" } else { "t" }
}

fn cell_texts(column: &ReportColumn, cells: &ArrayRef, zone: Tz) -> Result<Vec<String>> {
    let number = |digits: Option<u32>, times: i128, unit: &'static str| {
        let show = move |value: i128| {
            let value = value.saturating_mul(times);
            let text = digits.map_or_else(|| plain(value), |digits| rounded(value, digits));
            format!("{text}{unit}")
        };
        exact(cells).into_iter().map(move |value| value.map_or_else(String::new, show)).collect()
    };
    Ok(match column.kind {
        ColumnKind::Money => number(Some(2), 1, ""),
        ColumnKind::Percent => number(Some(1), 100, " %"),
        ColumnKind::Number => number(None, 1, ""),
        ColumnKind::Time => {
            let wanted = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let times = cast(cells, &wanted)?;
            let times = times.as_primitive::<TimestampMicrosecondType>();
            times.iter().map(|at| at.map_or_else(String::new, |at| time(at, zone))).collect()
        }
        ColumnKind::Text => {
            let options = FormatOptions::new().with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:::z"));
            let formatter = ArrayFormatter::try_new(cells, &options)?;
            (0..cells.len()).map(|row| formatter.value(row).to_string()).collect()
        }
    })
}

/// One line of totals a currency, or one where there is none.
fn totals(page: &mut String, columns: &[(ReportColumn, ArrayRef)], rows: &RecordBatch) {
    if !columns.iter().any(|(column, _)| column.total) {
        return;
    }
    let currencies = rows.column_by_name("billing_currency").and_then(|cells| cast(cells, &DataType::Utf8).ok());
    let currency = |row: usize| {
        let cells = currencies.as_ref().map(AsArray::as_string::<i32>);
        cells.filter(|cells| cells.is_valid(row)).map_or("", |cells| cells.value(row)).to_owned()
    };
    let mut sums: BTreeMap<String, Vec<i128>> = BTreeMap::new();
    for (at, (column, cells)) in columns.iter().enumerate().filter(|(_, (column, _))| column.total) {
        debug_assert!(column.total);
        for (row, value) in exact(cells.as_ref()).into_iter().enumerate() {
            let sum = sums.entry(currency(row)).or_insert_with(|| vec![0; columns.len()]);
            if let (Some(sum), Some(value)) = (sum.get_mut(at), value) {
                *sum = sum.saturating_add(value);
            }
        }
    }
    page.push_str("<tfoot>");
    for (currency, sums) in sums {
        page.push_str("<tr>");
        for (at, ((column, cells), sum)) in columns.iter().zip(&sums).enumerate() {
            let text = match column.kind {
                _ if column.total && column.kind == ColumnKind::Money => rounded(*sum, 2),
                _ if column.total => plain(*sum),
                _ if at == 0 => "Total".to_owned(),
                _ if column.name == "billing_currency" => currency.clone(),
                _ => String::new(),
            };
            write!(page, "<td class=\"{}\">{}</td>", class(column, cells), escape(&text)).unwrap_or_default();
        }
        page.push_str("</tr>");
    }
    page.push_str("</tfoot>");
}

fn picture(page: &mut String, section: &Section, rows: &RecordBatch) -> Result<()> {
    let Some(wanted) = &section.chart else { return Ok(()) };
    let texts = |name: &str| -> Result<Option<Vec<String>>> {
        let Some(cells) = rows.column_by_name(name) else { return Ok(None) };
        let options = FormatOptions::new().with_timestamp_tz_format(Some("%Y-%m-%d"));
        let formatter = ArrayFormatter::try_new(cells, &options)?;
        Ok(Some((0..cells.len()).map(|row| formatter.value(row).to_string()).collect()))
    };
    let (Some(xs), Some(ys)) = (texts(&wanted.x)?, rows.column_by_name(&wanted.y)) else { return Ok(()) };
    let series = match &wanted.series {
        Some(name) => texts(name)?,
        None => None,
    };
    let series = series.unwrap_or_else(|| vec![String::new(); xs.len()]);
    let values = exact(ys);
    // Amounts of different currencies are not drawn to one scale.
    let currencies = texts("billing_currency")?.unwrap_or_else(|| vec![String::new(); xs.len()]);
    let mut by_currency: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for (((x, series), y), currency) in xs.into_iter().zip(series).zip(values).zip(currencies) {
        by_currency.entry(currency).or_default().extend(y.map(|y| Point { x, series, y }));
    }
    let money = section.columns.iter().any(|column| column.name == wanted.y && column.kind == ColumnKind::Money);
    let digits = if money { 2 } else { 0 };
    for (currency, points) in by_currency {
        let svg = if wanted.line { chart::lines(&points, digits) } else { chart::bars(&points, digits) };
        let caption =
            if currency.is_empty() { String::new() } else { format!("<figcaption>{}</figcaption>", escape(&currency)) };
        write!(page, "<figure>{caption}{svg}</figure>").unwrap_or_default();
    }
    Ok(())
}
