//! Actions of merchants' orders.

use crate::session::Error;
use crate::session::perform::given::Given;
use crate::session::perform::{Answer, Desk};

pub(super) async fn perform(
    _desk: &mut Desk,
    action: &'static str,
    _given: &mut Given,
) -> Result<Answer, Error> {
    Err(Error::Action(action))
}
