//! The table `[routes]`: numbers that were ported, and how long another carrier may be tried.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{folder_path, seconds};
use crate::connector::document::{Faults, Section};

/// How long another carrier may be tried, unless the configuration says so, seconds.
const FAILOVER_S: u64 = 120;
/// The longest that it may be, seconds: an hour.
const FAILOVER_MAX_S: i64 = 3_600;

/// What the operator decides about routes beside the numbering plan.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Routes {
    /// The table of ported numbers (CSV); read again by each reload.
    pub ported: Option<PathBuf>,
    /// The next carrier is tried only so long after a recharge was authorised; zero for never.
    pub failover_within: Duration,
}

/// What is read of the table `[routes]`.
pub(super) fn read(routes: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Routes {
    Routes {
        ported: folder_path(routes, "ported", folder, faults),
        failover_within: seconds(routes, "failover_within_s", FAILOVER_S, FAILOVER_MAX_S, faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str) -> Result<Routes, Vec<document::Fault>> {
        document::read(text, |root, faults| Some(read(root, faults, Path::new("/etc/keytone"))))
    }

    #[test]
    fn a_table_of_routes_has_defaults_and_bounds() {
        let bare = parse("").unwrap();
        assert_eq!(bare, Routes { ported: None, failover_within: Duration::from_secs(120) });
        let routes = parse("ported = \"ported.csv\"\nfailover_within_s = 0").unwrap();
        assert_eq!(routes.ported.as_deref(), Some(Path::new("/etc/keytone/ported.csv")));
        assert!(routes.failover_within.is_zero());
        let faults = parse("failover_within_s = 3601\nfailover = 1").unwrap_err();
        assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [1, 2]);
    }
}
