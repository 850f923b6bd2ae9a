//! What the process says when it ends.

use std::process::ExitCode;

/// Exit codes: a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, and all is as asked.
    Done,
    /// 1: refused, failed, or misused.
    Failed,
    /// 2: the command found changes or differences, where it says so.
    Differs,
    /// 3: the time given was not enough.
    TimedOut,
}

impl Exit {
    /// Returns the number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Differs => 2,
            Self::TimedOut => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
