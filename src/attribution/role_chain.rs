//! Who is behind a session: chains of roles that were handed on, followed to their beginning.
//!
//! A session is what a call such as `AssumeRole` handed out; the caller's own session is its parent. A parent must have
//! been issued before its child, the child before the event, and the event lie before the child's expiry. Evidence
//! in order of strength: the key id; the source identity; the shared event id of a cross-account call; the session name
//! in its interval. What cannot be resolved is unknown, with the reason; nobody is invented.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::origin::{OriginKind, classify, is_opaque, is_session, runs_customer_code};

/// Longest life of a session whose expiry the log does not tell: 36 hours, the most that STS hands out.
const LONGEST_SESSION: i64 = 36 * 3_600_000_000;

/// Longest chain that is followed.
const MAX_HOPS: u32 = 64;

/// Most parents that are followed at one hop; the least likely ones beyond are left out and said to be.
const MAX_PARENTS: usize = 64;

/// How far the creation time that a session states may lie from the call that issued it: logs have whole seconds.
const CREATION_SLACK: i64 = 2_000_000;

/// How long before and after its recorded run a CI job may ask for credentials.
const RUN_SLACK: i64 = 300_000_000;

/// One audit event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// When the call was made, microseconds since the epoch.
    pub event_time: i64,
    /// Id of the event.
    pub event_id: Option<&'a str>,
    /// aws, gcp, …
    pub provider: Option<&'a str>,
    /// Service that was called.
    pub event_source: Option<&'a str>,
    /// Operation.
    pub event_name: Option<&'a str>,
    /// Whether the call failed.
    pub failed: bool,
    /// Type of the caller.
    pub principal_type: Option<&'a str>,
    /// Unique id of the caller.
    pub principal_id: Option<&'a str>,
    /// ARN of the caller.
    pub principal_arn: Option<&'a str>,
    /// Name of the caller.
    pub principal_name: Option<&'a str>,
    /// Account of the caller.
    pub account_id: Option<&'a str>,
    /// Key that signed the call.
    pub access_key_id: Option<&'a str>,
    /// Role (or user) that issued the caller's session.
    pub session_issuer_arn: Option<&'a str>,
    /// Name of the caller's session.
    pub session_name: Option<&'a str>,
    /// What survives role chaining.
    pub source_identity: Option<&'a str>,
    /// When the caller's session was issued.
    pub session_created_at: Option<i64>,
    /// Provider service that made the call.
    pub invoked_by: Option<&'a str>,
    /// Subject of a web identity or SAML assertion.
    pub federated_subject: Option<&'a str>,
    /// Key that the call handed out.
    pub issued_access_key_id: Option<&'a str>,
    /// Principal that the key is of.
    pub issued_principal_arn: Option<&'a str>,
    /// When the key expires.
    pub issued_expires_at: Option<i64>,
    /// Id that the records of one call in several accounts share.
    pub shared_event_id: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// Whether the call handed out a session. A permanent key of a user (`CreateAccessKey`) is not one: whoever made
    /// the key is not who uses it.
    #[must_use]
    pub fn issues_session(&self) -> bool {
        let issues = self.issued_access_key_id.is_some() || self.issued_principal_arn.is_some();
        issues && !self.failed && self.event_name != Some("CreateAccessKey")
    }

    fn covers(&self, at: i64) -> bool {
        let expires = self.issued_expires_at.unwrap_or(self.event_time.saturating_add(LONGEST_SESSION));
        self.event_time <= at && at <= expires
    }

    fn issued_session_name(&self) -> Option<&'a str> {
        self.issued_principal_arn.and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name)
    }
}

/// One run of a CI system, from the changes that it made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CiRun<'a> {
    /// Id of the run.
    pub run_id: &'a str,
    /// Repository, as a URL or owner/name.
    pub repository: Option<&'a str>,
    /// Who started it.
    pub actor: Option<&'a str>,
    /// When it began, microseconds.
    pub started_at: Option<i64>,
    /// When it was over, microseconds.
    pub finished_at: Option<i64>,
}

/// How a hop was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// The key that signed the call is the key that was handed out.
    AccessKeyId,
    /// The source identity is the same.
    SourceIdentity,
    /// Another account's record of the same call.
    SharedEventId,
    /// The event names who issued the session.
    SessionIssuer,
    /// A session of that name was handed out and had not expired.
    SessionName,
    /// The CI run that the session name or the subject and the time tell.
    CiRun,
    /// Who started the CI run.
    CiActor,
}

