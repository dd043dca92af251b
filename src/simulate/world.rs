//! The company: teams, services, their operations and call graph, peers, tenants. Drawn from the seed on a fixed skeleton,
//! so that the shape is plausible and the numbers (latencies, probabilities, retries, sizes) differ from seed to seed.

use super::random::Random;
use crate::error::{Result, UserError};

/// The teams.
pub const TEAMS: [&str; 6] = ["storefront", "catalog", "checkout", "payments", "fulfilment", "platform"];

/// Organisation that the repositories belong to.
pub const ORGANISATION: &str = "brightcart";

/// `service.namespace` of everything.
pub const NAMESPACE: &str = "shop";

/// `deployment.environment.name` of everything.
pub const ENVIRONMENT: &str = "prod";

/// Name, team and the language that its SDK is for.
const SERVICES: &[(&str, usize, &str)] = &[
    ("audit-log", 5, "go"),
    ("auth", 5, "go"),
    ("user-profile", 5, "java"),
    ("notification", 5, "nodejs"),
    ("media", 1, "go"),
    ("reviews", 1, "python"),
    ("recommendation", 1, "python"),
    ("catalog", 1, "java"),
    ("search", 1, "java"),
    ("promotions", 2, "nodejs"),
    ("pricing", 2, "java"),
    ("inventory", 4, "java"),
    ("warehouse", 4, "java"),
    ("shipping", 4, "go"),
    ("tracking", 4, "nodejs"),
    ("fraud", 3, "python"),
    ("ledger", 3, "java"),
    ("payment", 3, "java"),
    ("invoicing", 3, "dotnet"),
    ("cart", 2, "dotnet"),
    ("order", 2, "java"),
    ("checkout", 2, "go"),
    ("storefront-bff", 0, "nodejs"),
    ("mobile-bff", 0, "nodejs"),
    ("api-gateway", 0, "go"),
    ("web-frontend", 0, "nodejs"),
];

/// Name, `db.system.name` (or kind), typical latency in milliseconds, whether another company runs it.
const PEERS: &[(&str, &str, f64, bool)] = &[
    ("redis-session", "redis", 0.6, false),
    ("redis-cart", "redis", 0.7, false),
    ("postgres-users", "postgresql", 3.0, false),
    ("postgres-catalog", "postgresql", 4.0, false),
    ("postgres-orders", "postgresql", 5.0, false),
    ("postgres-stock", "postgresql", 4.5, false),
    ("postgres-ledger", "postgresql", 6.0, false),
    ("opensearch", "opensearch", 14.0, false),
    ("object-storage", "s3", 11.0, true),
    ("paygate.example", "http", 95.0, true),
    ("carrier-api.example", "http", 70.0, true),
    ("mail.example", "http", 45.0, true),
];

