//! Whose turn it is: places that are given to roles by weight, by stride scheduling. Each role has a pass, and each turn moves
//! it on by one stride, which is the shorter the more the role weighs; whoever waits and is least far has the next turn.
//! Within a role those who came first are first.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::config;
use crate::error::{Result, UserError};

/// The stride of weight 1. The weights up to 16 divide it; what others lose by rounding is no turn in the life of a server.
const STRIDE: u128 = 720_720 << 40;

/// How much each role weighs: turns that it gets where a role of weight 1 gets one, if both wait. Roles that are not
/// named weigh 1.
#[derive(Debug, Clone, Default)]
pub struct Weights(BTreeMap<String, u32>);

impl Weights {
    /// Read weights that are written `ROLE=N`.
    ///
    /// # Errors
    /// When one is written otherwise, is not between 1 and [`config::MOST_WEIGHT`], or its role has one already.
    pub fn parse(given: &[String]) -> Result<Self> {
        let mut weights = BTreeMap::new();
        for text in given {
            let refused = |why: String| UserError::invalid(format!("weight {text:?}: {why}"));
            let (role, weight) = text
                .rsplit_once('=')
                .filter(|(role, _)| !role.is_empty())
                .ok_or_else(|| refused("it has to be ROLE=N, such as dashboards=4".to_owned()))?;
            let most = config::MOST_WEIGHT;
            let weight = weight.parse::<u32>().ok().filter(|weight| (1..=most).contains(weight));
            let weight = weight.ok_or_else(|| refused(format!("N has to be a whole number from 1 to {most}")))?;
            if weights.insert(role.to_owned(), weight).is_some() {
                return Err(refused(format!("role {role:?} has one already")).into());
            }
        }
        Ok(Self(weights))
    }

    fn stride(&self, role: &str) -> u128 {
        STRIDE / u128::from(self.0.get(role).copied().unwrap_or(1))
    }
}

/// Places, those who have them, and those who wait for them; `W` is what is known of one who waits.
#[derive(Debug)]
pub(super) struct Turns<W> {
    weights: Weights,
    /// Places that nobody has.
    free: usize,
    /// Places that one role may have.
    of_role: usize,
    roles: HashMap<Arc<str>, Role<W>>,
    /// The pass at which the last turn began. Nobody's begins before it, so that who was away, or had all the places that
    /// a role may have, has saved nothing.
    now: u128,
    /// The number of the next one who waits.
    next: u64,
}

#[derive(Debug)]
struct Role<W> {
    stride: u128,
    pass: u128,
    places: usize,
    waiting: VecDeque<(u64, W)>,
}

impl<W> Role<W> {
    fn is_there(&self) -> bool {
        self.places > 0 || !self.waiting.is_empty()
    }
}

impl<W> Turns<W> {
    /// So many places, of which a role has so many at most.
    pub(super) fn new(places: usize, of_role: usize, weights: Weights) -> Self {
        Self { weights, free: places, of_role, roles: HashMap::new(), now: 0, next: 0 }
    }

    /// Somebody waits, and is known by the number from now on. Whether it is its turn [`Turns::give`] says.
    pub(super) fn wait(&mut self, role: &Arc<str>, who: W) -> u64 {
        if !self.roles.contains_key(role) && self.roles.len() >= config::TURNS_REMEMBERED {
            self.roles.retain(|_, role| role.is_there());
        }
        let (number, stride) = (self.next, self.weights.stride(role));
        self.next += 1;
        let role = self.roles.entry(Arc::clone(role));
        let role = role.or_insert_with(|| Role { stride, pass: 0, places: 0, waiting: VecDeque::new() });
        role.waiting.push_back((number, who));
        number
    }

    /// Somebody waits no more; nothing happens if it has had its turn.
    pub(super) fn leave(&mut self, role: &str, number: u64) {
        if let Some(role) = self.roles.get_mut(role) {
            role.waiting.retain(|(waiting, _)| *waiting != number);
        }
    }

