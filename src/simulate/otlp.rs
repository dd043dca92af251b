//! Spans, logs and metrics as an OTLP file exporter writes them: JSON lines of export requests, gzipped, in files of
//! bounded size. Text is formatted directly; a value tree per span would be the slowest part of the whole simulation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::random::mix;
use super::world::{ENVIRONMENT, NAMESPACE, World};
use crate::error::Result;

/// Uncompressed size after which the next file is begun.
const FILE_BYTES: usize = 64 << 20;

/// Buffered text after which a line is written in any case.
const LINE_BYTES: usize = 1 << 20;

/// An attribute's value.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// `stringValue`.
    Text(&'a str),
    /// `intValue`.
    Int(i64),
}

/// Attributes in order.
pub type Attributes<'a> = [(&'a str, Value<'a>)];

/// One span, in the true time; the exporter adds the skew of the instance.
#[derive(Debug)]
pub struct Span<'a> {
    /// Position of the instance that sends it.
    pub instance: usize,
    /// Trace id.
    pub trace: u128,
    /// Span id.
    pub id: u64,
    /// Span id of the parent.
    pub parent: Option<u64>,
    /// Rejection threshold of head sampling.
    pub threshold: Option<u64>,
    /// Name.
    pub name: &'a str,
    /// Kind as OTLP numbers it: 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: u8,
    /// Begin, nanoseconds.
    pub start: i64,
    /// End, nanoseconds.
    pub end: i64,
    /// Status message of an error.
    pub error: Option<&'a str>,
    /// Attributes.
    pub attributes: &'a Attributes<'a>,
    /// Events: time, name, attributes.
    pub events: &'a [(i64, &'a str, &'a Attributes<'a>)],
    /// A linked span.
    pub link: Option<(u128, u64)>,
}

/// One log record, in the true time.
#[derive(Debug)]
pub struct Log<'a> {
    /// Position of the instance that sends it.
    pub instance: usize,
    /// When.
    pub at: i64,
    /// Trace and span.
    pub context: Option<(u128, u64)>,
    /// Severity number and text.
    pub severity: (u8, &'a str),
    /// Body.
    pub body: &'a str,
    /// Name, when it is an event.
    pub event: Option<&'a str>,
    /// Attributes.
    pub attributes: &'a Attributes<'a>,
}

/// Appends a JSON string.
pub fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => push(out, format_args!("\\u{:04x}", control as u32)),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// Appends formatted text; writing to a string cannot fail.
pub fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

/// Appends a JSON array of OTLP key-values.
pub fn push_attributes(out: &mut String, attributes: &Attributes<'_>) {
    out.push('[');
    for (at, (key, value)) in attributes.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str("{\"key\":\"");
        out.push_str(key);
        out.push_str("\",\"value\":{");
        match value {
            Value::Text(text) => {
                out.push_str("\"stringValue\":");
                push_text(out, text);
            }
            Value::Int(number) => push(out, format_args!("\"intValue\":\"{number}\"")),
        }
        out.push_str("}}");
    }
    out.push(']');
}

/// Gzipped files of bounded size, numbered.
#[derive(Debug)]
struct Files {
    directory: PathBuf,
    prefix: &'static str,
    number: usize,
    bytes: usize,
    open: Option<GzEncoder<BufWriter<File>>>,
    paths: Vec<PathBuf>,
}

impl Files {
    fn write(&mut self, line: &str) -> Result<()> {
        let mut file = match self.open.take() {
            Some(file) => file,
            None => {
                self.number += 1;
                let path = self.directory.join(format!("{}-{:04}.jsonl.gz", self.prefix, self.number));
                let file = BufWriter::new(File::create(&path)?);
                self.paths.push(path);
                GzEncoder::new(file, Compression::fast())
            }
        };
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
        self.bytes += line.len() + 1;
        if self.bytes >= FILE_BYTES {
            self.bytes = 0;
            file.finish()?.flush()?;
        } else {
            self.open = Some(file);
        }
        Ok(())
    }

    fn close(mut self) -> Result<Vec<PathBuf>> {
        if let Some(file) = self.open.take() {
            file.finish()?.flush()?;
        }
        Ok(self.paths)
    }
}

/// One signal: buffers per instance, written together as one export request.
#[derive(Debug)]
struct Signal {
    names: [&'static str; 3],
    files: Files,
    buffers: Vec<String>,
    buffered: usize,
    records: u64,
}

impl Signal {
    fn new(directory: &Path, prefix: &'static str, names: [&'static str; 3]) -> Self {
        let directory = directory.to_owned();
        let files = Files { directory, prefix, number: 0, bytes: 0, open: None, paths: Vec::new() };
        Self { names, files, buffers: Vec::new(), buffered: 0, records: 0 }
    }