/// `service|operation|own milliseconds|steps`; a callee is defined above its caller, which keeps the graph acyclic.
/// Steps are separated by `;`, parallel calls by `&`; `@peer/operation` calls a peer, `>topic` publishes,
/// `?p` is the probability of a call and `*` marks a call whose failure the caller survives.
const OPERATIONS: &[&str] = &[
    "audit-log|audit.Append|1.5|@object-storage/PutObject",
    "auth|auth.Verify|1.2|@redis-session/GET",
    "auth|POST /login|6|@postgres-users/SELECT users;@redis-session/SET;audit-log.audit.Append?0.5*",
    "user-profile|profile.Get|3|@postgres-users/SELECT profiles",
    "user-profile|PUT /profile|4|@postgres-users/UPDATE profiles;audit-log.audit.Append?0.6*",
    "notification|notification.Send|5|user-profile.profile.Get;@mail.example/POST",
    "media|GET /media/{id}|2.5|@object-storage/GetObject",
    "reviews|reviews.List|5|@postgres-catalog/SELECT reviews",
    "recommendation|recommendation.For|11|user-profile.profile.Get?0.6*;@opensearch/knn",
    "catalog|catalog.GetProduct|4|@postgres-catalog/SELECT products;media.GET /media/{id}?0.4*",
    "catalog|catalog.List|6|@postgres-catalog/SELECT listing",
    "search|GET /search|9|@opensearch/_search;catalog.catalog.List?0.7",
    "promotions|promotions.Apply|3|@redis-cart/GET;catalog.catalog.GetProduct?0.2*",
    "pricing|pricing.Quote|5|catalog.catalog.GetProduct?0.5&promotions.promotions.Apply?0.6*",
    "inventory|inventory.Check|3|@postgres-stock/SELECT stock",
    "inventory|inventory.Reserve|4|@postgres-stock/SELECT stock;@postgres-stock/UPDATE stock",
    "warehouse|warehouse.Pick|8|inventory.inventory.Check;@postgres-stock/INSERT pick",
    "warehouse|warehouse.SyncStock|14|@postgres-stock/SELECT stock;inventory.inventory.Check;catalog.catalog.List?0.5",
    "shipping|shipping.Rates|4|@carrier-api.example/POST rates",
    "shipping|shipping.Book|6|@carrier-api.example/POST shipments;warehouse.warehouse.Pick",
    "tracking|GET /tracking/{id}|4|@postgres-orders/SELECT shipments;shipping.shipping.Rates?0.3*",
    "fraud|fraud.Score|12|user-profile.profile.Get&@redis-session/GET",
    "ledger|ledger.Post|5|@postgres-ledger/INSERT entries",
    "ledger|ledger.Settle|18|@postgres-ledger/SELECT entries;@postgres-ledger/UPDATE entries;audit-log.audit.Append*",
    "payment|payment.Charge|7|fraud.fraud.Score?0.9;@paygate.example/POST charges;ledger.ledger.Post",
    "invoicing|invoicing.Create|9|ledger.ledger.Post?0.5;@object-storage/PutObject",
    "consume|order-placed|notification.notification.Send,shipping.shipping.Book",
    "consume|payment-captured|invoicing.invoicing.Create",
    "consume|profile-changed|recommendation.recommendation.For",
    "cart|cart.Get|2.5|@redis-cart/GET;pricing.pricing.Quote?0.7",
    "cart|cart.Add|3|inventory.inventory.Check&catalog.catalog.GetProduct;@redis-cart/SET",
    "order|order.Create|6|@postgres-orders/INSERT orders;>order-placed",
    "order|order.List|4|@postgres-orders/SELECT orders",
    "checkout|POST /checkout|8|cart.cart.Get;pricing.pricing.Quote&shipping.shipping.Rates&inventory.inventory.Reserve;payment.payment.Charge;order.order.Create;>payment-captured",
    "storefront-bff|GET /home|5|catalog.catalog.List&recommendation.recommendation.For?0.8*&promotions.promotions.Apply*",
    "storefront-bff|GET /product/{id}|4|catalog.catalog.GetProduct&reviews.reviews.List*&recommendation.recommendation.For?0.5*&inventory.inventory.Check",
    "mobile-bff|GET /m/home|4|catalog.catalog.List&recommendation.recommendation.For?0.7*",
    "mobile-bff|GET /m/product/{id}|4|catalog.catalog.GetProduct&inventory.inventory.Check&pricing.pricing.Quote?0.5",
    "api-gateway|GET /api/home|1.5|auth.auth.Verify?0.6;storefront-bff.GET /home",
    "api-gateway|GET /api/product|1.5|auth.auth.Verify?0.6;storefront-bff.GET /product/{id}",
    "api-gateway|GET /api/search|1.5|search.GET /search",
    "api-gateway|GET /api/m/home|1.5|auth.auth.Verify;mobile-bff.GET /m/home",
    "api-gateway|GET /api/m/product|1.5|auth.auth.Verify;mobile-bff.GET /m/product/{id}",
    "api-gateway|POST /api/cart|1.5|auth.auth.Verify;cart.cart.Add",
    "api-gateway|GET /api/cart|1.5|auth.auth.Verify;cart.cart.Get",
    "api-gateway|POST /api/checkout|2|auth.auth.Verify;checkout.POST /checkout",
    "api-gateway|POST /api/login|1.5|auth.POST /login",
    "api-gateway|PUT /api/profile|1.5|auth.auth.Verify;user-profile.PUT /profile;>profile-changed",
    "api-gateway|GET /api/orders|1.5|auth.auth.Verify;order.order.List;tracking.GET /tracking/{id}?0.5*",
    "api-gateway|GET /api/tracking|1.5|tracking.GET /tracking/{id}",
    "web-frontend|GET /|3|api-gateway.GET /api/home",
    "web-frontend|GET /product/{id}|3|api-gateway.GET /api/product",
    "web-frontend|GET /search|3|api-gateway.GET /api/search",
    "web-frontend|POST /cart|3|api-gateway.POST /api/cart;api-gateway.GET /api/cart?0.5",
    "web-frontend|POST /checkout|4|api-gateway.POST /api/checkout",
    "web-frontend|POST /login|3|api-gateway.POST /api/login",
    "web-frontend|GET /account|3|api-gateway.GET /api/orders&api-gateway.PUT /api/profile?0.2",
];