    /// Give a place to the one whose turn it is; none if no place is free, or none that those who wait may have.
    pub(super) fn give(&mut self) -> Option<(Arc<str>, W)> {
        if self.free == 0 {
            return None;
        }
        let (now, most) = (self.now, self.of_role);
        let may = self.roles.iter_mut().filter(|(_, role)| role.places < most);
        let waiting = may.filter_map(|(name, role)| {
            let first = role.waiting.front()?.0;
            Some((role.pass.max(now), first, name, role))
        });
        let (begins, _, name, role) = waiting.min_by_key(|(begins, first, ..)| (*begins, *first))?;
        let (_, who) = role.waiting.pop_front()?;
        role.pass = begins + role.stride;
        role.places += 1;
        let name = Arc::clone(name);
        (self.now, self.free) = (begins, self.free - 1);
        Some((name, who))
    }

    /// Somebody of a role gives its place back.
    pub(super) fn release(&mut self, role: &str) {
        if let Some(role) = self.roles.get_mut(role).filter(|role| role.places > 0) {
            role.places -= 1;
            self.free += 1;
        }
    }

    /// Those who wait.
    pub(super) fn waiting(&self) -> usize {
        self.roles.values().map(|role| role.waiting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(given: &[&str]) -> Weights {
        Weights::parse(&given.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    /// Whoever waits is known by a letter and a number.
    fn server(places: usize, of_role: usize, given: &[&str]) -> Turns<usize> {
        Turns::new(places, of_role, weights(given))
    }

    fn wait(turns: &mut Turns<usize>, role: &str, count: usize) -> Vec<u64> {
        (0..count).map(|at| turns.wait(&role.into(), at)).collect()
    }

    /// The roles of the next turns, each of which ends before the next one begins.
    fn order(turns: &mut Turns<usize>, count: usize) -> String {
        let mut order = String::new();
        for _ in 0..count {
            let Some((role, _)) = turns.give() else { break };
            turns.release(&role);
            order.push_str(&role);
        }
        order
    }

    fn count(order: &str, role: char) -> usize {
        order.chars().filter(|letter| *letter == role).count()
    }

    #[test]
    fn turns_are_given_by_weight() {
        let mut turns = server(1, 1, &["a=4"]);
        wait(&mut turns, "b", 100);
        wait(&mut turns, "a", 100);
        assert_eq!(order(&mut turns, 10), "baaaabaaaa");
        let next = order(&mut turns, 100);
        assert_eq!((count(&next, 'a'), count(&next, 'b')), (80, 20));
        // Nobody is left without a turn by one who weighs much, and nothing is lost by rounding.
        let mut turns = server(1, 1, &["a=1000", "c=7", "d=17"]);
        for role in ["a", "b", "c", "d"] {
            wait(&mut turns, role, 10_000);
        }
        let next = order(&mut turns, 1025);
        assert_eq!(['a', 'b', 'c', 'd'].map(|role| count(&next, role)), [1000, 1, 7, 17]);
    }

    #[test]
    fn within_a_role_who_comes_first_is_first() {
        let mut turns = server(2, 2, &[]);
        wait(&mut turns, "a", 3);
        let given: Vec<_> = std::iter::from_fn(|| turns.give()).map(|(role, who)| (role.to_string(), who)).collect();
        assert_eq!(given, [("a".to_owned(), 0), ("a".to_owned(), 1)]);
        turns.release("a");
        assert_eq!(turns.give().map(|(_, who)| who), Some(2));
    }

    #[test]
    fn who_was_away_has_saved_nothing() {
        let mut turns = server(1, 1, &[]);
        wait(&mut turns, "a", 200);
        assert_eq!(count(&order(&mut turns, 100), 'a'), 100);
        wait(&mut turns, "b", 100);
        let next = order(&mut turns, 10);
        assert_eq!((count(&next, 'a'), count(&next, 'b')), (5, 5));
        // Nor does it help to go and to come again, one statement at a time.
        let mut turns = server(1, 1, &["a=4"]);
        wait(&mut turns, "a", 100);
        let mut all = String::new();
        wait(&mut turns, "b", 1);
        for _ in 0..50 {
            let next = order(&mut turns, 1);
            if next == "b" {
                wait(&mut turns, "b", 1);
            }
            all.push_str(&next);
        }
        assert_eq!((count(&all, 'a'), count(&all, 'b')), (40, 10));
    }

    #[test]
    fn a_role_has_no_more_places_than_it_may() {
        let mut turns = server(4, 3, &["a=1000", "c=1000"]);
        wait(&mut turns, "a", 100);
        let given = |turns: &mut Turns<usize>| -> String {
            std::iter::from_fn(|| turns.give()).map(|(role, _)| role.to_string()).collect()
        };
        assert_eq!(given(&mut turns), "aaa");
        wait(&mut turns, "b", 100);
        assert_eq!(given(&mut turns), "b");
        // The fourth place goes from one of the others to the next.
        for _ in 0..10 {
            turns.release("b");
            assert_eq!(given(&mut turns), "b");
            turns.release("a");
            assert_eq!(given(&mut turns), "a");
        }
        // Having been held back is no credit against one who comes later.
        wait(&mut turns, "c", 100);
        for (role, next) in [("b", "c"), ("a", "a"), ("a", "c")] {
            turns.release(role);
            assert_eq!(given(&mut turns), next);
        }
        assert_eq!(turns.waiting(), 86 + 89 + 98);
    }

    #[test]
    fn who_has_gone_leaves_nothing() {
        let mut turns = server(1, 1, &[]);
        let numbers = wait(&mut turns, "a", 3);
        turns.give().unwrap();
        turns.leave("a", numbers[1]);
        turns.leave("a", numbers[0]);
        turns.leave("nobody", 0);
        assert_eq!(turns.waiting(), 1);
        turns.release("a");
        turns.release("nobody");
        assert_eq!(turns.give().map(|(_, who)| who), Some(2));
        assert_eq!(turns.give(), None);
        turns.release("a");
        // One too many is none.
        turns.release("a");
        wait(&mut turns, "b", 2);
        assert!(turns.give().is_some());
        assert_eq!(turns.give(), None);
        // Roles that are there no more are forgotten when there are many.
        turns.release("b");
        let mut turns = server(1, 1, &[]);
        for at in 0..3 * config::TURNS_REMEMBERED {
            wait(&mut turns, &format!("r{at}"), 1);
            order(&mut turns, 1);
        }
        assert!(turns.roles.len() <= config::TURNS_REMEMBERED);
    }

    #[test]
    fn a_weight_that_is_none_is_refused() {
        for (given, why) in [
            ("ada", "ROLE=N"),
            ("=4", "ROLE=N"),
            ("", "ROLE=N"),
            ("ada=", "from 1 to 1000"),
            ("ada=0", "from 1 to 1000"),
            ("ada=-1", "from 1 to 1000"),
            ("ada=1.5", "from 1 to 1000"),
            ("ada=1001", "from 1 to 1000"),
            ("ada=99999999999999999999", "from 1 to 1000"),
        ] {
            let error = Weights::parse(&[given.to_owned()]).unwrap_err();
            assert_eq!(error.sqlstate(), "22023", "{given}");
            assert!(error.to_string().contains(why) && error.to_string().contains(given), "{given}: {error}");
        }
        let twice = Weights::parse(&["ada=1".to_owned(), "ada=2".to_owned()]).unwrap_err();
        assert!(twice.to_string().contains("has one already"), "{twice}");
        // A role may be called as it likes.
        let odd = weights(&["a=b=4"]);
        assert_eq!((odd.stride("a=b"), odd.stride("a")), (STRIDE / 4, STRIDE));
    }
}
