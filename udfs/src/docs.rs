//! `FUNCTIONS.md`, from what the functions say about themselves.

use std::collections::BTreeMap;
use std::fmt::Write;

use datafusion::logical_expr::Documentation;

use crate::{all_aggregate, all_scalar, all_window};

const HEAD: &str = "\
<!-- Generated from the functions' documentation in src/; edit it there, then run
     cargo test -p ascribe-udfs --test functions -- --ignored regenerate -->

# Functions

For any DataFusion program: `ascribe_udfs::register_all(&ctx)`. Every example was run, and printed what is shown.
";

/// The reference of all functions, in Markdown.
#[must_use]
pub fn functions_markdown() -> String {
    let mut sections: BTreeMap<&str, (&str, BTreeMap<String, String>)> = BTreeMap::new();
    let mut add = |name: &str, kind: &str, documentation: Option<&Documentation>| {
        let Some(documentation) = documentation else { return };
        let section = &documentation.doc_section;
        let (_, functions) =
            sections.entry(section.label).or_insert_with(|| (section.description.unwrap_or_default(), BTreeMap::new()));
        functions.insert(name.to_string(), entry(name, kind, documentation));
    };
    for function in all_scalar() {
        add(function.name(), "scalar", function.documentation());
    }
    for function in all_aggregate() {
        add(function.name(), "aggregate", function.documentation());
    }
    for function in all_window() {
        add(function.name(), "window", function.documentation());
    }
    let mut out = HEAD.to_string();
    for (label, (description, functions)) in sections {
        out += &format!("\n## {label}\n\n{description}\n");
        out.extend(functions.into_values());
    }
    out
}

fn entry(name: &str, kind: &str, documentation: &Documentation) -> String {
    let Documentation { description, syntax_example, .. } = documentation;
    let mut out = format!("\n### {name}\n\n`{syntax_example}` ({kind})\n\n{description}\n\n");
    for (argument, meaning) in documentation.arguments.iter().flatten() {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "- `{argument}`: {meaning}");
    }
    if let Some(example) = &documentation.sql_example {
        let _ = writeln!(out, "\n{example}");
    }
    out
}
