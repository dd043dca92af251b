//! Argo CD: `Application` resources (JSON: one, several, a list as `kubectl get applications -o json` prints it) and
//! notifications, which hold one as member `app`. Lands in `changes`.
//!
//! A notification tells the operation that it is about (`status.operationState`); a resource tells the history of its
//! deploys as well. A sync of a revision that was there before the last one is a rollback. The id is the application with
//! the beginning of the operation, so that all of them are about the same change.
//!
//! The body of the notification, to be configured for the triggers `on-sync-running`, `on-deployed` and
//! `on-sync-failed`:
//!
//! ```yaml
//! template.ascribe: |
//!   webhook: {ascribe: {method: POST, body: '{"app": {{toJson .app}}}'}}
//! ```
//!
//! The service is the label `app.kubernetes.io/name` of the application, else its name; the environment is a label
//! `environment` or `env`. The version is the tag of the image that has the service's name, or of the only one; else the
//! target revision, if it is fixed (not `HEAD` or a branch that is followed), else the commit.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::json::{self, text, time};
use super::json_records::Reason;
use super::workload::Image;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::change::ChangeRow;

/// The source `argocd`.
#[derive(Debug)]
pub struct ArgoCd;

impl Source for ArgoCd {
    fn name(&self) -> &'static str {
        "argocd"
    }

    fn doc(&self) -> &'static str {
        "Argo CD applications and notifications (JSON) into changes"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &["items"], output, |record, _, output| {
            let notified = json::at(record, &["app"]);
            land(notified.unwrap_or(record), notified.is_none(), output)
        })
    }
}

/// Names that a target revision has while it is followed rather than fixed.
const FOLLOWED: [&str; 5] = ["", "HEAD", "main", "master", "*"];

fn land(app: &Value, with_history: bool, output: &mut Output<'_>) -> Result<(), Reason> {
    let name = text(app, &["metadata", "name"]).ok_or("metadata.name is missing")?;
    let kind = text(app, &["kind"]).unwrap_or("Application");
    if kind != "Application" || json::at(app, &["spec"]).is_none() {
        return Err("the record is no Application".into());
    }
    let app = Application { app, name, namespace: text(app, &["metadata", "namespace"]).unwrap_or_default() };
    let mut rows = Vec::new();
    if with_history {
        app.history(&mut rows);
    }
    if let Some(row) = app.operation()? {
        // An operation that is over is the last of the history.
        rows.retain(|known: &ChangeRow<'_>| known.change_id != row.change_id);
        rows.push(row);
    }
    if rows.is_empty() {
        return Err("application not used: it was never synced".into());
    }
    rows.iter().for_each(|row| output.changes.push(row));
    Ok(())
}

struct Application<'v> {
    app: &'v Value,
    name: &'v str,
    namespace: &'v str,
}

