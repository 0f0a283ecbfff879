//! stub

use super::view::View;
use super::Draft;

pub(super) fn write(_view: &View<'_>, draft: &mut Draft) {
    draft.refuse("this dialect is not written yet");
}
