//! `l ASOF [LEFT | INNER] JOIN r MATCH_CONDITION (l.t >= r.t) [ON l.k = r.k AND … | USING (k)]`: for each row of the left
//! side the nearest row of the right side in time.
//!
//! Syntax and meaning are those of the ASOF join in DataFusion's main branch (pull requests 23828 to 23830) and of
//! Snowflake, so that this folder can go when a release brings that:
//!
//! - of the rows of the right side that satisfy `ON` and the match condition, which is one of `>=`, `>`, `<=` and `<` with
//!   the left side's time on its left, the nearest in time is taken;
//! - a left row without one is kept, with nulls for the right side;
//! - a null time or key, on either side, matches nothing.
//!
//! Beyond that:
//!
//! - `ASOF LEFT JOIN` is the same spelled out, `ASOF INNER JOIN` drops the left rows that match nothing;
//! - `ON` may have further conditions, such as a tolerance, `r.t >= l.t - INTERVAL '5 minutes'`: the nearest of the rows
//!   that satisfy them is taken;
//! - of several rows of the right side at the same time the one is taken whose columns, as far as the statement reads
//!   them and in the order of the table, are the least, nulls last: an answer does not depend on the order of the rows;
//! - `USING (k)` leaves one column `k`, that of the left side.

mod exec;
mod index;
mod logical;
mod planner;
mod rule;
mod stream;
mod syntax;

pub use exec::AsofJoinExec;
pub use logical::AsofJoin;
pub use planner::{PlanAsofJoins, PlanAsofRelations};
pub use rule::PushFiltersThroughAsofJoins;
pub use syntax::{nest, parse, parse_one, plain_tokens, plan, shallow};
