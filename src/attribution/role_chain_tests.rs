use super::*;
use proptest::prelude::*;

const MINUTE: i64 = 60_000_000;

fn user(event_time: i64) -> Event<'static> {
    Event {
        event_time,
        provider: Some("aws"),
        principal_type: Some("IAMUser"),
        principal_arn: Some("arn:aws:iam::1:user/ann"),
        principal_name: Some("ann"),
        access_key_id: Some("AKIA1"),
        ..Event::default()
    }
}

fn role<'a>(event_time: i64, arn: &'a str, key: Option<&'a str>) -> Event<'a> {
    Event {
        event_time,
        provider: Some("aws"),
        principal_type: Some("AssumedRole"),
        principal_arn: Some(arn),
        session_name: arn.rsplit('/').next(),
        access_key_id: key,
        ..Event::default()
    }
}

fn issuing<'a>(id: &'a str, caller: Event<'a>, key: Option<&'a str>, arn: &'a str) -> Event<'a> {
    Event {
        event_id: Some(id),
        event_name: Some("AssumeRole"),
        issued_access_key_id: key,
        issued_principal_arn: Some(arn),
        issued_expires_at: Some(caller.event_time + 15 * MINUTE),
        ..caller
    }
}

const A: &str = "arn:aws:sts::1:assumed-role/a/s";
const B: &str = "arn:aws:sts::1:assumed-role/b/s";

fn chain<'a>(events: &[Event<'a>], event: Event<'a>) -> Chain<'a> {
    SessionTable::new(events.iter().copied(), []).resolve(&event)
}

fn only<'c, 'a>(chain: &'c Chain<'a>) -> &'c Origin<'a> {
    assert_eq!(chain.origins.len(), 1, "{chain:?}");
    &chain.origins[0]
}

#[test]
fn two_roles_are_followed_to_the_user_by_their_keys() {
    let events = [issuing("1", user(0), Some("KA"), A), issuing("2", role(5 * MINUTE, A, Some("KA")), Some("KB"), B)];
    let chain = chain(&events, role(6 * MINUTE, B, Some("KB")));
    let origin = only(&chain);
    assert_eq!((origin.identity, origin.kind), (Some("arn:aws:iam::1:user/ann"), OriginKind::Human));
    assert_eq!((origin.hops, origin.score, origin.is_fact), (2, 1.0, true));
    let issued: Vec<_> = chain.hops.iter().map(|hop| (hop.hop, hop.issued_at, hop.link)).collect();
    let by_key = Some(Link::AccessKeyId);
    assert_eq!(issued, vec![(0, Some(5 * MINUTE), None), (1, Some(0), by_key), (2, None, by_key)]);
}

#[test]
fn a_session_that_is_not_valid_at_the_time_is_no_parent() {
    let events = [issuing("1", user(0), Some("KA"), A)];
    for (at, kind) in [
        (-1, OriginKind::Unknown),
        (0, OriginKind::Human),
        (15 * MINUTE, OriginKind::Human),
        (15 * MINUTE + 1, OriginKind::Unknown),
    ] {
        let chain = chain(&events, role(at, A, Some("KA")));
        assert_eq!(only(&chain).kind, kind, "{at}");
        assert_eq!(only(&chain).identity.is_none(), kind == OriginKind::Unknown);
    }
    let failed = [Event { failed: true, ..events[0] }];
    let chain = chain(&failed, role(1, A, Some("KA")));
    assert_eq!(
        only(&chain).reason.as_deref(),
        Some("the call that issued key KA is not in the logs; its session is named s")
    );
}

#[test]
fn an_unknown_key_is_not_explained_by_a_session_of_the_same_name() {
    let chain = chain(&[issuing("1", user(0), Some("KA"), A)], role(1, A, Some("KX")));
    assert_eq!((only(&chain).kind, only(&chain).identity), (OriginKind::Unknown, None));
}

#[test]
fn two_sessions_of_one_name_are_both_possible() {
    let bob = Event { principal_arn: Some("arn:aws:iam::1:user/bob"), principal_name: Some("bob"), ..user(MINUTE) };
    let events = [issuing("1", user(0), None, A), issuing("2", bob, None, A)];
    let resolved = chain(&events, role(2 * MINUTE, A, Some("KA")));
    let origins: Vec<_> =
        resolved.origins.iter().map(|origin| (origin.identity, origin.score, origin.is_fact)).collect();
    assert_eq!(
        origins,
        vec![(Some("arn:aws:iam::1:user/ann"), 0.4, false), (Some("arn:aws:iam::1:user/bob"), 0.4, false)]
    );
    let created = Event { session_created_at: Some(MINUTE), ..role(2 * MINUTE, A, Some("KA")) };
    let narrowed = chain(&events, created);
    assert_eq!((only(&narrowed).identity, only(&narrowed).score), (Some("arn:aws:iam::1:user/bob"), 0.8));
}

