//! What lands of data sets beside the repository, for people who work on a decoder: `cargo test survey -- --ignored`.

use super::testing::{decode, try_decode};
use super::{
    Options, Source, azure_activity, backstage, cdevents, cloudtrail, focus, gcp_audit, github, github_audit, gitlab,
    k8s_audit, okta, openslo,
};

fn files(folder: &str) -> Vec<std::path::PathBuf> {
    let root = crate::config::variable("ASCRIBE_SHARED_DATA").unwrap_or_else(|| "../shared/data".to_owned());
    let walk = walkdir::WalkDir::new(format!("{root}/{folder}")).sort_by_file_name();
    let files: Vec<_> = walk.into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).collect();
    if files.is_empty() {
        eprintln!("skipped: there is no data in {root}/{folder}");
    }
    files.into_iter().map(walkdir::DirEntry::into_path).collect()
}

#[test]
#[ignore = "reads data sets that are not part of the repository"]
fn survey() {
    let runs: [(&dyn Source, &str, &str); 13] = [
        (&cloudtrail::CloudTrail, "cloudtrail/stratus", "json"),
        (&cloudtrail::CloudTrail, "audit/cloudtrail.ndjson", "ndjson"),
        (&gcp_audit::GcpAudit, "audit/gcp-audit.ndjson", "ndjson"),
        (&azure_activity::AzureActivity, "audit/azure-activity.ndjson", "ndjson"),
        (&k8s_audit::K8sAudit, "audit/k8s-audit.ndjson", "ndjson"),
        (&okta::Okta, "audit/okta.ndjson", "ndjson"),
        (&github_audit::GitHubAudit, "audit/github-audit.ndjson", "ndjson"),
        (&gitlab::GitLab, "webhooks/gitlab", "json"),
        (&focus::Focus, "focus", "csv"),
        (&github::GitHub, "webhooks/github", "json"),
        (&cdevents::CdEvents, "webhooks/cdevents", "json"),
        (&openslo::OpenSlo, "slo", "yaml"),
        (&backstage::Backstage, "slo", "yaml"),
    ];
    for (source, folder, extension) in runs {
        let mut landed = std::collections::BTreeMap::<&str, usize>::new();
        let mut rejected = std::collections::BTreeMap::<String, u64>::new();
        for path in files(folder).iter().filter(|path| path.extension().is_some_and(|found| found == extension)) {
            match try_decode(source, &std::fs::read(path).unwrap(), &Options::default()) {
                Ok(decoded) => {
                    for table in decoded.batches.keys() {
                        *landed.entry(table).or_default() += decoded.rows(table);
                    }
                    for (reason, seen) in &decoded.rejected {
                        *rejected.entry(reason.clone()).or_default() += seen.count;
                    }
                }
                Err(error) => eprintln!("{}: {error}", path.display()),
            }
        }
        eprintln!("{} {folder}: landed {landed:?}, rejected {rejected:?}", source.name());
        assert!(landed.values().sum::<usize>() > 0 || !rejected.is_empty() || files(folder).is_empty());
    }
    assert_eq!(decode(&cloudtrail::CloudTrail, b"").reasons(), []);
}
