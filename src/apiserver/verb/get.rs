//! GET of one object.

use http::StatusCode;

use super::{Call, Part, scale};
use crate::apiserver::{answer::Answer, builtin::table, failure::Failure};

pub(super) fn get(call: &Call, name: &str, part: Part) -> Result<Answer, Failure> {
    let missing = || Failure::not_found(call.definition(), name);
    call.asked_revision().map_err(Failure::of_one_object)?;
    let stored = call.server.store.get(&call.key(name)).ok_or_else(missing)?;
    if part == Part::Scale {
        let object = call.resource.read(&stored);
        let scale = scale::read(call.definition(), &object).ok_or_else(missing)?;
        return call.present_in(
            &table::of_scale(call.definition().builtin),
            StatusCode::OK,
            &scale,
        );
    }
    call.present(StatusCode::OK, &stored)
}

impl Call {
    /// The `resourceVersion` asked for; 0 when there is none. Refuses one that is still to come.
    pub(super) fn asked_revision(&self) -> Result<u64, Failure> {
        let Some(text) = self.query.get("resourceVersion") else { return Ok(0) };
        let asked = text.parse().map_err(|_| Failure::invalid_revision(text))?;
        let current = self.server.store.revision();
        if asked > current { Err(Failure::too_new(asked, current)) } else { Ok(asked) }
    }
}
