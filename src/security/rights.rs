//! The same names with other rights: what a session finds behind a name depends on who asks.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::CatalogProviderList;
use datafusion::execution::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;

use super::access::{Access, Guard};
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
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rights").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Rights {
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
            None => state.clone(),
        }
    }

    /// A session like another one in which names are looked up in a list.
    #[must_use]
    pub fn with(state: &SessionState, names: &Arc<dyn CatalogProviderList>) -> SessionState {
        let mut state =
            SessionStateBuilder::new_from_existing(state.clone()).with_catalog_list(Arc::clone(names)).build();
        SCHEMA.clone_into(&mut state.config_mut().options_mut().catalog.default_schema);
        state
    }

    /// What the role of a session may do; none where nobody is guarded against.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub async fn access(state: &SessionState) -> Result<Option<Access>> {
        match Self::of(state) {
            Some(rights) => Ok(Some(rights.guard.access().await?)),
            None => Ok(None),
        }
    }
}
