//! What kind of actor a principal is that no other session stands behind.

use super::role_chain::Event;

/// Who is at the beginning of a chain of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OriginKind {
    /// A person.
    Human,
    /// A run of a CI system.
    CiJob,
    /// Code that runs somewhere: an instance, a function, a pod, a service account.
    Workload,
    /// A service of the cloud provider, acting by itself.
    Provider,
    /// Nobody that the logs name.
    Unknown,
}

impl OriginKind {
    /// The name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::CiJob => "ci_job",
            Self::Workload => "workload",
            Self::Provider => "provider",
            Self::Unknown => "unknown",
        }
    }
}

/// Provider services that run a customer's code and take a role for it: the session is the workload.
const COMPUTE_SERVICES: [&str; 14] = [
    "apprunner",
    "batch",
    "codebuild",
    "ec2",
    "ecs",
    "ecs-tasks",
    "eks",
    "eks-fargate-pods",
    "eks-pods",
    "glue",
    "lambda",
    "pods.eks",
    "sagemaker",
    "ssm",
];

/// Beginnings of the subjects that CI systems put into their OIDC tokens (`GitHub`, `GitLab`, Buildkite, Terraform Cloud,
/// Bitbucket, `CircleCI`), as their documentations show them.
const CI_SUBJECTS: [&str; 4] = ["repo:", "project_path:", "pipeline:", "workspace:"];

/// Parts of the issuers of such tokens.
const CI_ISSUERS: [&str; 8] = [
    "token.actions.githubusercontent.com",
    "gitlab",
    "agent.buildkite.com",
    "app.terraform.io",
    "oidc.circleci.com",
    "api.bitbucket.org",
    "vstoken.dev.azure.com",
    "oidc.semaphoreci.com",
];

/// Whether the principal is a session that some other principal was given: its type says nothing about who acts.
#[must_use]
pub fn is_session(event: &Event<'_>) -> bool {
    let by_arn = |arn: &str| arn.contains(":assumed-role/") || arn.contains(":federated-user/");
    match event.principal_type {
        Some("AssumedRole" | "FederatedUser" | "Role") => true,
        Some("IAMUser" | "Root" | "AWSService" | "WebIdentityUser" | "SAMLUser") => false,
        _ => event.principal_arn.is_some_and(by_arn),
    }
}

/// Whether the log names only the account of the caller, as it does for a caller from another account.
#[must_use]
pub fn is_opaque(event: &Event<'_>) -> bool {
    event.provider.is_none_or(|provider| provider == "aws")
        && (event.principal_type == Some("AWSAccount")
            || (event.principal_arn.is_none() && event.invoked_by.is_none() && event.federated_subject.is_none()))
}

/// The identity of a principal behind whom there is no other session, and what it is; the third part is why, if that
/// is not known.
#[must_use]
pub fn classify<'a>(event: &Event<'a>) -> (OriginKind, Option<&'a str>, Option<String>) {
    if event.provider.is_some_and(|provider| provider != "aws") {
        return classify_elsewhere(event);
    }
    let named = event.principal_arn.or(event.principal_name).or(event.principal_id);
    match event.principal_type {
        Some("AWSService") => classify_service(event),
        None if event.principal_arn.is_none() && event.invoked_by.is_some() => classify_service(event),
        Some("WebIdentityUser") => {
            let kind =
                event.federated_subject.map_or(OriginKind::Human, |subject| subject_kind(subject, event.principal_id));
            (kind, event.federated_subject.or(named), None)
        }
        Some("SAMLUser" | "IdentityCenterUser" | "IdentityCenter" | "Directory") => {
            (OriginKind::Human, event.federated_subject.or(named), None)
        }
        Some("Root" | "IAMUser") => (OriginKind::Human, named, None),
        _ if event.event_source.is_some_and(|source| source.starts_with("rolesanywhere.")) => {
            (OriginKind::Workload, named, None)
        }
        _ => match event.federated_subject {
            Some(subject) => (subject_kind(subject, event.principal_id), Some(subject), None),
            None if event.principal_arn.is_some_and(|arn| arn.contains(":user/")) => (OriginKind::Human, named, None),
            None => (OriginKind::Unknown, None, Some(unnamed(event))),
        },
    }
}

fn unnamed(event: &Event<'_>) -> String {
    match event.account_id {
        Some(account) => {
            format!("the caller is named only by its account, {account}, whose own log of the call is not here")
        }
        None => "the event does not name its caller".to_owned(),
    }
}

fn classify_service<'a>(event: &Event<'a>) -> (OriginKind, Option<&'a str>, Option<String>) {
    (OriginKind::Provider, event.invoked_by.or(event.principal_name).or(event.principal_id), None)
}

/// Whether the call is that of a provider's service which fetches a role for the code of a customer that it runs.
#[must_use]
pub fn runs_customer_code(event: &Event<'_>) -> bool {
    let service = event.invoked_by.or(event.principal_name).unwrap_or_default();
    let name = service.strip_suffix(".amazonaws.com").unwrap_or(service);
    let by_service = event.principal_type == Some("AWSService") || event.principal_arn.is_none();
    let role = event.issued_principal_arn.unwrap_or_default();
    by_service && COMPUTE_SERVICES.contains(&name) && !role.contains("AWSServiceRoleFor")
}

