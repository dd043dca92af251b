//! What the object of a workload in Kubernetes (a Deployment and its kin) says of the service that it runs.
//!
//! Service and version are told as OpenTelemetry's conventions for Kubernetes have it, so that they are those of the
//! workload's spans: an annotation `resource.opentelemetry.io/service.name`, the labels `app.kubernetes.io/instance` and
//! `app.kubernetes.io/name`, the name of the workload; for the version `app.kubernetes.io/version`, the tag of the image,
//! its digest.

use std::borrow::Cow;

use serde_json::Value;

use super::json::{self, text};

/// An image by its parts: `registry/path/name:tag@digest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'v> {
    repository: &'v str,
    tag: Option<&'v str>,
    digest: Option<&'v str>,
}

impl<'v> Image<'v> {
    /// The parts of a reference.
    #[must_use]
    pub fn of(reference: &'v str) -> Self {
        let (named, digest) = match reference.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (reference, None),
        };
        // A colon before a slash is that of a port.
        let (repository, tag) = match named.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (named, None),
        };
        Self { repository, tag: tag.filter(|tag| !tag.is_empty()), digest }
    }

    /// The tag, else the digest.
    #[must_use]
    pub fn version(&self) -> Option<&'v str> {
        self.tag.or(self.digest)
    }

    /// The package URL (purl type `oci`).
    #[must_use]
    pub fn purl(&self) -> String {
        let name = self.repository.rsplit('/').next().unwrap_or_default().to_lowercase();
        let version = self.digest.map(|digest| format!("@{}", digest.replace(':', "%3A"))).unwrap_or_default();
        let repository = self.repository.contains('/').then(|| format!("repository_url={}", self.repository));
        let tag = self.tag.map(|tag| format!("tag={tag}"));
        let qualifiers = repository.into_iter().chain(tag).collect::<Vec<_>>().join("&");
        let mark = if qualifiers.is_empty() { "" } else { "?" };
        format!("pkg:oci/{name}{version}{mark}{qualifiers}")
    }
}

/// Where labels and annotations of the pods are, the object's own last.
const PLACES: [&[&str]; 2] = [&["spec", "template", "metadata"], &["metadata"]];

fn noted<'v>(object: &'v Value, kind: &str, name: &str) -> Option<&'v str> {
    PLACES.iter().find_map(|place| text(json::at(object, place)?, &[kind, name]))
}

fn first<'v>(object: &'v Value, annotation: &str, labels: &[&str]) -> Option<&'v str> {
    noted(object, "annotations", annotation).or_else(|| labels.iter().find_map(|label| noted(object, "labels", label)))
}

/// The name of the service, if the object says more than its own name.
#[must_use]
pub fn service(object: &Value) -> Option<&str> {
    let labels = ["app.kubernetes.io/instance", "app.kubernetes.io/name"];
    first(object, "resource.opentelemetry.io/service.name", &labels)
}

/// The deployment environment, if the object says one.
#[must_use]
pub fn environment(object: &Value) -> Option<&str> {
    first(object, "resource.opentelemetry.io/deployment.environment.name", &["environment", "env"])
}

/// The version: as a label has it, else that of the image.
#[must_use]
pub fn version<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    let labels = ["app.kubernetes.io/version"];
    first(object, "resource.opentelemetry.io/service.version", &labels).or_else(|| image(object, name)?.version())
}

/// The image of the container that has the workload's name, else of the first one.
#[must_use]
pub fn image<'v>(object: &'v Value, name: &str) -> Option<Image<'v>> {
    let containers = json::at(object, &["spec", "template", "spec", "containers"])?.as_array()?;
    let named = containers.iter().find(|container| text(container, &["name"]) == Some(name));
    named.or_else(|| containers.first()).and_then(|container| text(container, &["image"])).map(Image::of)
}

/// Namespace and name of an object as attributes.
#[must_use]
pub fn attributes<'v>(namespace: Option<&'v str>, kind: &str, name: &'v str) -> crate::model::Attributes<'v> {
    let own = match kind {
        "deployment" | "statefulset" | "daemonset" | "cronjob" | "replicaset" | "job" => format!("k8s.{kind}.name"),
        _ => "k8s.object.name".to_owned(),
    };
    let namespace = namespace.map(|namespace| (Cow::Borrowed("k8s.namespace.name"), Cow::Borrowed(namespace)));
    namespace.into_iter().chain([(Cow::Owned(own), Cow::Borrowed(name))]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_have_versions_and_package_urls() {
        let cases = [
            ("nginx", None, "pkg:oci/nginx"),
            ("nginx:1.27", Some("1.27"), "pkg:oci/nginx?tag=1.27"),
            ("localhost:5000/cart", None, "pkg:oci/cart?repository_url=localhost:5000/cart"),
            ("ghcr.io/acme/cart:v2", Some("v2"), "pkg:oci/cart?repository_url=ghcr.io/acme/cart&tag=v2"),
            (
                "ghcr.io/acme/cart@sha256:0b31",
                Some("sha256:0b31"),
                "pkg:oci/cart@sha256%3A0b31?repository_url=ghcr.io/acme/cart",
            ),
        ];
        for (reference, version, purl) in cases {
            assert_eq!((Image::of(reference).version(), Image::of(reference).purl().as_str()), (version, purl));
        }
    }

    #[test]
    fn the_most_particular_name_counts() {
        let object = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "own", "env": "prod"}},
            "spec": {"template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "pods"}},
                "spec": {"containers": [{"name": "proxy", "image": "envoy:1"}, {"name": "cart", "image": "cart:2"}]},
            }},
        });
        assert_eq!((service(&object), environment(&object)), (Some("pods"), Some("prod")));
        assert_eq!((version(&object, "cart"), version(&object, "other")), (Some("2"), Some("1")));
        let annotated = json!({"metadata": {"annotations": {"resource.opentelemetry.io/service.name": "a"},
            "labels": {"app.kubernetes.io/version": "9"}}});
        assert_eq!((service(&annotated), version(&annotated, "x")), (Some("a"), Some("9")));
        assert_eq!((service(&json!(7)), image(&json!([]), "x")), (None, None));
    }
}