impl Link {
    /// The name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessKeyId => "access_key_id",
            Self::SourceIdentity => "source_identity",
            Self::SharedEventId => "shared_event_id",
            Self::SessionIssuer => "session_issuer",
            Self::SessionName => "session_name",
            Self::CiRun => "ci_run",
            Self::CiActor => "ci_actor",
        }
    }

    /// Whether the log itself states the link; the others are inferences.
    #[must_use]
    pub fn is_fact(self) -> bool {
        matches!(self, Self::AccessKeyId | Self::SharedEventId | Self::SessionIssuer | Self::CiActor)
    }

    /// Weight of one candidate that is alone; a rank of the evidence, not a measured probability.
    fn strength(self) -> f64 {
        match self {
            Self::AccessKeyId | Self::SharedEventId | Self::SessionIssuer | Self::CiActor => 1.0,
            Self::SourceIdentity => 0.95,
            Self::CiRun => 0.9,
            Self::SessionName => 0.8,
        }
    }
}

/// One step of a chain; hop 0 is the caller of the event itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Hop<'a> {
    /// Distance from the event.
    pub hop: u32,
    /// ARN of the principal, or what names it otherwise.
    pub principal: Option<&'a str>,
    /// Key that it used.
    pub access_key_id: Option<&'a str>,
    /// Name of its session.
    pub session_name: Option<&'a str>,
    /// Its source identity.
    pub source_identity: Option<&'a str>,
    /// When its session was issued, microseconds.
    pub issued_at: Option<i64>,
    /// How it was found from the hop before; none at hop 0.
    pub link: Option<Link>,
    /// Share of the link among its alternatives, times the strength of its evidence.
    pub link_score: f64,
    /// Product of the shares from the event to here.
    pub score: f64,
    /// Whether the link and all before it are stated by the log.
    pub is_fact: bool,
    /// Set on hops behind which nobody is found.
    pub kind: Option<OriginKind>,
    /// Why the kind is unknown.
    pub reason: Option<String>,
}

/// Who is behind an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin<'a> {
    /// The identity; none if unknown.
    pub identity: Option<&'a str>,
    /// What it is.
    pub kind: OriginKind,
    /// The CI run.
    pub pipeline_run_id: Option<&'a str>,
    /// Who started the CI run.
    pub actor: Option<&'a str>,
    /// Links between the event and the identity.
    pub hops: u32,
    /// Weight among the possible origins.
    pub score: f64,
    /// Whether every link is stated by the log.
    pub is_fact: bool,
    /// Why the origin is unknown.
    pub reason: Option<String>,
}

/// The chain of one event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chain<'a> {
    /// The steps, by distance.
    pub hops: Vec<Hop<'a>>,
    /// The origins, the likeliest first; at least one.
    pub origins: Vec<Origin<'a>>,
}

/// What is known of sessions: the calls that issued them, records of cross-account calls, and CI runs.
#[derive(Debug, Default)]
pub struct SessionTable<'a> {
    events: Vec<Event<'a>>,
    by_key: HashMap<&'a str, Vec<usize>>,
    by_session: HashMap<&'a str, Vec<usize>>,
    by_caller: HashMap<&'a str, Vec<usize>>,
    by_shared_id: HashMap<&'a str, Vec<usize>>,
    runs: Vec<CiRun<'a>>,
    run_by_id: HashMap<&'a str, usize>,
    runs_by_repository: HashMap<String, Vec<usize>>,
}

enum Behind {
    Parents(Link, Vec<(usize, f64)>),
    Nobody,
    Lost(String),
}

#[derive(Clone, Copy)]
struct Node<'a> {
    event: Event<'a>,
    at: Option<usize>,
    link: Option<Link>,
    link_score: f64,
    score: f64,
    is_fact: bool,
    /// Role of the session that the event issued, as the event that led here names it.
    issued_role: Option<&'a str>,
}

