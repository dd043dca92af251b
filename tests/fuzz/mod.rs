//! Every decoder is fed what becomes of good files when bytes, members and lines of them are changed at random. With
//! feedback from the code the same target is run by `cargo fuzz`, see `fuzz/Cargo.toml`.

mod seeds;
mod target;

use std::sync::Mutex;

use ascribe::ingest;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use self::target::{check, decode};

/// Changed files a source; `ASCRIBE_FUZZ_CASES` says another number.
const CASES: u64 = 60;

#[test]
fn seeds_are_what_their_decoders_read() {
    let mut wrong = Vec::new();
    for (at, source) in ingest::all().iter().enumerate() {
        let outcomes: Vec<_> =
            seeds::of(source.name()).into_iter().map(|(seed, table)| decode(at, table, &seed)).collect();
        // Some events of a source tell nothing that is kept, but all are understood.
        if outcomes.iter().all(|outcome| outcome.rows.is_empty())
            || outcomes.iter().any(|outcome| outcome.refused.is_some())
        {
            let told: Vec<_> = outcomes.into_iter().map(|outcome| (outcome.rejected, outcome.refused)).collect();
            wrong.push(format!("{}: {told:?}", source.name()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn changed_files_are_answered() {
    let cases = std::env::var("ASCRIBE_FUZZ_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let broken = Mutex::new(Vec::new());
    for (at, source) in ingest::all().iter().enumerate() {
        let seeds = seeds::of(source.name());
        for case in 0..cases {
            let mut random = ChaCha8Rng::seed_from_u64(case << 8 | at as u64);
            let (seed, table) = &seeds[random.random_range(0..seeds.len())];
            let mut data = vec![u8::try_from(at).unwrap(), u8::try_from(*table).unwrap()];
            data.extend(changed(seed, &mut random));
            if std::panic::catch_unwind(|| check(&data)).is_err() {
                broken.lock().unwrap().push(format!("{} case {case}", source.name()));
            }
        }
    }
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{broken:?}");
}

/// The file with one to five changes.
fn changed(seed: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut file = seed.to_vec();
    for _ in 0..random.random_range(1..=5) {
        let json = std::str::from_utf8(&file).ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
        match json {
            Some(mut value) if random.random_bool(0.7) => {
                change_value(&mut value, random);
                file = value.to_string().into_bytes();
            }
            _ => change_bytes(&mut file, random),
        }
    }
    file
}

fn change_bytes(file: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    if file.is_empty() {
        return file.extend(b"{}\n");
    }
    let at = random.random_range(0..file.len());
    let to = random.random_range(at..=file.len().min(at + 64));
    match random.random_range(0..7) {
        0 => file[at] ^= 1 << random.random_range(0..8),
        1 => file.truncate(at),
        2 => drop(file.drain(at..to)),
        3 => {
            let again = file[at..to].repeat(random.random_range(1..20));
            file.splice(at..at, again);
        }
        4 => {
            let token = TOKENS[random.random_range(0..TOKENS.len())];
            file.splice(at..to.min(at + random.random_range(0..4)), token.bytes());
        }
        5 => file[at..to].fill(random.random()),
        _ => {
            let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
            let line = lines[random.random_range(0..lines.len())].to_vec();
            file.splice(0..0, line);
        }
    }
}

const TOKENS: [&str; 20] = [
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e400",
    "-0",
    "NaN",
    "null",
    "\"\"",
    "{}",
    "[]",
    "\0",
    "\u{feff}",
    "\"",
    "\n",
    ",",
    "\\ud800",
    "9999-12-31T23:59:59.999999999Z",
    "0000-00-00",
    "%",
    "\u{10ffff}",
];

/// Changes one value somewhere in the tree.
fn change_value(value: &mut Value, random: &mut ChaCha8Rng) {
    let descend = random.random_bool(0.85);
    match value {
        Value::Array(items) if descend && !items.is_empty() => {
            let at = random.random_range(0..items.len());
            change_value(&mut items[at], random);
        }
        Value::Object(members) if descend && !members.is_empty() => {
            let at = random.random_range(0..members.len());
            let key = members.keys().nth(at).unwrap().clone();
            match random.random_range(0..8) {
                0 => drop(members.remove(&key)),
                1 => {
                    let moved = members.remove(&key).unwrap();
                    members.insert(key.to_uppercase(), moved);
                }
                _ => change_value(members.get_mut(&key).unwrap(), random),
            }
        }
        _ => *value = other_value(value, random),
    }
}

fn other_value(value: &Value, random: &mut ChaCha8Rng) -> Value {
    match random.random_range(0..16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(i64::MAX),
        3 => json!(i64::MIN),
        4 => json!(u64::MAX),
        5 => json!(1e308),
        6 => json!(-0.5),
        7 => json!(""),
        8 => json!("x".repeat(5_000)),
        9 => json!("9999-12-31T23:59:59.999999999Z"),
        10 => json!([]),
        11 => json!({}),
        12 => Value::Array(vec![value.clone(); 20]),
        13 => json!({ "a": value }),
        14 => (0..200).fold(value.clone(), |value, _| json!([value])),
        _ => json!(value.to_string()),
    }
}