/// What the subject of a token is.
#[must_use]
pub fn subject_kind(subject: &str, issuer: Option<&str>) -> OriginKind {
    if subject.starts_with("system:serviceaccount:") {
        return OriginKind::Workload;
    }
    let from_ci = issuer.is_some_and(|issuer| CI_ISSUERS.iter().any(|ci| issuer.contains(ci)));
    // Buildkite and Terraform Cloud begin with the organization, and CircleCI with org/.
    let organization =
        subject.starts_with("organization:") || (subject.starts_with("org/") && subject.contains("/project/"));
    if from_ci || organization || CI_SUBJECTS.iter().any(|start| subject.starts_with(start)) {
        return OriginKind::CiJob;
    }
    OriginKind::Human
}

fn classify_elsewhere<'a>(event: &Event<'a>) -> (OriginKind, Option<&'a str>, Option<String>) {
    let identity = event.principal_name.or(event.principal_arn).or(event.principal_id);
    let Some(name) = identity else {
        return (OriginKind::Unknown, None, Some("the event does not name its caller".to_owned()));
    };
    let kind = match event.provider {
        Some("gcp")
            if name.ends_with("@system.gserviceaccount.com")
                || name.starts_with("service-") && name.contains("@gcp-sa-") =>
        {
            OriginKind::Provider
        }
        Some("gcp") if name.ends_with(".gserviceaccount.com") => OriginKind::Workload,
        Some("kubernetes") if name == "system:anonymous" => {
            return (OriginKind::Unknown, None, Some("the call was anonymous".to_owned()));
        }
        Some("kubernetes") if name.starts_with("system:serviceaccount:") => OriginKind::Workload,
        Some("kubernetes") if name.starts_with("system:") || name.starts_with("eks:") || name.starts_with("aks:") => {
            OriginKind::Provider
        }
        Some("github") if name == "github-actions[bot]" => OriginKind::CiJob,
        Some("github") if name.ends_with("[bot]") => OriginKind::Workload,
        Some("okta") if event.principal_type == Some("SystemPrincipal") => OriginKind::Provider,
        Some("azure") if matches!(event.principal_type, Some("ServicePrincipal" | "servicePrincipal" | "app")) => {
            OriginKind::Workload
        }
        _ => OriginKind::Human,
    };
    (kind, Some(name), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(event: &Event<'_>) -> (OriginKind, Option<String>) {
        let (kind, identity, reason) = classify(event);
        assert_eq!(kind == OriginKind::Unknown, reason.is_some(), "{event:?}");
        (kind, identity.map(str::to_owned))
    }

    #[test]
    fn principals_of_aws() {
        let aws = Event { provider: Some("aws"), ..Event::default() };
        let service = Event { principal_type: Some("AWSService"), invoked_by: Some("ec2.amazonaws.com"), ..aws };
        assert_eq!(kind(&service), (OriginKind::Provider, Some("ec2.amazonaws.com".into())));
        let instance = Event { issued_principal_arn: Some("arn:aws:sts::1:assumed-role/web/i-0a"), ..service };
        assert!(runs_customer_code(&instance));
        let linked =
            Event { issued_principal_arn: Some("arn:aws:sts::1:assumed-role/AWSServiceRoleForECS/x"), ..service };
        assert!(!runs_customer_code(&linked));
        assert!(!runs_customer_code(&Event { invoked_by: Some("autoscaling.amazonaws.com"), ..instance }));
        let subject = |subject| {
            kind(&Event { principal_type: Some("WebIdentityUser"), federated_subject: Some(subject), ..aws }).0
        };
        assert_eq!(subject("repo:acme/shop:ref:refs/heads/main"), OriginKind::CiJob);
        assert_eq!(subject("project_path:acme/shop:ref_type:branch:ref:main"), OriginKind::CiJob);
        assert_eq!(subject("system:serviceaccount:shop:cart"), OriginKind::Workload);
        assert_eq!(subject("110169484474386276334"), OriginKind::Human);
        assert_eq!(
            kind(&Event { principal_type: Some("AWSAccount"), account_id: Some("1"), ..aws }),
            (OriginKind::Unknown, None)
        );
    }

    #[test]
    fn principals_elsewhere() {
        let of = |provider, name| {
            kind(&Event { provider: Some(provider), principal_name: Some(name), ..Event::default() }).0
        };
        assert_eq!(of("gcp", "ci@shop.iam.gserviceaccount.com"), OriginKind::Workload);
        assert_eq!(of("gcp", "ann@acme.io"), OriginKind::Human);
        assert_eq!(of("kubernetes", "system:serviceaccount:shop:cart"), OriginKind::Workload);
        assert_eq!(of("kubernetes", "system:kube-scheduler"), OriginKind::Provider);
        assert_eq!(of("kubernetes", "system:anonymous"), OriginKind::Unknown);
        assert_eq!(of("github", "github-actions[bot]"), OriginKind::CiJob);
        assert_eq!(of("okta", "homer@springfield.gov"), OriginKind::Human);
        assert_eq!(kind(&Event { provider: Some("azure"), ..Event::default() }).0, OriginKind::Unknown);
    }
}
