//! The table of ported numbers: read at the start, and again by each reload. One with faults leaves the one before in place.

use crate::app::Error;
use crate::config::routes::Routes;
use crate::connector::numbering::{Plan, Ported};

/// Reads the table that the configuration names, and puts it in place; without one no number is ported. Gives how many numbers
/// are in it. Takes its time: not for an async thread.
///
/// # Errors
/// When it cannot be read, or has faults: then nothing has changed.
pub(super) fn read(plan: &Plan, routes: &Routes) -> Result<usize, Error> {
    let ported = match &routes.ported {
        None => Ported::default(),
        Some(path) => {
            let file = path.display().to_string();
            let text =
                std::fs::read_to_string(path).map_err(|source| Error::Read { file: file.clone(), source })?;
            plan.read_ported(&text).map_err(|faults| Error::Description { file, faults })?
        }
    };
    let numbers = ported.len();
    plan.set_ported(ported);
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::sandbox;
    use crate::msisdn::Msisdn;

    #[test]
    fn a_table_with_faults_leaves_the_one_before() {
        let plan = Plan::parse(sandbox::PLAN).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let routes = Routes { ported: Some(dir.path().join("ported.csv")), ..Routes::default() };
        let phone = Msisdn::parse("+8613800000001").unwrap();
        let operator = || plan.operator(&phone).unwrap();
        assert!(matches!(read(&plan, &routes), Err(Error::Read { .. })));
        let write = |text: &str| std::fs::write(routes.ported.as_ref().unwrap(), text).unwrap();
        write("number,operator\n13800000001,unicom\n");
        assert_eq!((read(&plan, &routes).unwrap(), operator()), (1, "unicom".to_owned()));
        write("13800000001,nobody\n");
        let fault = read(&plan, &routes).unwrap_err().to_string();
        assert!(fault.contains("line 1") && fault.contains("nobody"), "{fault}");
        assert_eq!(operator(), "unicom");
        assert_eq!((read(&plan, &Routes::default()).unwrap(), operator()), (0, "mobile".to_owned()));
    }
}