impl<'a> SessionTable<'a> {
    /// A table of the events that issued sessions or have a shared id; others are not looked at.
    #[must_use]
    pub fn new(events: impl IntoIterator<Item = Event<'a>>, runs: impl IntoIterator<Item = CiRun<'a>>) -> Self {
        let mut table = Self::default();
        let mut seen = HashSet::new();
        for event in events {
            let known = event.event_id.is_some_and(|id| !seen.insert((event.provider, id)));
            if known || (!event.issues_session() && event.shared_event_id.is_none()) {
                continue;
            }
            let at = table.events.len();
            table.events.push(event);
            if let Some(shared) = event.shared_event_id {
                table.by_shared_id.entry(shared).or_default().push(at);
            }
            if !event.issues_session() {
                continue;
            }
            if let Some(key) = event.issued_access_key_id {
                table.by_key.entry(key).or_default().push(at);
            }
            if let Some(arn) = event.issued_principal_arn {
                table.by_session.entry(arn).or_default().push(at);
            }
            let callers = [event.principal_name, event.session_name, event.federated_subject, event.source_identity];
            let callers: HashSet<&str> = callers.into_iter().flatten().collect();
            for caller in callers {
                table.by_caller.entry(caller).or_default().push(at);
            }
        }
        for run in runs {
            let at = table.runs.len();
            table.runs.push(run);
            table.run_by_id.entry(run.run_id).or_insert(at);
            if let Some(repository) = run.repository.and_then(repository_name) {
                table.runs_by_repository.entry(repository).or_default().push(at);
            }
        }
        table
    }

