//! Charts as inline SVG: stacked horizontal bars and lines, readable without colour, without any script.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::html::escape;
use super::number::rounded;

/// Categories that a bar chart shows; the rest is added up in one.
const MOST_BARS: usize = 15;

/// Series that a chart tells apart; the rest is added up in one.
const MOST_SERIES: usize = 7;

const WIDTH: i64 = 900;
const LABELS: i64 = 190;
const VALUES: i64 = 120;
const ROW: i64 = 26;

/// One value of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    /// Category.
    pub x: String,
    /// Colour.
    pub series: String,
    /// Value as a count of 10⁻¹².
    pub y: i128,
}

/// Categories and series in order of first appearance, and the values by both.
struct Grid {
    xs: Vec<String>,
    series: Vec<String>,
    values: Vec<Vec<i128>>,
}

fn slot(names: &mut Vec<String>, name: &str, most: usize) -> usize {
    if let Some(at) = names.iter().position(|known| known == name) {
        return at;
    }
    if names.len() + 1 >= most && names.last().is_some_and(|last| last == "other") {
        return names.len() - 1;
    }
    let last = names.len() + 1 == most;
    names.push(if last { "other".to_owned() } else { name.to_owned() });
    names.len() - 1
}

fn grid(points: &[Point], most_x: usize) -> Grid {
    let mut grid = Grid { xs: Vec::new(), series: Vec::new(), values: Vec::new() };
    for point in points {
        let x = slot(&mut grid.xs, &point.x, most_x);
        let series = slot(&mut grid.series, &point.series, MOST_SERIES + 1);
        if grid.values.len() <= x {
            grid.values.resize(x + 1, Vec::new());
        }
        if let Some(row) = grid.values.get_mut(x) {
            if row.len() <= series {
                row.resize(series + 1, 0);
            }
            if let Some(value) = row.get_mut(series) {
                *value = value.saturating_add(point.y);
            }
        }
    }
    grid
}

/// Pixels of a value when `most` is `width` pixels wide.
fn pixels(value: i128, most: i128, width: i64) -> i64 {
    if most == 0 {
        return 0;
    }
    let ratio = value as f64 / most as f64;
    (ratio * width as f64).round() as i64
}

/// Horizontal bars, one a category, stacked by series. Negative parts are drawn hatched from the left edge.
pub(super) fn bars(points: &[Point], unit_digits: u32) -> String {
    let grid = grid(points, MOST_BARS);
    let extent = |row: &Vec<i128>| row.iter().map(|value| value.saturating_abs()).fold(0_i128, i128::saturating_add);
    let most = grid.values.iter().map(extent).max().unwrap_or(0);
    let legend = if grid.series.len() > 1 { legend_places(&grid.series).1 } else { 0 };
    let height = legend + ROW * grid.xs.len() as i64 + 6;
    let mut svg = open(height);
    if legend > 0 {
        legend_of(&mut svg, &grid.series);
    }
    let room = WIDTH - LABELS - VALUES;
    for (at, (x, row)) in (0_i64..).zip(grid.xs.iter().zip(&grid.values)) {
        let y = legend + at * ROW;
        text(&mut svg, LABELS - 8, y + 17, "end", &shortened(x));
        let mut left = LABELS;
        for (series, value) in row.iter().enumerate().filter(|(_, value)| **value != 0) {
            let width = pixels(value.saturating_abs(), most, room).max(1);
            let class = if *value < 0 { "neg" } else { "pos" };
            let name = grid.series.get(series).map_or("", String::as_str);
            let title = format!("{x} {name} {}", rounded(*value, unit_digits));
            // Writing to a string cannot fail.
            write!(
                svg,
                "<rect class=\"s{series} {class}\" x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"18\"><title>{}</title></rect>",
                y + 4,
                escape(&title)
            )
            .unwrap_or_default();
            left += width;
        }
        let total = row.iter().fold(0_i128, |sum, value| sum.saturating_add(*value));
        text(&mut svg, left + 6, y + 17, "start", &rounded(total, unit_digits));
    }
    svg.push_str("</svg>");
    svg
}