fn borrowed(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

/// The commit that was synced; of several sources the first.
fn revision(of: &Value) -> Option<&str> {
    let several = || json::at(of, &["revisions"])?.get(0)?.as_str();
    text(of, &["revision"]).or_else(several).filter(|revision| !revision.is_empty())
}

fn source(of: &Value) -> Option<&Value> {
    json::at(of, &["source"]).or_else(|| json::at(of, &["sources"])?.get(0))
}

impl<'v> Application<'v> {
    fn change(&self, began: &str, started: i64) -> ChangeRow<'v> {
        let label = |names: &[&str]| names.iter().find_map(|name| text(self.app, &["metadata", "labels", name]));
        let spec = &self.app["spec"];
        let noted = [
            ("argocd.application", Some(self.name)),
            ("argocd.project", text(spec, &["project"])),
            ("k8s.namespace.name", text(spec, &["destination", "namespace"])),
            (
                "k8s.cluster.name",
                text(spec, &["destination", "name"]).or_else(|| text(spec, &["destination", "server"])),
            ),
        ];
        let attributes = noted.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into()))).collect();
        let source = source(spec);
        ChangeRow {
            change_id: Some(Cow::Owned(format!("argocd/{}/{}/{began}", self.namespace, self.name))),
            kind: Some("deploy".into()),
            service_name: Some(Cow::Borrowed(label(&["app.kubernetes.io/name"]).unwrap_or(self.name))),
            environment: borrowed(label(&["environment", "env"])),
            repository: borrowed(source.and_then(|source| text(source, &["repoURL"]))),
            started_at: Some(started),
            attributes,
            ..ChangeRow::default()
        }
    }

    /// The deploys that the resource remembers, oldest first.
    fn history(&self, rows: &mut Vec<ChangeRow<'v>>) {
        let entries = json::at(self.app, &["status", "history"]).and_then(Value::as_array);
        let mut before: Vec<&str> = Vec::new();
        for entry in entries.into_iter().flatten() {
            let Some(finished) = time(entry, &["deployedAt"]) else { continue };
            let began = text(entry, &["deployStartedAt"]).or_else(|| text(entry, &["deployedAt"]));
            let started = time(entry, &["deployStartedAt"]).unwrap_or(finished);
            let mut row = self.change(began.unwrap_or_default(), started);
            row.finished_at = Some(finished);
            row.status = Some("succeeded".into());
            self.of_revision(&mut row, revision(entry), source(entry), &before);
            initiated(&mut row, json::at(entry, &["initiatedBy"]));
            before.extend(revision(entry));
            rows.push(row);
        }
    }

    fn of_revision(
        &self,
        row: &mut ChangeRow<'v>,
        revision: Option<&'v str>,
        source: Option<&'v Value>,
        before: &[&'v str],
    ) {
        let target = source.and_then(|source| text(source, &["targetRevision"]));
        row.revision = borrowed(revision);
        row.version = borrowed(target.filter(|target| !FOLLOWED.contains(target)).or(revision));
        row.previous_version = borrowed(before.last().copied());
        let again = revision.is_some_and(|revision| before.contains(&revision) && before.last() != Some(&revision));
        row.kind = Some(if again { "rollback" } else { "deploy" }.into());
        row.title = Some(Cow::Owned(format!("sync {}", self.name)));
    }

    /// The operation under way, or the last one.
    fn operation(&self) -> Result<Option<ChangeRow<'v>>, Reason> {
        let Some(state) = json::at(self.app, &["status", "operationState"]) else { return Ok(None) };
        let began = text(state, &["startedAt"]).ok_or("startedAt of the operation is missing")?;
        let started = time(state, &["startedAt"]).ok_or("startedAt of the operation is not an instant")?;
        let (status, over) = match text(state, &["phase"]) {
            Some("Running" | "Terminating") => ("started", false),
            Some("Succeeded") => ("succeeded", true),
            Some("Failed" | "Error") => ("failed", true),
            _ => return Err("the phase of the operation is not known".into()),
        };
        let mut row = self.change(began, started);
        let result = json::at(state, &["syncResult"]).unwrap_or(&Value::Null);
        let asked = json::at(state, &["operation", "sync"]).unwrap_or(&Value::Null);
        let known = json::at(self.app, &["status", "history"]).and_then(Value::as_array);
        let earlier = |entry: &&Value| {
            text(entry, &["deployStartedAt"]) != Some(began) && time(entry, &["deployedAt"]) <= Some(started)
        };
        let before: Vec<&str> = known.into_iter().flatten().filter(earlier).filter_map(revision).collect();
        let source = source(result).or_else(|| source(&self.app["spec"]));
        self.of_revision(&mut row, revision(result).or_else(|| revision(asked)), source, &before);
        row.status = Some(status.into());
        row.finished_at = if over { time(state, &["finishedAt"]) } else { None };
        if let Some(image) = self.image(row.service_name.as_deref()) {
            row.artifact_id = Some(Cow::Owned(image.purl()));
            row.version = borrowed(image.version()).or(row.version);
        }
        initiated(&mut row, json::at(state, &["operation", "initiatedBy"]));
        row.attributes.extend(text(state, &["message"]).map(|message| ("argocd.message".into(), message.into())));
        Ok(Some(row))
    }

    /// The image of the service, as far as the application says which one that is.
    fn image(&self, service: Option<&str>) -> Option<Image<'v>> {
        let images = json::at(self.app, &["status", "summary", "images"])?.as_array()?;
        let named = |image: &&str| {
            let name = image.split(['@', ':']).next().and_then(|name| name.rsplit('/').next());
            name.is_some() && name == service
        };
        let mut texts = images.iter().filter_map(Value::as_str);
        let only = || (images.len() == 1).then(|| images.first()?.as_str())?;
        texts.find(named).or_else(only).map(Image::of)
    }
}

fn initiated<'v>(row: &mut ChangeRow<'v>, by: Option<&'v Value>) {
    let Some(by) = by else { return };
    row.actor = borrowed(text(by, &["username"]));
    if json::boolean(by, &["automated"]) == Some(true) {
        row.attributes.push(("argocd.automated".into(), "true".into()));
    }
}
