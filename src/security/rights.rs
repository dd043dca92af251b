//! The same names with other rights: what a session finds behind a name depends on who asks.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::CatalogProviderList;
use datafusion::execution::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;

use super::access::{Guard, Restriction};
use crate::config::SCHEMA;
use crate::error::Result;

/// What a guarded session carries in its configuration.
pub struct Rights {
    /// The role.
    pub guard: Arc<Guard>,
    /// The names for built-in views and functions: they need no privilege, but policies and masks hold.
    pub definer: Arc<dyn CatalogProviderList>,
    /// The names for what policies ask: every row as it is.
    pub owner: Arc<dyn CatalogProviderList>,
    /// Whether the session asks with the rights of the role.
    own: bool,
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rights").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Rights {
    /// The rights of a session that asks with those of its role.
    #[must_use]
    pub fn new(guard: &Arc<Guard>, definer: Arc<dyn CatalogProviderList>, owner: Arc<dyn CatalogProviderList>) -> Self {
        Self { guard: Arc::clone(guard), definer, owner, own: true }
    }

    /// The rights of a session; none where nobody is guarded against.
    #[must_use]
    pub fn of(state: &SessionState) -> Option<Arc<Self>> {
        state.config().get_extension::<Self>()
    }

    /// The session in which a built-in view or function asks.
    #[must_use]
    pub fn definer(state: &SessionState) -> SessionState {
        match Self::of(state) {
            Some(rights) => Self::with(state, &rights.definer),
            None => Self::in_public(state.clone()),
        }
    }

    /// The session in which a policy asks: it sees everything.
    #[must_use]
    pub fn owner(state: &SessionState) -> SessionState {
        match Self::of(state) {
            Some(rights) => Self::with(state, &rights.owner),
            None => Self::in_public(state.clone()),
        }
    }

    /// What is kept does not depend on where the session looks for names.
    pub(crate) fn in_public(mut state: SessionState) -> SessionState {
        SCHEMA.clone_into(&mut state.config_mut().options_mut().catalog.default_schema);
        state
    }

    /// A session like another one in which names are looked up in a list.
    #[must_use]
    pub fn with(state: &SessionState, names: &Arc<dyn CatalogProviderList>) -> SessionState {
        let mut state =
            SessionStateBuilder::new_from_existing(state.clone()).with_catalog_list(Arc::clone(names)).build();
        if let Some(rights) = Self::of(&state) {
            let (guard, definer, owner) = (&rights.guard, &rights.definer, &rights.owner);
            let others = Self { own: false, ..Self::new(guard, Arc::clone(definer), Arc::clone(owner)) };
            state.config_mut().set_extension(Arc::new(others));
        }
        Self::in_public(state)
    }

    /// Whether a function that reads the lake may be called in a session.
    ///
    /// # Errors
    /// 42501 when it may not, or when the lake cannot be read.
    pub async fn check_function(state: &SessionState, name: &str) -> Result<()> {
        match Self::of(state).filter(|rights| rights.own) {
            Some(rights) => Ok(rights.guard.access().await?.check_function(name)?),
            None => Ok(()),
        }
    }

    /// What is between the role of a session and a table.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub async fn restriction(state: &SessionState, schema: &str, table: &str) -> Result<Restriction> {
        match Self::of(state) {
            Some(rights) => Ok(rights.guard.access().await?.restriction(schema, table)),
            None => Ok(Restriction::default()),
        }
    }
}
