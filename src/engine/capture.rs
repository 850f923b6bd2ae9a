//! What a run with an empty index rolls out.

use super::{Context, EngineError, Key};
use crate::{api::meta, rollout::Captured};

/// Returns the snapshot group for a run that names none (fleet-semantics §3.9).
///
/// # Errors
/// [`EngineError::Awaited`] while the placement has no snapshot.
pub async fn capture(ctx: &Context, placement: &Key) -> Result<Captured, EngineError> {
    let label = |labels: &Option<std::collections::BTreeMap<String, String>>, key: &str| {
        labels.as_ref()?.get(key).cloned()
    };
    ctx.snapshots
        .of(placement)
        .iter()
        .find(|snapshot| {
            label(&snapshot.metadata.labels, meta::IS_LATEST_SNAPSHOT).as_deref() == Some("true")
        })
        .and_then(|latest| label(&latest.metadata.labels, meta::RESOURCE_INDEX))
        .map(|index| Captured::Group { index })
        .ok_or_else(|| {
            EngineError::Awaited(format!("a resource snapshot of placement {placement}"))
        })
}