#[test]
fn the_other_account_names_the_caller() {
    let seen =
        Event { event_id: Some("there"), shared_event_id: Some("x"), ..issuing("there", user(0), Some("KA"), A) };
    let here = Event {
        event_id: Some("here"),
        principal_type: Some("AWSAccount"),
        principal_arn: None,
        principal_name: None,
        access_key_id: None,
        account_id: Some("1"),
        issued_access_key_id: Some("KA"),
        ..seen
    };
    let without_key = Event { issued_access_key_id: None, issued_principal_arn: None, ..seen };
    let chained = chain(&[here, without_key], role(1, A, Some("KA")));
    assert_eq!((only(&chained).identity, only(&chained).hops), (Some("arn:aws:iam::1:user/ann"), 2));
    assert_eq!(chained.hops[2].link, Some(Link::SharedEventId));
    let both = chain(&[here, seen], role(1, A, Some("KA")));
    assert_eq!((only(&both).identity, only(&both).hops), (Some("arn:aws:iam::1:user/ann"), 1));
    let alone = chain(&[here], role(1, A, Some("KA")));
    assert_eq!(only(&alone).kind, OriginKind::Unknown);
    assert!(only(&alone).reason.as_deref().unwrap().contains("account, 1"), "{alone:?}");
}

#[test]
fn a_circle_ends() {
    let events =
        [issuing("1", role(0, B, Some("KB")), Some("KA"), A), issuing("2", role(0, A, Some("KA")), Some("KB"), B)];
    let chain = chain(&events, role(0, A, Some("KA")));
    assert_eq!(only(&chain).reason.as_deref(), Some("the sessions issued each other in a circle"));
}

#[test]
fn a_chain_without_end_is_cut_and_said_to_be() {
    let keys: Vec<String> = (0..200).map(|at| format!("K{at}")).collect();
    let events: Vec<_> =
        (1..200).map(|at| issuing(&keys[at], role(at as i64, A, Some(&keys[at - 1])), Some(&keys[at]), A)).collect();
    let chain = chain(&events, role(300, A, Some("K199")));
    assert_eq!(only(&chain).reason.as_deref(), Some("the chain has more than 64 hops"));
}

fn web_identity() -> Event<'static> {
    Event {
        event_time: 10 * MINUTE,
        provider: Some("aws"),
        principal_type: Some("WebIdentityUser"),
        federated_subject: Some("repo:Acme/shop:ref:refs/heads/main"),
        ..Event::default()
    }
}

#[test]
fn a_ci_job_is_found_by_the_run_id_in_the_session_name() {
    let arn = "arn:aws:sts::1:assumed-role/deploy/gha-987654321-1";
    let run = |run_id, started| CiRun {
        run_id,
        repository: Some("https://github.com/acme/Shop.git"),
        actor: Some("ann"),
        started_at: Some(started),
        finished_at: Some(started + MINUTE),
    };
    let runs = [run("111111111", 9 * MINUTE), run("987654321", 0)];
    let issue = issuing("1", web_identity(), Some("KA"), arn);
    let chain = SessionTable::new([issue], runs).resolve(&role(11 * MINUTE, arn, Some("KA")));
    let origin = only(&chain);
    assert_eq!((origin.kind, origin.identity), (OriginKind::CiJob, web_identity().federated_subject));
    assert_eq!((origin.pipeline_run_id, origin.actor, origin.hops), (Some("987654321"), Some("ann"), 1));
    let links: Vec<_> = chain.hops.iter().map(|hop| hop.link).collect();
    assert_eq!(links, vec![None, Some(Link::AccessKeyId), Some(Link::CiRun), Some(Link::CiActor)]);
}

#[test]
fn a_ci_job_is_found_by_repository_and_time_or_left_open() {
    let run = |run_id, repository, started| CiRun {
        run_id,
        repository: Some(repository),
        actor: None,
        started_at: Some(started),
        finished_at: Some(started + MINUTE),
    };
    let issue = issuing("1", web_identity(), Some("KA"), A);
    let resolve = |runs: &[CiRun<'static>]| {
        let chain = SessionTable::new([issue], runs.iter().copied()).resolve(&role(11 * MINUTE, A, Some("KA")));
        chain.origins.iter().map(|origin| (origin.pipeline_run_id, origin.score)).collect::<Vec<_>>()
    };
    let other = run("r3", "acme/cart", 10 * MINUTE);
    let late = run("r4", "acme/shop", 60 * MINUTE);
    assert_eq!(resolve(&[run("r1", "acme/shop", 10 * MINUTE), other, late]), vec![(Some("r1"), 0.9)]);
    let two = resolve(&[run("r1", "acme/shop", 10 * MINUTE), run("r2", "acme/shop", 9 * MINUTE)]);
    assert_eq!(two, vec![(Some("r1"), 0.45), (Some("r2"), 0.45)]);
    assert_eq!(resolve(&[other, late]), vec![(None, 1.0)]);
}

#[test]
fn a_session_name_states_its_run_behind_a_word_for_one() {
    assert_eq!(stated_run("gha-9876543210-1"), Some("9876543210"));
    assert_eq!(stated_run("GitHubActions-deploy-9876543210"), None);
    assert_eq!(stated_run("GitHubActions"), None);
    assert_eq!(stated_run("run-1722375070115152000"), None);
}