/// Where requests enter, and how often.
const ENTRIES: &[(&str, f64)] = &[
    ("web-frontend.GET /", 14.0),
    ("web-frontend.GET /product/{id}", 15.0),
    ("web-frontend.GET /search", 13.0),
    ("web-frontend.POST /cart", 12.0),
    ("web-frontend.POST /checkout", 13.0),
    ("web-frontend.POST /login", 5.0),
    ("web-frontend.GET /account", 6.0),
    ("api-gateway.GET /api/m/home", 6.0),
    ("api-gateway.GET /api/m/product", 8.0),
    ("api-gateway.POST /api/checkout", 4.0),
    ("api-gateway.GET /api/tracking", 4.0),
    ("warehouse.warehouse.SyncStock", 1.0),
    ("ledger.ledger.Settle", 1.0),
];

/// One service.
#[derive(Debug, Clone)]
pub struct Service {
    /// `service.name`, also the name of its repository.
    pub name: &'static str,
    /// Index into [`TEAMS`]: who owns it at the end of the month.
    pub team: usize,
    /// `telemetry.sdk.language`.
    pub language: &'static str,
    /// Replicas in quiet times.
    pub replicas: u32,
    /// The autoscaler's ceiling.
    pub max_replicas: u32,
    /// Utilisation at the usual load.
    pub utilisation: f64,
    /// Probability that a request fails for reasons of its own in normal times.
    pub base_error: f64,
    /// Whether its pipeline speaks CDEvents; otherwise GitHub deployments.
    pub cdevents: bool,
}

/// Something that is called but sends no spans of its own.
#[derive(Debug, Clone)]
pub struct Peer {
    /// `service.peer.name`.
    pub name: &'static str,
    /// `db.system.name`, or `http` and `s3` for services.
    pub system: &'static str,
    /// Median latency in milliseconds.
    pub median_ms: f64,
    /// Whether another company runs it.
    pub external: bool,
}

/// What an edge of the call graph leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callee {
    /// An operation of a service.
    Operation(usize),
    /// A peer and the name of the call.
    Peer(usize, &'static str),
    /// A topic, consumed asynchronously.
    Topic(usize),
}

/// One possible call.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Whom it calls.
    pub callee: Callee,
    /// How often the caller's operation makes the call.
    pub probability: f64,
    /// Whether the caller survives a failure.
    pub optional: bool,
    /// How often a failed call is repeated.
    pub retries: u32,
    /// After how many milliseconds the caller gives up.
    pub timeout_ms: f64,
}

/// One operation: its own work around steps; the calls of one step run in parallel.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Index of its service.
    pub service: usize,
    /// Span name.
    pub name: &'static str,
    /// Median of its own work, in milliseconds.
    pub self_ms: f64,
    /// Shape of the log-normal.
    pub sigma: f64,
    /// Calls, step after step.
    pub steps: Vec<Vec<Edge>>,
    /// Rough mean of the whole, in milliseconds.
    pub typical_ms: f64,
}

impl Operation {
    /// Method and route of an HTTP operation; RPC operations have none.
    #[must_use]
    pub fn http(&self) -> Option<(&'static str, &'static str)> {
        self.name.split_once(' ')
    }
}

/// A topic and the operations that consume it.
#[derive(Debug, Clone)]
pub struct Topic {
    /// `messaging.destination.name`.
    pub name: &'static str,
    /// Operations, one consumer group each.
    pub consumers: Vec<usize>,
}

