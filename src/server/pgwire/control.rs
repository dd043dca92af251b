//! Statements about the session, over the wire: what they did is told to the client.

use super::connection::Connection;
use crate::catalog::settings;
use crate::error::Result;
use crate::session::control::{Changed, Done};
use crate::session::utility::Utility;

impl Connection {
    pub(super) fn run_session_statement(&mut self, statement: Utility) -> Result<()> {
        let done = self.session.run(statement)?;
        self.session.kept.end_cursors(&done);
        let Done { tag, warnings, changed, ended, .. } = done;
        for warning in &warnings {
            self.replies.notice("WARNING", warning)?;
        }
        if ended.is_some() {
            self.session.portals.clear();
        }
        match changed {
            Changed::Nothing => {}
            Changed::Some(names) => names.iter().try_for_each(|name| self.changed(name))?,
            Changed::All => self.report_all()?,
        }
        self.replies.complete(tag)?;
        Ok(())
    }

    /// Tell the client about a setting's new value.
    fn changed(&mut self, name: &str) -> Result<()> {
        if let Some(setting) = settings::find(name).filter(|setting| setting.report) {
            let value = self.session.client.settings.get(setting.name)?;
            self.replies.parameter(setting.name, &value)?;
            if setting.name == "application_name" {
                self.activity(|activity| activity.application = value);
            }
        }
        Ok(())
    }

    /// Tell the client every value that it keeps track of.
    pub(super) fn report_all(&mut self) -> Result<()> {
        for setting in settings::SETTINGS.iter().filter(|setting| setting.report) {
            let value = self.session.client.settings.get(setting.name)?;
            self.replies.parameter(setting.name, &value)?;
        }
        Ok(())
    }
}