#[test]
fn a_service_that_fetches_a_role_for_our_code_is_not_who_acts() {
    let role_arn = "arn:aws:iam::1:role/task-cart";
    let arn = "arn:aws:sts::1:assumed-role/task-cart/0a1b";
    let service = |name| Event {
        provider: Some("aws"),
        principal_type: Some("AWSService"),
        invoked_by: Some(name),
        ..Event::default()
    };
    let acting = Event { session_issuer_arn: Some(role_arn), ..role(1, arn, Some("KA")) };
    let task = issuing("1", service("ecs-tasks.amazonaws.com"), Some("KA"), arn);
    let found = chain(&[task], acting);
    assert_eq!(
        (only(&found).kind, only(&found).identity, only(&found).hops),
        (OriginKind::Workload, Some(role_arn), 1)
    );
    let itself = chain(&[task], task);
    assert_eq!((only(&itself).kind, only(&itself).identity), (OriginKind::Provider, Some("ecs-tasks.amazonaws.com")));
    let scaling = chain(&[issuing("1", service("autoscaling.amazonaws.com"), Some("KA"), arn)], acting);
    assert_eq!(
        (only(&scaling).kind, only(&scaling).identity),
        (OriginKind::Provider, Some("autoscaling.amazonaws.com"))
    );
}

#[test]
fn a_source_identity_leads_to_its_owner_or_stands_for_itself() {
    let with_identity = |stated| Event { source_identity: Some(stated), ..role(1, A, None) };
    let found = chain(&[issuing("1", user(0), Some("KA"), A)], with_identity("ann"));
    assert_eq!(
        (only(&found).identity, found.hops[1].link),
        (Some("arn:aws:iam::1:user/ann"), Some(Link::SourceIdentity))
    );
    let person = chain(&[], with_identity("ann@acme.io"));
    assert_eq!((only(&person).identity, only(&person).kind), (Some("ann@acme.io"), OriginKind::Human));
    let nobody = chain(&[], with_identity("x17"));
    assert_eq!((only(&nobody).identity, only(&nobody).kind), (Some("x17"), OriginKind::Unknown));
}

#[test]
fn a_permanent_key_made_by_somebody_else_is_still_its_users() {
    let made = Event {
        event_name: Some("CreateAccessKey"),
        ..issuing(
            "1",
            Event { principal_arn: Some("arn:aws:iam::1:user/eve"), ..user(0) },
            Some("AKIA1"),
            "arn:aws:iam::1:user/ann",
        )
    };
    let chain = chain(&[made], user(MINUTE));
    assert_eq!((only(&chain).identity, only(&chain).hops), (Some("arn:aws:iam::1:user/ann"), 0));
}

const KEYS: [&str; 6] = ["K0", "K1", "K2", "K3", "K4", "K5"];

/// Every origin that some path of valid sessions leads to, by trying all paths.
fn brute_force(
    issues: &[(usize, Option<usize>, i64, i64)],
    key: Option<usize>,
    at: i64,
    path: &mut Vec<usize>,
    found: &mut HashSet<String>,
) {
    let Some(key) = key else {
        found.insert("user".into());
        return;
    };
    let parents: Vec<usize> = (0..issues.len())
        .filter(|i| issues[*i].0 == key && issues[*i].2 < at && at <= issues[*i].2 + issues[*i].3)
        .collect();
    if parents.is_empty() {
        found.insert("unknown".into());
    }
    for parent in parents {
        if path.contains(&parent) {
            found.insert("unknown".into());
            continue;
        }
        path.push(parent);
        brute_force(issues, issues[parent].1, issues[parent].2, path, found);
        path.pop();
    }
}

proptest! {
    #[test]
    fn origins_are_those_that_trying_all_paths_finds(
        // Issued key, caller's key (none: a user), time and life; times differ, so that there are no circles.
        drawn in prop::collection::vec((0usize..6, prop::option::of(0usize..6), 1i64..30), 1..12),
        key in 0usize..6,
    ) {
        let issues: Vec<_> = drawn.iter().enumerate().map(|(at, (key, caller, life))| (*key, *caller, at as i64, *life)).collect();
        let ids: Vec<String> = (0..issues.len()).map(|at| at.to_string()).collect();
        let events: Vec<Event<'_>> = issues.iter().zip(&ids).map(|((key, caller, at, life), id)| {
            let who = caller.map_or_else(|| user(*at), |caller| role(*at, A, Some(KEYS[caller])));
            Event { issued_expires_at: Some(at + life), ..issuing(id, who, Some(KEYS[*key]), A) }
        }).collect();
        let mut expected = HashSet::new();
        brute_force(&issues, Some(key), 20, &mut Vec::new(), &mut expected);
        let chain = chain(&events, role(20, A, Some(KEYS[key])));
        let found: HashSet<String> = chain.origins.iter()
            .map(|origin| if origin.kind == OriginKind::Human { "user".into() } else { "unknown".into() }).collect();
        prop_assert_eq!(found, expected);
        let total: f64 = chain.origins.iter().map(|origin| origin.score).sum();
        prop_assert!((total - 1.0).abs() < 1e-9, "{}", total);
    }
}
