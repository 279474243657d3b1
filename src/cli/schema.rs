//! `sideband schema`

use super::{Done, Exit, print};

pub(super) fn schema() -> Done {
    print(&format!("{:#}", crate::config::schema()))?;
    Ok(Exit::Ok)
}