    fn buffer(&mut self, instance: usize) -> &mut String {
        if self.buffers.len() <= instance {
            self.buffers.resize_with(instance + 1, String::new);
        }
        self.records += 1;
        let buffer = &mut self.buffers[instance];
        if !buffer.is_empty() {
            buffer.push(',');
        }
        buffer
    }

    fn flush(&mut self, instances: &[Instance]) -> Result<()> {
        let [resources, scopes, records] = self.names;
        let mut line = String::with_capacity(self.buffered + 65_536);
        push(&mut line, format_args!("{{\"{resources}\":["));
        let mut first = true;
        for (instance, buffer) in instances.iter().zip(&mut self.buffers) {
            if buffer.is_empty() {
                continue;
            }
            if !first {
                line.push(',');
            }
            first = false;
            push(&mut line, format_args!("{{\"resource\":{{\"attributes\":{}}},\"{scopes}\":[{{", instance.resource));
            push(&mut line, format_args!("\"scope\":{{\"name\":\"shop.instrumentation\",\"version\":\"1.4.0\"}},"));
            push(&mut line, format_args!("\"{records}\":[{buffer}]}}]}}"));
            buffer.clear();
        }
        line.push_str("]}");
        self.buffered = 0;
        if first { Ok(()) } else { self.files.write(&line) }
    }
}

/// A running copy of a service.
#[derive(Debug)]
pub struct Instance {
    /// `service.instance.id`.
    pub name: String,
    /// How far its clock is ahead, nanoseconds.
    pub skew: i64,
    resource: String,
}

/// Writes all three signals.
#[derive(Debug)]
pub struct Exporter {
    seed: u64,
    index: BTreeMap<(usize, usize, u32), usize>,
    /// Every instance that has sent something.
    pub instances: Vec<Instance>,
    spans: Signal,
    logs: Signal,
    metrics: Signal,
}

/// Numbers of records and the files that hold them.
#[derive(Debug, Default)]
pub struct Exported {
    /// Spans written.
    pub spans: u64,
    /// Log records written.
    pub logs: u64,
    /// Metric data written.
    pub metrics: u64,
    /// Files in order.
    pub paths: Vec<PathBuf>,
}

impl Exporter {
    /// Writes into this directory, which must exist.
    #[must_use]
    pub fn new(seed: u64, directory: &Path) -> Self {
        Self {
            seed,
            index: BTreeMap::new(),
            instances: Vec::new(),
            spans: Signal::new(directory, "traces", ["resourceSpans", "scopeSpans", "spans"]),
            logs: Signal::new(directory, "logs", ["resourceLogs", "scopeLogs", "logRecords"]),
            metrics: Signal::new(directory, "metrics", ["resourceMetrics", "scopeMetrics", "metrics"]),
        }
    }

    /// Position of the `number`-th copy of this version of the service.
    pub fn instance(&mut self, world: &World, service: usize, version: (usize, &str), number: u32) -> usize {
        let key = (service, version.0, number);
        if let Some(&at) = self.index.get(&key) {
            return at;
        }
        let hash = mix(&[self.seed, service as u64, version.0 as u64, u64::from(number)]);
        let set = mix(&[self.seed, service as u64, version.0 as u64]);
        let info = &world.services[service];
        let name = format!("{}-{:08x}-{:05x}", info.name, set as u32, hash >> 44);
        let node = format!("node-{:02}", hash % 17);
        let mut resource = String::new();
        push_attributes(
            &mut resource,
            &[
                ("service.name", Value::Text(info.name)),
                ("service.namespace", Value::Text(NAMESPACE)),
                ("service.version", Value::Text(version.1)),
                ("service.instance.id", Value::Text(&name)),
                ("deployment.environment.name", Value::Text(ENVIRONMENT)),
                ("k8s.pod.name", Value::Text(&name)),
                ("k8s.node.name", Value::Text(&node)),
                ("cloud.region", Value::Text("eu-central-1")),
                ("telemetry.sdk.language", Value::Text(info.language)),
            ],
        );
        let at = self.instances.len();
        self.instances.push(Instance { name, skew: skew(hash), resource });
        self.index.insert(key, at);
        at
    }

