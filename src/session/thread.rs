//! What a thread of text messages asks of the catalogue: which flow a text begins, and what is answered to nonsense.

use crate::dialplan::event::Channel;
use crate::msisdn::Msisdn;
use crate::session::Session;
use crate::session::registry::{Registry, Unserved};
use crate::session::restored::Party;

impl<M: Clone + Send + Sync + 'static> Registry<M> {
    /// A new conversation for a text message that is a command, such as `RC 50`.
    ///
    /// # Errors
    /// When no flow serves it, or all places are taken.
    pub fn open_thread(&self, text: &str, party: Party) -> Result<Session, Unserved> {
        self.open_text(Channel::Sms, text, party)
    }

    /// Whether a text message is the command of a flow.
    #[must_use]
    pub fn is_thread_command(&self, text: &str, caller: Option<&Msisdn>) -> bool {
        self.is_command(Channel::Sms, text, caller)
    }

    /// What is answered to a text message that no flow understands, if any is served by text message.
    #[must_use]
    pub fn help(&self, text: &str, caller: Option<&Msisdn>) -> Option<String> {
        let edition = self.edition();
        let tester = caller.is_some_and(|caller| edition.testers.contains(caller));
        edition.catalog.sms_help(text, &self.language, tester)
    }
}