/// A customer of the platform.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// `tenant.id`.
    pub id: String,
    /// Share of the traffic.
    pub share: f64,
    /// Rejection threshold of head sampling (56 bits); `None` sends no tracestate.
    pub threshold: Option<u64>,
}

/// The company.
#[derive(Debug, Clone)]
pub struct World {
    /// All services.
    pub services: Vec<Service>,
    /// All peers.
    pub peers: Vec<Peer>,
    /// All operations, callees before their callers.
    pub operations: Vec<Operation>,
    /// All topics.
    pub topics: Vec<Topic>,
    /// Entry operations with their share of the requests (shares sum to 1).
    pub entries: Vec<(usize, f64)>,
    /// Tenants, largest first (shares sum to 1).
    pub tenants: Vec<Tenant>,
}

impl World {
    /// The company of this seed.
    ///
    /// # Errors
    /// When the built-in call graph is inconsistent.
    pub fn new(seed: u64) -> Result<Self> {
        let mut random = Random::new(seed, "world");
        let services =
            SERVICES.iter().map(|&(name, team, language)| service(name, team, language, &mut random)).collect();
        let peers = PEERS.iter().map(|&(name, system, median, external)| Peer {
            name,
            system,
            median_ms: median * random.between(0.7, 1.5),
            external,
        });
        let peers = peers.collect();
        let mut world = Self {
            services,
            peers,
            operations: Vec::new(),
            topics: Vec::new(),
            entries: Vec::new(),
            tenants: tenants(&mut random),
        };
        for line in OPERATIONS {
            world.define(line, &mut random).ok_or_else(|| broken(line))?;
        }
        for &(name, weight) in ENTRIES {
            let operation = world.find(name).ok_or_else(|| broken(name))?;
            world.entries.push((operation, weight * random.between(0.7, 1.4)));
        }
        let total: f64 = world.entries.iter().map(|entry| entry.1).sum();
        world.entries.iter_mut().for_each(|entry| entry.1 /= total);
        Ok(world)
    }

    fn find(&self, name: &str) -> Option<usize> {
        let (service, operation) = name.split_once('.')?;
        self.operations.iter().position(|o| o.name == operation && self.services[o.service].name == service)
    }

    fn define(&mut self, line: &'static str, random: &mut Random) -> Option<()> {
        let mut parts = line.split('|');
        let (first, name, third) = (parts.next()?, parts.next()?, parts.next()?);
        if first == "consume" {
            let consumers = third.split(',').map(|consumer| self.find(consumer)).collect::<Option<_>>()?;
            self.topics.push(Topic { name, consumers });
            return Some(());
        }
        let service = self.services.iter().position(|s| s.name == first)?;
        let self_ms = third.parse::<f64>().ok()? * random.between(0.7, 1.6);
        let mut steps = Vec::new();
        for step in parts.next()?.split(';') {
            let calls = step.split('&').map(|call| self.edge(call, random));
            steps.push(calls.collect::<Option<Vec<_>>>()?);
        }
        let waits = steps.iter().map(|step| step.iter().map(|e| self.expected_ms(e)).fold(0.0, f64::max)).sum::<f64>();
        let sigma = random.between(0.25, 0.55);
        self.operations.push(Operation { service, name, self_ms, sigma, steps, typical_ms: self_ms * 1.1 + waits });
        Some(())
    }

    fn edge(&self, text: &'static str, random: &mut Random) -> Option<Edge> {
        let (text, optional) = text.strip_suffix('*').map_or((text, false), |rest| (rest, true));
        let (text, probability) = match text.rsplit_once('?') {
            Some((rest, p)) => (rest, p.parse::<f64>().ok()? * random.between(0.75, 1.1)),
            None => (text, 1.0),
        };
        let callee = if let Some(topic) = text.strip_prefix('>') {
            Callee::Topic(self.topics.iter().position(|t| t.name == topic)?)
        } else if let Some(peer) = text.strip_prefix('@') {
            let (peer, call) = peer.split_once('/')?;
            Callee::Peer(self.peers.iter().position(|p| p.name == peer)?, call)
        } else {
            Callee::Operation(self.find(text)?)
        };
        let typical = match callee {
            Callee::Operation(operation) => self.operations[operation].typical_ms,
            Callee::Peer(peer, _) => self.peers[peer].median_ms,
            Callee::Topic(_) => 1.0,
        };
        let retries = if random.chance(0.35) { 1 + u32::from(random.chance(0.3)) } else { 0 };
        let timeout_ms = (typical * random.between(8.0, 20.0)).max(250.0);
        Some(Edge { callee, probability: probability.min(1.0), optional, retries, timeout_ms })
    }