    /// Write what is buffered.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.spans.flush(&self.instances)?;
        self.logs.flush(&self.instances)?;
        self.metrics.flush(&self.instances)
    }

    /// Take one span.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn span(&mut self, span: &Span<'_>) -> Result<()> {
        let skew = self.instances[span.instance].skew;
        let out = self.spans.buffer(span.instance);
        let before = out.len();
        push(out, format_args!("{{\"traceId\":\"{:032x}\",\"spanId\":\"{:016x}\"", span.trace, span.id));
        if let Some(parent) = span.parent {
            push(out, format_args!(",\"parentSpanId\":\"{parent:016x}\""));
        }
        if let Some(threshold) = span.threshold {
            push_state(out, threshold);
        }
        out.push_str(",\"name\":");
        push_text(out, span.name);
        let (start, end) = (span.start + skew, span.end + skew);
        push(
            out,
            format_args!(",\"kind\":{},\"startTimeUnixNano\":\"{start}\",\"endTimeUnixNano\":\"{end}\"", span.kind),
        );
        out.push_str(",\"attributes\":");
        push_attributes(out, span.attributes);
        if !span.events.is_empty() {
            out.push_str(",\"events\":[");
            for (at, (time, name, attributes)) in span.events.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                push(
                    out,
                    format_args!("{comma}{{\"timeUnixNano\":\"{}\",\"name\":\"{name}\",\"attributes\":", time + skew),
                );
                push_attributes(out, attributes);
                out.push('}');
            }
            out.push(']');
        }
        if let Some((trace, id)) = span.link {
            push(out, format_args!(",\"links\":[{{\"traceId\":\"{trace:032x}\",\"spanId\":\"{id:016x}\"}}]"));
        }
        match span.error {
            Some(message) => {
                out.push_str(",\"status\":{\"code\":2,\"message\":");
                push_text(out, message);
                out.push_str("}}");
            }
            None => out.push_str(",\"status\":{}}"),
        }
        self.spans.buffered += out.len() - before;
        if self.spans.buffered > LINE_BYTES { self.spans.flush(&self.instances) } else { Ok(()) }
    }

    /// Take one log record.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn log(&mut self, log: &Log<'_>) -> Result<()> {
        let at = log.at + self.instances[log.instance].skew;
        let out = self.logs.buffer(log.instance);
        let before = out.len();
        let (number, text) = log.severity;
        push(out, format_args!("{{\"timeUnixNano\":\"{at}\",\"observedTimeUnixNano\":\"{}\",", at + 40_000_000));
        push(out, format_args!("\"severityNumber\":{number},\"severityText\":\"{text}\",\"body\":{{\"stringValue\":"));
        push_text(out, log.body);
        out.push_str("},\"attributes\":");
        push_attributes(out, log.attributes);
        if let Some(event) = log.event {
            push(out, format_args!(",\"eventName\":\"{event}\""));
        }
        if let Some((trace, span)) = log.context {
            push(out, format_args!(",\"traceId\":\"{trace:032x}\",\"spanId\":\"{span:016x}\""));
        }
        out.push('}');
        self.logs.buffered += out.len() - before;
        if self.logs.buffered > LINE_BYTES { self.logs.flush(&self.instances) } else { Ok(()) }
    }

    /// Take one metric, already formatted as JSON.
    pub fn metric(&mut self, instance: usize, json: &str) {
        let out = self.metrics.buffer(instance);
        out.push_str(json);
        self.metrics.buffered += json.len();
    }

    /// Write the rest and close the files.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn close(mut self) -> Result<(Exported, Vec<Instance>)> {
        self.flush()?;
        let mut exported = Exported {
            spans: self.spans.records,
            logs: self.logs.records,
            metrics: self.metrics.records,
            paths: Vec::new(),
        };
        for signal in [self.spans, self.logs, self.metrics] {
            exported.paths.extend(signal.files.close()?);
        }
        Ok((exported, self.instances))
    }
}

/// `ot=th:` with the trailing zeros left out, as OpenTelemetry's probability sampling writes it.
fn push_state(out: &mut String, threshold: u64) {
    let digits = format!("{threshold:014x}");
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    push(out, format_args!(",\"traceState\":\"ot=th:{digits}\""));
}

/// Most clocks are right within a millisecond, some by tens, a few by hundreds.
fn skew(hash: u64) -> i64 {
    let spread = match hash % 20 {
        0 => 250_000_000,
        1..=5 => 25_000_000,
        _ => 900_000,
    };
    let unit = ((hash >> 32) as u32).cast_signed();
    i64::from(unit) * spread / i64::from(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracestate_is_written_without_trailing_zeros() {
        let state = |threshold| {
            let mut out = String::new();
            push_state(&mut out, threshold);
            out
        };
        assert_eq!(state(0), ",\"traceState\":\"ot=th:0\"");
        assert_eq!(state(1 << 55), ",\"traceState\":\"ot=th:8\"");
        assert_eq!(state(3 << 54), ",\"traceState\":\"ot=th:c\"");
    }

    #[test]
    fn text_is_escaped() {
        let mut out = String::new();
        push_text(&mut out, "a\"b\\c\nd\u{1}é");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), "a\"b\\c\nd\u{1}é");
    }
}
