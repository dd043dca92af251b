//! What the program tells of itself: log lines at standard error, and spans of the statements that it serves, by OTLP.

use std::io::IsTerminal;

use ascribe::config::{self, TracesTo};
use ascribe::error::{Result, UserError, sqlstate};
use clap::ValueEnum;
use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

/// Which log lines are written, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// Which log lines are written to standard error: off, error, warn, info, debug or trace of Ascribe's own, or directives
    /// of tracing-subscriber's Targets such as info,object_store=debug [default: $ASCRIBE_LOG_LEVEL, else warn]
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How they are written [default: $ASCRIBE_LOG_FORMAT, else text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

impl Logs {
    /// Write log lines from here on.
    pub(super) fn start(&self) -> Result<()> {
        let level = self.log_level.clone().or_else(|| config::variable(config::LOG_LEVEL_VARIABLE));
        let shown = filter(level.as_deref().unwrap_or(config::DEFAULT_LOG_LEVEL))?;
        let lines = layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
        let set = match self.format()? {
            Format::Text => tracing::subscriber::set_global_default(registry().with(lines).with(shown)),
            Format::Json => {
                let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
                tracing::subscriber::set_global_default(registry().with(lines).with(shown))
            }
        };
        set.map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()).into())
    }

    fn format(&self) -> Result<Format, UserError> {
        match (self.log_format, config::variable(config::LOG_FORMAT_VARIABLE)) {
            (Some(format), _) => Ok(format),
            (None, Some(name)) => Format::from_str(&name, true)
                .map_err(|_| UserError::invalid(format!("{} {name}: it is text or json", config::LOG_FORMAT_VARIABLE))),
            (None, None) => Ok(Format::Text),
        }
    }
}

/// The lines that a level or directives let through. A level is not one for libraries: what they tell in detail may have
/// statements in it.
fn filter(given: &str) -> Result<Targets, UserError> {
    let wrong = |error: &dyn std::fmt::Display| {
        UserError::invalid(format!("--log-level {given}: {error}"))
            .hint("off, error, warn, info, debug, trace, or directives such as info,object_store=debug")
    };
    let directives = match given.parse::<LevelFilter>() {
        // The exporter of spans tells in this way what it cannot send.
        Ok(level) => format!("off,ascribe={level},opentelemetry={}", level.min(LevelFilter::WARN)),
        // A word alone would be a library that shows everything.
        Err(error) if !given.contains(['=', ',']) => return Err(wrong(&error)),
        Err(_) => given.to_owned(),
    };
    directives.parse::<Targets>().map_err(|error| wrong(&error))
}

/// The way of spans to where OpenTelemetry's variables say, if they name a place.
pub(super) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Send spans from here on; they wait in a bounded queue for a thread of its own, so that a place that does not answer
    /// keeps nobody.
    ///
    /// # Errors
    /// When the variables cannot be understood.
    pub(super) fn start() -> Result<Self> {
        let Some(way) = config::traces_to() else { return Ok(Self(None)) };
        let exporter = match way {
            // Of itself the exporter trusts no certificate there.
            TracesTo { grpc: true, encrypted: true } => {
                let tls = ClientTlsConfig::new().with_enabled_roots();
                SpanExporter::builder().with_tonic().with_tls_config(tls).build()
            }
            _ => SpanExporter::builder().build(),
        };
        let exporter = exporter.map_err(|error| {
            UserError::invalid(format!("spans cannot be exported: {error}"))
                .hint("the variables OTEL_EXPORTER_OTLP_… say where to and how")
        })?;
        let provider = SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build();
        opentelemetry::global::set_tracer_provider(provider.clone());
        Ok(Self(Some(provider)))
    }

    /// Send what is left, for a while.
    pub(super) async fn end(self) {
        let Some(provider) = self.0 else { return };
        let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(config::TRACES_GRACE)).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// What the spans are of: this program, unless the environment gives it another name.
fn resource() -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name("ascribe")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match config::variable(config::SERVICE_NAME_VARIABLE) {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_of_our_own_lines_and_directives_are_of_all() {
        let shown = |given: &str| {
            let shown = filter(given).unwrap().to_string();
            let mut directives: Vec<String> = shown.split(',').map(str::to_owned).collect();
            directives.sort();
            directives
        };
        assert_eq!(shown("debug"), ["ascribe=debug", "off", "opentelemetry=warn"]);
        assert_eq!(shown("ERROR"), ["ascribe=error", "off", "opentelemetry=error"]);
        assert_eq!(shown("info,object_store=debug"), ["info", "object_store=debug"]);
        for given in ["loud", "info,object_store=loud"] {
            let error = filter(given).unwrap_err();
            assert_eq!(error.code, "22023");
            assert!(error.message.starts_with(&format!("--log-level {given}: ")), "{error:?}");
        }
    }

    #[test]
    fn spans_are_of_ascribe() {
        let found = resource().iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        assert!(found.contains(&"service.name=ascribe".to_owned()), "{found:?}");
        assert!(found.contains(&format!("service.version={}", env!("CARGO_PKG_VERSION"))), "{found:?}");
    }
}
