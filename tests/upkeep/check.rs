//! A lake damaged in many ways: each is found and named.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ascribe::ingest::{self, Options};
use ascribe::maintenance::Severity;
use ascribe::model::telemetry::SPANS;
use ascribe::storage::Lake;

use super::{MARCH, damage, files_below, land, land_many, open, report, spans};

/// Spans of two days in four commits behind a checkpoint, and an imported file.
async fn lake() -> (tempfile::TempDir, Arc<Lake>) {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    land_many(&lake, 3, 0).await;
    lake.keep_log(&SPANS, 1, 0).await.unwrap();
    land(&lake, &SPANS, spans(30..60, 1, MARCH + 2)).await;
    land(&lake, &SPANS, spans(60..90, 1, MARCH + 3)).await;
    let owners = folder.path().join("owners.csv");
    std::fs::write(&owners, "entity_kind,entity,owner\nservice,cart,shop\n").unwrap();
    let options = Options { table: Some("ownership".to_owned()), ..Options::default() };
    let source = ingest::find("csv").unwrap();
    ingest::import(&lake, source, &[owners.display().to_string()], &options, &Arc::default()).await.unwrap();
    (folder, lake)
}

struct Damaged {
    folder: tempfile::TempDir,
}

impl Damaged {
    fn spans(&self) -> PathBuf {
        self.folder.path().join("tables/spans")
    }

    fn data(&self) -> PathBuf {
        files_below(&self.spans(), ".parquet")
            .into_iter()
            .find(|path| path.to_string_lossy().contains("/date="))
            .unwrap()
    }

    fn entry(&self, version: u64) -> PathBuf {
        self.spans().join(format!("_delta_log/{version:020}.json"))
    }

