//! Examples run and print what they show; FUNCTIONS.md is what the code says.

use std::path::PathBuf;

use ascribe_udfs::Form;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Documentation;

use crate::{session, table};

fn documentations() -> Vec<(String, Documentation)> {
    let mut all = Vec::new();
    let mut add = |name: &str, documentation: Option<&Documentation>| {
        let documentation = documentation.unwrap_or_else(|| panic!("{name} is not documented"));
        all.push((name.to_string(), documentation.clone()));
    };
    ascribe_udfs::all_scalar().iter().for_each(|f| add(f.name(), f.documentation()));
    ascribe_udfs::all_aggregate().iter().for_each(|f| add(f.name(), f.documentation()));
    ascribe_udfs::all_window().iter().for_each(|f| add(f.name(), f.documentation()));
    all
}

#[tokio::test]
async fn examples_print_what_they_show() {
    let mut wrong = String::new();
    for (name, documentation) in documentations() {
        let example = documentation.sql_example.unwrap_or_else(|| panic!("{name} has no example"));
        let example = example.trim_start_matches("```sql\n").trim_end_matches("\n```");
        let ctx = session();
        let mut actual = String::new();
        let mut answers = 0;
        for statement in format!("\n{example}\n").split("\n> ").skip(1) {
            let statement = format!("{statement}\n");
            let (sql, _) = statement.split_once(";\n").unwrap();
            let output = table(&ctx, sql).await;
            actual += &format!("> {sql};\n");
            if !output.starts_with("++") {
                actual += &format!("{output}\n");
                answers += 1;
            }
        }
        assert!(answers > 0, "{name}'s example shows no answer");
        if actual.trim() != example.trim() {
            wrong += &format!("=== {name}\n{actual}");
        }
    }
    assert!(wrong.is_empty(), "these examples print something else:\n{wrong}");
}

#[test]
fn every_form_is_one_that_the_function_takes() {
    let types = |form: &Form| -> Vec<DataType> { form.parameters.iter().map(|of| of.data_type.clone()).collect() };
    let of = |name: &str| {
        let forms = ascribe_udfs::forms(name);
        assert!(!forms.is_empty(), "{name} has no form");
        forms
    };
    for function in ascribe_udfs::all_scalar() {
        for form in of(function.name()) {
            let taken = function.coerce_types(&types(&form)).unwrap();
            assert_eq!(function.return_type(&taken).unwrap(), form.returns, "{}", function.name());
        }
    }
    for function in ascribe_udfs::all_aggregate() {
        for form in of(function.name()) {
            let taken = function.coerce_types(&types(&form)).unwrap();
            assert_eq!(function.return_type(&taken).unwrap(), form.returns, "{}", function.name());
        }
    }
    for function in ascribe_udfs::all_window() {
        for form in of(function.name()) {
            assert_eq!(
                function.coerce_types(&types(&form)).unwrap().len(),
                form.parameters.len(),
                "{}",
                function.name()
            );
        }
    }
    assert_eq!(ascribe_udfs::forms("sum"), []);
}

#[test]
fn all_is_documented() {
    let all = documentations();
    assert_eq!(all.len(), 19);
    for (name, documentation) in all {
        assert!(
            documentation.syntax_example.starts_with(&format!("{name}(")),
            "{name}: {}",
            documentation.syntax_example
        );
        let arguments = documentation.arguments.unwrap_or_default();
        assert!(!arguments.is_empty() && arguments.iter().all(|(_, meaning)| meaning.ends_with('.')), "{name}");
    }
}

fn reference() -> PathBuf {
    PathBuf::from("FUNCTIONS.md")
}

#[test]
fn reference_is_fresh() {
    let written = std::fs::read_to_string(reference()).unwrap();
    assert!(written == ascribe_udfs::functions_markdown(), "FUNCTIONS.md is stale; its head says how to regenerate it");
}

#[test]
#[ignore = "writes FUNCTIONS.md"]
fn regenerate() {
    std::fs::write(reference(), ascribe_udfs::functions_markdown()).unwrap();
}
