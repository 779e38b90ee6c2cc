//! page
use crate::column::Column;
pub(crate) fn compare(_columns: &mut Vec<Column>) {}