    fn edit(&self, path: &Path, from: &str, to: &str) {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn checkpoint(&self) -> PathBuf {
        files_below(&self.spans(), ".checkpoint.parquet").pop().unwrap()
    }
}

/// Damage a lake in one way, and look for a finding with these words.
async fn found(what: &str, expected: &str, damage_it: impl FnOnce(&Damaged)) {
    let (folder, lake) = lake().await;
    let sound = report(&lake).await;
    assert!(sound.sound(), "{:?}", sound.findings);
    assert_eq!((sound.rows, sound.findings.len()), (92, 0), "{sound:?}");
    drop(lake);
    let damaged = Damaged { folder };
    damage_it(&damaged);
    let report = report(&open(&damaged.folder)).await;
    let found = damage(&report);
    assert!(found.iter().any(|line| line.contains(expected)), "{what}: {found:?} {:?}", report.findings);
    assert!(!report.sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_found() {
    found("a file is gone", "spans: missing file: tables/spans/date=2026-03-01/part-", |lake| {
        std::fs::remove_file(lake.data()).unwrap();
    })
    .await;
    found("a file is cut", "spans: file size: tables/spans/date=2026-03-01/part-", |lake| {
        let bytes = std::fs::read(lake.data()).unwrap();
        std::fs::write(lake.data(), &bytes[..bytes.len() / 2]).unwrap();
    })
    .await;
    for place in [4, 100, 2000] {
        found("a bit is flipped", "file content: tables/spans/date=2026-03-01/part-", |lake| {
            let mut bytes = std::fs::read(lake.data()).unwrap();
            bytes[place] ^= 1;
            std::fs::write(lake.data(), bytes).unwrap();
        })
        .await;
    }
    found("a file has the rows of another", "its checksum is not the one that was written", |lake| {
        let files = files_below(&lake.spans(), ".parquet");
        let (one, other) = (files.iter().rfind(|path| path.to_string_lossy().contains("date=")).unwrap(), lake.data());
        let bytes = std::fs::read(one).unwrap();
        let size = |path: &Path| std::fs::metadata(path).unwrap().len();
        let (to, from) = (size(one), size(&other));
        std::fs::write(&other, bytes).unwrap();
        (0..6).for_each(|version| {
            let text = std::fs::read_to_string(lake.entry(version)).unwrap_or_default();
            let name = other.file_name().unwrap().to_string_lossy().into_owned();
            if text.contains(&name) {
                lake.edit(&lake.entry(version), &format!("\"size\":{from}"), &format!("\"size\":{to}"));
            }
        });
    })
    .await;
    found("a file is in the wrong folder", "30 rows belong to another partition", |lake| {
        let name = files_below(&lake.spans().join("date=2026-03-02"), ".parquet").remove(0);
        std::fs::create_dir(lake.spans().join("date=2026-03-05")).unwrap();
        let moved = name.to_string_lossy().replace("date=2026-03-02", "date=2026-03-05");
        std::fs::rename(&name, moved).unwrap();
        let entry = [lake.entry(4), lake.entry(5)].into_iter().find(|entry| {
            let text = std::fs::read_to_string(entry).unwrap();
            text.contains(name.file_name().unwrap().to_string_lossy().as_ref())
        });
        let text = std::fs::read_to_string(entry.as_ref().unwrap()).unwrap();
        std::fs::write(
            entry.unwrap(),
            text.replace("2026-03-02/", "2026-03-05/").replace("\"2026-03-02\"", "\"2026-03-05\""),
        )
        .unwrap();
    })
    .await;
    found("a stray file", "spans: stray file: tables/spans/date=2026-03-01/notes.txt", |lake| {
        std::fs::write(lake.spans().join("date=2026-03-01/notes.txt"), "hello").unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_found() {
    found("an entry is gone", "spans: log entry: version 4: entries 4 to 4 are missing", |lake| {
        std::fs::remove_file(lake.entry(4)).unwrap();
    })
    .await;
    found("the first entry is gone, and no checkpoint", "no checkpoint stands for them", |lake| {
        std::fs::remove_file(lake.entry(0)).unwrap();
        std::fs::remove_file(lake.checkpoint()).unwrap();
        std::fs::remove_file(lake.spans().join("_delta_log/_last_checkpoint")).unwrap();
    })
    .await;
    found("an entry is no JSON", "version 5: a line is not a JSON object", |lake| {
        let text = std::fs::read_to_string(lake.entry(5)).unwrap();
        std::fs::write(lake.entry(5), &text[..text.len() - 20]).unwrap();
    })
    .await;
    found("rows are counted otherwise", "30 rows are in the file, the log says 31", |lake| {
        lake.edit(&lake.entry(4), "\\\"numRecords\\\":30", "\\\"numRecords\\\":31");
    })
    .await;
    found("a bound is another", "maxValues of span_id is", |lake| {
        let text = std::fs::read_to_string(lake.entry(4)).unwrap();
        let (before, after) = text.split_once("maxValues").unwrap();
        let after = after.replacen("\\\"span_id\\\":\\\"0", "\\\"span_id\\\":\\\"1", 1);
        std::fs::write(lake.entry(4), format!("{before}maxValues{after}")).unwrap();
    })
    .await;
    found("a size is another", "spans: file size", |lake| lake.edit(&lake.entry(4), "\"size\":", "\"size\":1")).await;
    found("a file is added twice", "is added although it is there already", |lake| {
        let first = std::fs::read_to_string(lake.entry(4)).unwrap();
        let add = first.lines().find(|line| line.starts_with("{\"add\"")).unwrap().to_owned();
        let text = std::fs::read_to_string(lake.entry(5)).unwrap();
        std::fs::write(lake.entry(5), format!("{text}\n{add}")).unwrap();
    })
    .await;
    found("what is not there is removed", "is removed although it is not there", |lake| {
        let text = std::fs::read_to_string(lake.entry(5)).unwrap();
        let remove = r#"{"remove":{"path":"date=2026-03-01/part-x.parquet","dataChange":true}}"#;
        std::fs::write(lake.entry(5), format!("{text}\n{remove}")).unwrap();
    })
    .await;
    found("a checkpoint is cut", "spans: checkpoint: version 3: it cannot be read", |lake| {
        let bytes = std::fs::read(lake.checkpoint()).unwrap();
        std::fs::write(lake.checkpoint(), &bytes[..bytes.len() - 9]).unwrap();
    })
    .await;
    found("a checkpoint is of another version", "it differs from the entries before it in 1 file", |lake| {
        let later = lake.spans().join(format!("_delta_log/{:020}.checkpoint.parquet", 4));
        std::fs::copy(lake.checkpoint(), later).unwrap();
    })
    .await;
    found("the hint misleads", "it names checkpoint 2, which is missing", |lake| {
        lake.edit(&lake.spans().join("_delta_log/_last_checkpoint"), "\"version\":3", "\"version\":2");
    })
    .await;
    found("an import has no row", "the file counts as imported, but it has no row", |lake| {
        let log = files_below(&lake.folder.path().join("tables/ingests/_delta_log"), ".json").pop().unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        let mark = r#"{"txn":{"appId":"import/csv/ownership/00ff","version":1}}"#;
        std::fs::write(log, format!("{text}\n{mark}")).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_normal_use_leaves_is_noted_and_no_damage() {
    let (folder, lake) = lake().await;
    // Written and never committed, as by a node that was killed.
    let data = files_below(&folder.path().join("tables/spans/date=2026-03-01"), ".parquet").remove(0);
    std::fs::copy(&data, data.with_file_name("part-019cffff.parquet")).unwrap();
    land(&lake, &SPANS, spans(0..5, 0, MARCH + 9)).await;
    std::fs::create_dir(folder.path().join("tables/other")).unwrap();
    std::fs::write(folder.path().join("tables/other/x"), "x").unwrap();
    let report = report(&lake).await;
    assert!(report.sound(), "{:?}", damage(&report));
    let notes: Vec<String> = report.findings.iter().map(|note| format!("{}: {}", note.kind, note.detail)).collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].starts_with("orphan file: it is in no version: ") && notes[0].ends_with(" bytes, 0 minutes old"));
    assert!(notes[1].starts_with("repeated rows: 5 rows are there although"));
    assert_eq!(notes[2], "stray folder: it is no table's");
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Note));
}

#[test]
fn the_command_tells_by_its_status() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (folder, _lake) = runtime.block_on(lake());
    let ask = |format: &str| {
        let lake = folder.path().display().to_string();
        let mut done = Command::new(env!("CARGO_BIN_EXE_ascribe"));
        let done = done.args(["check", "--lake", &lake, "--format", format]);
        let done = done.output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let broken = folder.path().join("broken.json");
    std::fs::write(&broken, "{\"resourceSpans\":[]}\n{\"resourceSpans\":[\n").unwrap();
    let import = Command::new(env!("CARGO_BIN_EXE_ascribe"))
        .args(["import", "otlp", "--accept-rejections", "--lake"])
        .args([folder.path(), broken.as_path()])
        .output()
        .unwrap();
    assert!(import.status.success(), "{import:?}");
    let (status, said) = ask("text");
    assert_eq!(status, Some(0), "{said}");
    assert!(said.starts_with("3 tables, ") && said.ends_with("the lake is sound\n"), "{said}");
    let file = files_below(&folder.path().join("tables/spans/date=2026-03-01"), ".parquet").remove(0);
    std::fs::remove_file(&file).unwrap();
    let (status, said) = ask("json");
    assert_eq!(status, Some(1));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["sound"], &said["findings"][0]["kind"]), (&false.into(), &"missing file".into()));
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert!(said["findings"][0]["subject"].as_str().unwrap().ends_with(&name), "{said}");
}