    fn expected_ms(&self, edge: &Edge) -> f64 {
        let callee = match edge.callee {
            Callee::Operation(operation) => self.operations[operation].typical_ms + 0.8,
            Callee::Peer(peer, _) => self.peers[peer].median_ms,
            Callee::Topic(_) => 0.8,
        };
        callee * edge.probability
    }

    /// Expected calls of every operation for one request at `entry`, consumers included.
    #[must_use]
    pub fn visits_of(&self, entry: usize) -> Vec<f64> {
        let mut visits = vec![0.0; self.operations.len()];
        visits[entry] = 1.0;
        for caller in (0..self.operations.len()).rev() {
            for edge in self.operations[caller].steps.iter().flatten() {
                let calls = visits[caller] * edge.probability;
                match edge.callee {
                    Callee::Operation(callee) => visits[callee] += calls,
                    Callee::Topic(topic) => self.topics[topic].consumers.iter().for_each(|&c| visits[c] += calls),
                    Callee::Peer(..) => {}
                }
            }
        }
        visits
    }

    /// Expected calls of every operation for one average request.
    #[must_use]
    pub fn visits(&self) -> Vec<f64> {
        let mut total = vec![0.0; self.operations.len()];
        for &(entry, share) in &self.entries {
            for (sum, visits) in total.iter_mut().zip(self.visits_of(entry)) {
                *sum += visits * share;
            }
        }
        total
    }

    /// Sums per service of a quantity per operation.
    #[must_use]
    pub fn by_service(&self, per_operation: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.services.len()];
        for (operation, value) in self.operations.iter().zip(per_operation) {
            sums[operation.service] += value;
        }
        sums
    }
}

fn broken(what: &str) -> UserError {
    UserError::new(crate::error::sqlstate::INTERNAL, format!("the simulated call graph does not resolve: {what}"))
}

fn service(name: &'static str, team: usize, language: &'static str, random: &mut Random) -> Service {
    let replicas = 2 + random.below(3) as u32;
    Service {
        name,
        team,
        language,
        replicas,
        max_replicas: replicas * 3,
        utilisation: random.between(0.22, 0.48),
        base_error: random.log_normal(0.0012, 0.7).min(0.006),
        cdevents: random.chance(0.4),
    }
}

/// Zipf-distributed tenants; a third of them is head-sampled, a third says that it is not, a third says nothing.
fn tenants(random: &mut Random) -> Vec<Tenant> {
    let count = 24 + random.below(17);
    let mut ids: Vec<String> = (0..count).map(|n| format!("t-{:04}", 1000 + n * 37)).collect();
    random.shuffle(&mut ids);
    let weights: Vec<f64> = (1..=count).map(|rank| 1.0 / (rank as f64 + 1.5)).collect();
    let total: f64 = weights.iter().sum();
    let tenants = ids.into_iter().zip(weights).map(|(id, weight)| {
        let threshold = match random.below(6) {
            0 => Some(1 << 55),
            1 => Some(3 << 54),
            2 | 3 => Some(0),
            _ => None,
        };
        Tenant { id, share: weight / total, threshold }
    });
    tenants.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graph_resolves_and_every_service_is_visited() {
        let world = World::new(3).unwrap();
        assert_eq!(world.services.len(), 26);
        let per_service = world.by_service(&world.visits());
        for (service, visits) in world.services.iter().zip(per_service) {
            assert!(visits > 0.005, "{} gets {visits} calls a request", service.name);
        }
        let shares: f64 = world.tenants.iter().map(|tenant| tenant.share).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }

    #[test]
    fn callees_are_defined_before_their_callers() {
        let world = World::new(9).unwrap();
        for (at, operation) in world.operations.iter().enumerate() {
            for edge in operation.steps.iter().flatten() {
                if let Callee::Operation(callee) = edge.callee {
                    assert!(callee < at);
                }
            }
        }
    }
}