    /// Follow the sessions behind an event to their beginning, one hop after the other.
    #[must_use]
    pub fn resolve(&self, event: &Event<'a>) -> Chain<'a> {
        let mut chain = Chain::default();
        let mut visited = HashSet::new();
        let start =
            Node { event: *event, at: None, link: None, link_score: 1.0, score: 1.0, is_fact: true, issued_role: None };
        let mut level = vec![start];
        for hop in 0..=MAX_HOPS {
            visited.extend(level.iter().filter_map(|node| node.at));
            let mut next: BTreeMap<usize, Node<'a>> = BTreeMap::new();
            for node in level {
                let behind = match self.behind(&node.event) {
                    Behind::Parents(..) if hop == MAX_HOPS => {
                        Behind::Lost(format!("the chain has more than {MAX_HOPS} hops"))
                    }
                    behind => behind,
                };
                match behind {
                    Behind::Parents(link, parents) => {
                        self.push_session(&mut chain, hop, &node, link, &parents);
                        let circular = self.follow(&node, link, &parents, &visited, &mut next);
                        if circular > 0.0 {
                            let node = Node { score: node.score * circular, ..node };
                            push_unknown(
                                &mut chain,
                                hop,
                                &node,
                                "the sessions issued each other in a circle".to_owned(),
                            );
                        }
                    }
                    Behind::Nobody => self.push_origin(&mut chain, hop, &node),
                    Behind::Lost(reason) => push_unknown(&mut chain, hop, &node, reason),
                }
            }
            level = next.into_values().collect();
            level.sort_by(|a, b| b.score.total_cmp(&a.score).then(key_of(&a.event).cmp(&key_of(&b.event))));
            level.truncate(MAX_PARENTS);
            if level.is_empty() {
                break;
            }
        }
        chain.origins.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.identity.cmp(&b.identity)));
        chain
    }

    /// Go on to the parents; the share of those that were there before is returned. Only sessions that were issued at
    /// the very same time can be parents of each other, so an earlier parent that is reached again is no circle.
    fn follow(
        &self,
        node: &Node<'a>,
        link: Link,
        parents: &[(usize, f64)],
        visited: &HashSet<usize>,
        next: &mut BTreeMap<usize, Node<'a>>,
    ) -> f64 {
        let mut circular = 0.0;
        for (at, share) in parents {
            let Some(event) = self.events.get(*at) else { continue };
            if event.event_time == node.event.event_time && visited.contains(at) {
                circular += share;
                continue;
            }
            let link_score = share * link.strength();
            let is_fact = node.is_fact && link.is_fact() && parents.len() == 1;
            let score = node.score * link_score;
            let issued_role =
                if link == Link::SharedEventId { node.issued_role } else { node.event.session_issuer_arn };
            let reached =
                Node { event: *event, at: Some(*at), link: Some(link), link_score, score, is_fact, issued_role };
            next.entry(*at)
                .and_modify(|known| {
                    known.score += score;
                    known.is_fact |= is_fact;
                })
                .or_insert(reached);
        }
        circular
    }

    /// What stands behind the caller of an event.
    fn behind(&self, event: &Event<'a>) -> Behind {
        let mut expired = None;
        if let Some(issued) = event.access_key_id.and_then(|key| self.by_key.get(key)) {
            let valid = self.valid(issued, event);
            if !valid.is_empty() {
                return Behind::Parents(Link::AccessKeyId, shares(&self.of_one_call(valid)));
            }
            expired = Some("the key that signed the call is known, but was not valid at the time".to_owned());
        }
        if !is_session(event) && !is_opaque(event) {
            return Behind::Nobody;
        }
        let found = self.by_source_identity(event).map(|found| (Link::SourceIdentity, found));
        let found = found.or_else(|| self.twins(event).map(|found| (Link::SharedEventId, found)));
        let found = found.or_else(|| self.by_session_name(event).map(|found| (Link::SessionName, found)));
        match found {
            Some((link, found)) => Behind::Parents(link, shares(&found)),
            None if is_opaque(event) => Behind::Nobody,
            None if event.source_identity.is_some() || issuing_user(event).is_some() => Behind::Nobody,
            None => Behind::Lost(expired.unwrap_or_else(|| unresolved(event))),
        }
    }

    fn valid(&self, candidates: &[usize], event: &Event<'a>) -> Vec<usize> {
        let valid =
            |at: &&usize| self.events.get(**at).is_some_and(|issue| issue.covers(event.event_time) && issue != event);
        candidates.iter().filter(valid).copied().collect()
    }

    /// Records of the same call in several accounts count once: the one that names the caller best.
    fn of_one_call(&self, candidates: Vec<usize>) -> Vec<usize> {
        let mut calls: Vec<usize> = Vec::new();
        for at in candidates {
            let Some(event) = self.events.get(at) else { continue };
            let same = calls.iter_mut().find(|known| {
                event.shared_event_id.is_some()
                    && self.events.get(**known).is_some_and(|known| known.shared_event_id == event.shared_event_id)
            });
            match same {
                Some(known) if self.events.get(*known).is_some_and(is_opaque) => *known = at,
                Some(_) => {}
                None => calls.push(at),
            }
        }
        calls
    }

    /// Calls for a session of the same role by the one whom the source identity names.
    fn by_source_identity(&self, event: &Event<'a>) -> Option<Vec<usize>> {
        let issued = self.by_caller.get(event.source_identity?)?;
        let same_session = |at: &usize| {
            self.events.get(*at).is_some_and(|issue| {
                issue.issued_principal_arn.is_some() && issue.issued_principal_arn == event.principal_arn
            })
        };
        let mut found = self.valid(issued, event);
        found.retain(|at| same_session(at) && self.other_key_is_unknown(*at, event));
        let found = self.near_creation(found, event);
        (!found.is_empty()).then_some(found)
    }

    /// Other records of the same call that name the caller.
    fn twins(&self, event: &Event<'a>) -> Option<Vec<usize>> {
        let records = self.by_shared_id.get(event.shared_event_id?)?;
        let names_another = |record: &Event<'a>| {
            record.event_id != event.event_id
                && !is_opaque(record)
                && (record.principal_arn, record.access_key_id) != (event.principal_arn, event.access_key_id)
        };
        let found: Vec<usize> =
            records.iter().copied().filter(|at| self.events.get(*at).is_some_and(names_another)).take(1).collect();
        (!found.is_empty()).then_some(found)
    }

    fn by_session_name(&self, event: &Event<'a>) -> Option<Vec<usize>> {
        let issued = self.by_session.get(event.principal_arn?)?;
        let mut found = self.valid(issued, event);
        found.retain(|at| self.other_key_is_unknown(*at, event));
        let found = self.near_creation(self.of_one_call(found), event);
        (!found.is_empty()).then_some(found)
    }

    /// A session with another key is another session, whatever its name.
    fn other_key_is_unknown(&self, at: usize, event: &Event<'a>) -> bool {
        let issued = self.events.get(at).and_then(|issue| issue.issued_access_key_id);
        issued.is_none() || event.access_key_id.is_none()
    }

    fn near_creation(&self, mut found: Vec<usize>, event: &Event<'a>) -> Vec<usize> {
        if let Some(created) = event.session_created_at {
            let near = |at: &usize| {
                self.events
                    .get(*at)
                    .is_some_and(|issue| issue.event_time.abs_diff(created) <= CREATION_SLACK.unsigned_abs())
            };
            found.retain(near);
        }
        found
    }

    fn push_session(&self, chain: &mut Chain<'a>, hop: u32, node: &Node<'a>, link: Link, parents: &[(usize, f64)]) {
        let issued = match (link, parents) {
            (Link::SharedEventId, _) => None,
            (_, [(parent, _)]) => self.events.get(*parent).map(|parent| parent.event_time),
            _ => None,
        };
        chain.hops.push(Hop { issued_at: issued.or(node.event.session_created_at), ..step(hop, node) });
    }

    fn push_origin(&self, chain: &mut Chain<'a>, hop: u32, node: &Node<'a>) {
        let event = &node.event;
        let from_session = is_session(event);
        if from_session && let Some(user) = issuing_user(event) {
            chain.hops.push(step(hop, node));
            let link = Link::SessionIssuer;
            let issuer = Hop {
                principal: Some(user),
                access_key_id: None,
                session_name: None,
                issued_at: None,
                link: Some(link),
                link_score: link.strength(),
                kind: Some(OriginKind::Human),
                ..step(hop + 1, node)
            };
            chain.origins.push(origin(&issuer, Some(user), OriginKind::Human, None));
            chain.hops.push(issuer);
            return;
        }
        let (kind, identity, reason) = match event.source_identity.filter(|_| from_session || is_opaque(event)) {
            Some(stated) if stated.contains('@') => (OriginKind::Human, Some(stated), None),
            Some(stated) => {
                let reason = "only the source identity is known, and no call in the logs tells whose it is".to_owned();
                (OriginKind::Unknown, Some(stated), Some(reason))
            }
            None if hop > 0 && runs_customer_code(event) => {
                // The service only fetched the role; who acts is the code that it runs.
                (OriginKind::Workload, node.issued_role.or(event.issued_principal_arn), None)
            }
            None => classify(event),
        };
        let runs = self.runs_of(event, kind);
        let kind = if runs.is_empty() { kind } else { OriginKind::CiJob };
        let hop_of_origin = Hop { kind: Some(kind), reason: reason.clone(), ..step(hop, node) };
        let found = origin(&hop_of_origin, identity, kind, reason);
        chain.hops.push(hop_of_origin.clone());
        for (run, share) in &runs {
            push_run(chain, &hop_of_origin, &found, run, *share);
        }
        if runs.is_empty() {
            chain.origins.push(found);
        }
    }

    /// The CI runs that may have asked for a session: by the id in the session's name, else by repository and time.
    fn runs_of(&self, event: &Event<'a>, kind: OriginKind) -> Vec<(CiRun<'a>, f64)> {
        if self.runs.is_empty() || !matches!(kind, OriginKind::CiJob | OriginKind::Human | OriginKind::Workload) {
            return Vec::new();
        }
        let names = [event.issued_session_name(), event.session_name, event.source_identity];
        let mut words = names.into_iter().flatten().flat_map(|name| {
            std::iter::once(name).chain(name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 6))
        });
        let by_id: Option<&CiRun<'a>> =
            words.find_map(|word| self.run_by_id.get(word)).and_then(|at| self.runs.get(*at));
        if let Some(run) = by_id {
            return vec![(*run, Link::CiRun.strength())];
        }
        if kind != OriginKind::CiJob {
            return Vec::new();
        }
        if let Some(run_id) = event.issued_session_name().and_then(stated_run) {
            return vec![(CiRun { run_id, ..CiRun::default() }, Link::CiRun.strength())];
        }
        let repository = event.federated_subject.and_then(subject_repository);
        let candidates = repository.and_then(|repository| self.runs_by_repository.get(&repository));
        let during = |run: &&CiRun<'a>| {
            let started = run.started_at.is_some_and(|started| started - RUN_SLACK <= event.event_time);
            let end = run.finished_at.or(run.started_at);
            started && end.is_some_and(|end| event.event_time <= end.saturating_add(RUN_SLACK))
        };
        let runs: BTreeMap<&str, CiRun<'a>> = candidates
            .into_iter()
            .flatten()
            .filter_map(|at| self.runs.get(*at))
            .filter(during)
            .map(|run| (run.run_id, *run))
            .collect();
        let share = Link::CiRun.strength() / runs.len().max(1) as f64;
        runs.into_values().map(|run| (run, share)).collect()
    }
}

