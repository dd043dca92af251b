//! What the compiler does not check: layering, sizes, forgotten files, documentation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The modules of the library in dependency order; those in one row may import each other only where
/// `EXCEPTIONS` says so.
const LAYERS: &[&[&str]] = &[
    &["error", "clock", "config", "model"],
    &["document", "privacy"],
    &["attribution", "dialect", "operators", "security", "storage"],
    &["optimizer", "table_functions", "catalog", "ingest", "simulate"],
    &["session", "database"],
    &["maintenance", "reports"],
    &["server"],
];

/// Imports inside one layer that `src/ARCHITECTURE.md` explains.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("operators", "attribution"),
    ("storage", "clock"),
    ("storage", "security"),
    ("optimizer", "table_functions"),
    ("catalog", "table_functions"),
    ("catalog", "optimizer"),
    ("database", "session"),
];

const MOST_LINES: usize = 800;

fn root() -> &'static Path {
    Path::new(".")
}

fn files_below(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root().join(folder)).sort_by_file_name();
    let paths = entries.into_iter().map(|entry| entry.unwrap().into_path());
    paths.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Modules of the crate that a file names in a path.
fn imported(source: &str) -> Vec<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for line in code {
        for part in line.split("crate::").skip(1) {
            if let Some(list) = part.strip_prefix('{') {
                let names = list.split('}').next().unwrap_or_default().split(',');
                found.extend(names.map(|name| name.trim().split("::").next().unwrap_or_default().to_owned()));
            } else {
                let end = part.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(part.len());
                found.push(part[..end].to_owned());
            }
        }
    }
    found
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for path in files_below("src", "rs") {
        let name = relative(&path);
        let mut parts = name.trim_start_matches("src/").split('/');
        let module = parts.next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        if ["lib", "main", "cli"].contains(&module.as_str()) {
            continue;
        }
        let Some(own) = layer_of(&module) else {
            wrong.push(format!("{name}: module {module} is in no layer of tests/tidy.rs"));
            continue;
        };
        // Tests may look down on everything.
        let source = text(&path);
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for import in imported(source) {
            let Some(other) = layer_of(&import) else { continue };
            let exception = EXCEPTIONS.contains(&(module.as_str(), import.as_str()));
            let lowest = own == 0;
            if import != module && (other > own || (other == own && !exception && !lowest)) {
                wrong.push(format!("{name} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_fit_a_sitting() {
    let long = files_below("src", "rs")
        .into_iter()
        .chain(files_below("udfs/src", "rs"))
        .chain(files_below("tests", "rs"))
        .map(|path| (relative(&path), text(&path).lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES);
    let long: BTreeMap<String, usize> = long.collect();
    assert!(long.is_empty(), "longer than {MOST_LINES} lines: {long:?}");
}

#[test]
fn only_the_named_files_touch_the_world() {
    let rules: &[(&str, &[&str])] = &[
        ("SystemTime::now", &["src/clock.rs"]),
        ("Utc::now", &[]),
        ("env::var", &["src/config.rs"]),
        ("SessionContext::new", &["src/session/mod.rs"]),
    ];
    let mut wrong = Vec::new();
    for path in files_below("src", "rs") {
        let source = text(&path);
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for (call, allowed) in rules {
            let name = relative(&path);
            let test_only = name.contains("/tests") || name.ends_with("tests.rs");
            if code.contains(call) && !allowed.contains(&name.as_str()) && !test_only {
                wrong.push(format!("{name} calls {call}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every file of a folder that holds one extension a file is named in the list of the folder.
#[test]
fn no_extension_is_forgotten() {
    let mut forgotten = Vec::new();
    for (folder, list) in [("sql/views", "src/catalog/builtin_sql.rs"), ("sql/reports", "src/catalog/builtin_sql.rs")] {
        let listed = text(&root().join(list));
        for path in files_below(folder, "sql") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !listed.contains(&name) {
                forgotten.push(format!("{folder}/{name} is not in {list}"));
            }
        }
    }
    let sources = text(&root().join("src/ingest/mod.rs"));
    for source in ascribe::ingest::all() {
        assert!(!source.doc().is_empty(), "{}", source.name());
    }
    for entry in std::fs::read_dir(root().join("src/ingest")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !sources.contains(&format!("{name}::")) {
                forgotten.push(format!("src/ingest/{name} is not in the list of src/ingest/mod.rs"));
            }
        }
    }
    assert!(forgotten.is_empty(), "{}", forgotten.join("\n"));
}

#[test]
fn table_functions_are_documented_and_tested() {
    let tests: String =
        files_below("tests", "slt").iter().chain(&files_below("tests", "rs")).map(|path| text(path)).collect();
    let mut names = Vec::new();
    for function in ascribe::table_functions::all() {
        let signature = function.signature();
        assert!(!signature.comment().is_empty() && !signature.example.is_empty(), "{}", signature.name);
        assert!(signature.arguments.iter().all(|argument| !argument.doc.is_empty()), "{}", signature.name);
        assert!(signature.columns.iter().all(|column| !column.comment().is_empty()), "{}", signature.name);
        assert!(tests.contains(&format!("{}(", signature.name)), "no test calls {}", signature.name);
        names.push(signature.name);
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_map_names_every_module() {
    let map = text(&root().join("src/ARCHITECTURE.md"));
    for module in LAYERS.iter().copied().flatten() {
        let exists = root().join(format!("src/{module}.rs")).exists() || root().join(format!("src/{module}")).exists();
        assert_eq!(exists, map.contains(&format!("`{module}")), "src/ARCHITECTURE.md and src/{module}");
    }
}
