//! The staged update run: the state machine that Fleet's hub agent executes, as pure functions.
//!
//! ```text
//! (created) --initialization fails--> Initialized=False                                        the end
//!     | initialized
//!     v
//! Initialized=True --state Initialize--> idle, validated whenever something changes
//!     | state Run                                --validation fails--> Succeeded=False         the end
//!     v
//! stage k: no clusters? skipped
//!   approval before the stage --> Waiting --approved--> updating, at most maxConcurrency clusters at once
//!   a cluster older than 5 minutes in flight --> Stuck, until it recovers
//!   a cluster's binding taken over by another run --> stage and run failed                     the end
//!   all clusters updated --> Waiting for the tasks after the stage --> Succeeded --> stage k + 1
//! after the last stage: clusters that are no longer selected are removed --> Succeeded=True    the end
//! any time: state Stop --> Stopping, while clusters are in flight --> Stopped --state Run--> the same stage
//! any time: deletion --> approval requests are removed, bindings stay as they are
//! ```
//!
//! [`advance`] is called whenever something changed, or when the [`Wake`] it asked for is due. It looks at a run and
//! at what was [`Seen`] and returns a [`Step`]: the status to record and the [`Order`]s to carry out. *Status is
//! testimony, orders are wishes*: a cluster is `Started` in the pass that sees its binding written, not in the pass
//! that asks for it. So the status is true whatever becomes of an order, a restart forgets nothing, and asking twice
//! does no harm.
//!
//! Whoever carries out orders looks again before anything else happens, if it can: a run that wrote a binding then
//! finds it written before another run takes it away, and two runs cannot chase each other over one binding for ever.
//!
//! Rules, reasons and messages: fleet-semantics §5. Both scopes share this code; only keys print differently.
//! The module reads no clock and talks to nobody.

mod advance;
mod check;
mod cluster;
pub mod fault;
mod gate;
mod initialize;
pub mod invariant;
mod plan;
mod progress;
mod removal;
mod run;
mod seen;
mod selector;
mod stage;
mod status;
mod step;
mod stop;
mod transition;
mod validate;
mod words;

pub use advance::advance;
pub use cluster::{Health, STUCK_AFTER, health, trouble};
pub use initialize::rehearse;

pub use progress::{Cause, ClusterProgress, Phase, Progress, StageProgress, progress};
pub use run::Run;
pub use seen::{Captured, Overrides, Seen};
pub use step::{Bind, Order, Step, Task, Wake};
pub use transition::{Transition, Weight, transitions};