fn step<'a>(hop: u32, node: &Node<'a>) -> Hop<'a> {
    let event = &node.event;
    let other_name = || event.federated_subject.or(event.invoked_by).or(event.principal_name).or(event.principal_id);
    Hop {
        hop,
        principal: event.principal_arn.or_else(other_name),
        access_key_id: event.access_key_id,
        session_name: event.session_name,
        source_identity: event.source_identity,
        issued_at: event.session_created_at,
        link: node.link,
        link_score: node.link_score,
        score: node.score,
        is_fact: node.is_fact,
        kind: None,
        reason: None,
    }
}

fn origin<'a>(hop: &Hop<'a>, identity: Option<&'a str>, kind: OriginKind, reason: Option<String>) -> Origin<'a> {
    Origin {
        identity,
        kind,
        pipeline_run_id: None,
        actor: None,
        hops: hop.hop,
        score: hop.score,
        is_fact: hop.is_fact,
        reason,
    }
}

fn push_unknown<'a>(chain: &mut Chain<'a>, hop: u32, node: &Node<'a>, reason: String) {
    let last = Hop { kind: Some(OriginKind::Unknown), reason: Some(reason.clone()), ..step(hop, node) };
    chain.origins.push(origin(&last, None, OriginKind::Unknown, Some(reason)));
    chain.hops.push(last);
}