/// Lines over the categories in order, one a series.
pub(super) fn lines(points: &[Point], unit_digits: u32) -> String {
    let grid = grid(points, usize::MAX);
    let all = || grid.values.iter().flatten().copied();
    let (low, high) = (all().min().unwrap_or(0).min(0), all().max().unwrap_or(0).max(0));
    let top = legend_places(&grid.series).1 + 8;
    let bottom = top + 220;
    let mut svg = open(bottom + 40);
    legend_of(&mut svg, &grid.series);
    let span = high.saturating_sub(low);
    let level = |value: i128| bottom - pixels(value.saturating_sub(low), span, bottom - top);
    let column = |at: usize| 100 + (WIDTH - 150) * at as i64 / (grid.xs.len().max(2) as i64 - 1);
    for value in BTreeSet::from([low, 0, high]) {
        let y = level(value);
        write!(svg, "<line class=\"axis\" x1=\"100\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>", WIDTH - 20)
            .unwrap_or_default();
        text(&mut svg, 92, y + 4, "end", &rounded(value, unit_digits));
    }
    let every = grid.xs.len().div_ceil(8).max(1);
    for (at, x) in grid.xs.iter().enumerate().step_by(every) {
        text(&mut svg, column(at), bottom + 20, "middle", &shortened(x));
    }
    for series in 0..grid.series.len() {
        let path: Vec<String> = grid
            .values
            .iter()
            .enumerate()
            .map(|(at, row)| format!("{},{}", column(at), level(row.get(series).copied().unwrap_or(0))))
            .collect();
        write!(svg, "<polyline class=\"l{series}\" points=\"{}\"/>", path.join(" ")).unwrap_or_default();
    }
    svg.push_str("</svg>");
    svg
}

fn open(height: i64) -> String {
    format!("<svg role=\"img\" viewBox=\"0 0 {WIDTH} {height}\" xmlns=\"http://www.w3.org/2000/svg\">")
}

/// Where each name of the legend stands, and how high the legend is.
fn legend_places(series: &[String]) -> (Vec<(i64, i64)>, i64) {
    let (mut x, mut y) = (LABELS, 6);
    let mut places = Vec::with_capacity(series.len());
    for name in series {
        let width = 40 + 7 * shortened(name).chars().count() as i64;
        if x > LABELS && x + width > WIDTH {
            (x, y) = (LABELS, y + 20);
        }
        places.push((x, y));
        x += width;
    }
    (places, y + 24)
}

fn legend_of(svg: &mut String, series: &[String]) {
    let (places, _) = legend_places(series);
    for (at, (name, (x, y))) in series.iter().zip(places).enumerate() {
        write!(svg, "<rect class=\"s{at}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\"/>").unwrap_or_default();
        text(svg, x + 17, y + 11, "start", &shortened(name));
    }
}

fn shortened(label: &str) -> String {
    if label.chars().count() <= 26 {
        return label.to_owned();
    }
    label.chars().take(25).chain(['…']).collect()
}

fn text(svg: &mut String, x: i64, y: i64, anchor: &str, label: &str) {
    write!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escape(label)).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: &str, series: &str, y: i128) -> Point {
        Point { x: x.into(), series: series.into(), y: y * 1_000_000_000_000 }
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_labels_are_escaped() {
        let svg = bars(&[point("<a>", "", 100), point("b", "", 50)], 2);
        let room = WIDTH - LABELS - VALUES;
        assert!(svg.contains(&format!("width=\"{room}\"")));
        assert!(svg.contains(&format!("width=\"{}\"", room / 2)));
        assert!(svg.contains("&lt;a&gt;") && !svg.contains("<a>"));
        assert!(svg.contains(">100.00<"));
    }

    #[test]
    fn what_does_not_fit_is_added_up() {
        let many: Vec<Point> = (0..40).map(|at| point(&format!("c{at}"), "", 1)).collect();
        let grid = grid(&many, MOST_BARS);
        assert_eq!(grid.xs.len(), MOST_BARS);
        assert_eq!(grid.xs.last().map(String::as_str), Some("other"));
        assert_eq!(grid.values.last().map(|row| row[0]), Some(26 * 1_000_000_000_000));
    }

    #[test]
    fn a_chart_of_nothing_is_a_chart() {
        assert!(bars(&[], 2).ends_with("</svg>"));
        assert!(lines(&[], 2).ends_with("</svg>"));
    }
}