fn push_run<'a>(chain: &mut Chain<'a>, job: &Hop<'a>, found: &Origin<'a>, run: &CiRun<'a>, share: f64) {
    let beyond = |hop: u32, principal: &'a str, link: Link, link_score: f64| Hop {
        hop,
        principal: Some(principal),
        access_key_id: None,
        session_name: None,
        source_identity: None,
        issued_at: run.started_at,
        link: Some(link),
        link_score,
        score: job.score * share,
        is_fact: false,
        kind: None,
        reason: None,
    };
    chain.hops.push(beyond(job.hop + 1, run.run_id, Link::CiRun, share));
    if let Some(actor) = run.actor {
        chain.hops.push(beyond(job.hop + 2, actor, Link::CiActor, 1.0));
    }
    chain.origins.push(Origin {
        pipeline_run_id: Some(run.run_id),
        actor: run.actor,
        score: found.score * share,
        is_fact: false,
        ..found.clone()
    });
}

fn key_of<'a>(event: &Event<'a>) -> (i64, Option<&'a str>) {
    (event.event_time, event.event_id)
}

fn shares(found: &[usize]) -> Vec<(usize, f64)> {
    found.iter().map(|at| (*at, 1.0 / found.len() as f64)).collect()
}

/// A federated user's session names the user that asked for it.
fn issuing_user<'a>(event: &Event<'a>) -> Option<&'a str> {
    event.session_issuer_arn.filter(|arn| arn.contains(":user/") || arn.ends_with(":root"))
}

fn unresolved(event: &Event<'_>) -> String {
    let what = match event.access_key_id {
        Some(key) => format!("the call that issued key {key} is not in the logs"),
        None => "the event has no key, and no session of its name was issued in the logs".to_owned(),
    };
    match event.session_name {
        Some(name) => format!("{what}; its session is named {name}"),
        None => what,
    }
}

/// The run that the name of a CI job's session states: a number of up to 12 digits behind a word for a run. (A longer
/// one is a time.)
fn stated_run(session_name: &str) -> Option<&str> {
    const WORDS: [&str; 8] = ["actions", "build", "gha", "github", "githubactions", "job", "pipeline", "run"];
    let words: Vec<&str> = session_name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let mut pairs = words.windows(2).filter_map(|pair| match pair {
        [word, number] if WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)) => Some(*number),
        _ => None,
    });
    pairs.find(|number| (4..=12).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `owner/name` in lower case, of a URL or of itself.
fn repository_name(repository: &str) -> Option<String> {
    let path =
        repository.split_once("://").map_or(repository, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    path.contains('/').then(|| path.to_lowercase())
}

/// The repository in the subject of a CI system's token.
fn subject_repository(subject: &str) -> Option<String> {
    let rest = subject.strip_prefix("repo:").or_else(|| subject.strip_prefix("project_path:"))?;
    repository_name(rest.split(':').next()?)
}

#[cfg(test)]
#[path = "role_chain_tests.rs"]
mod tests;
