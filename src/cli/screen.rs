//! Progress on a screen: a block that is drawn again on a terminal, one line a change elsewhere.

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use terminal_size::{Height, Width, terminal_size};

use super::pipeline::{block, changes, window};
use crate::rollout::Progress;

/// Shows progress on stdout.
pub(crate) struct Screen {
    live: bool,
    drawn: usize,
    last: Option<Progress>,
}

impl Screen {
    /// Returns a screen for stdout.
    pub(crate) fn new() -> Self {
        Self { live: std::io::stdout().is_terminal(), drawn: 0, last: None }
    }

    /// Shows where the run is now. On a terminal, `headline` stands above it.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub(crate) fn show(
        &mut self,
        headline: Option<&str>,
        progress: &Progress,
        now: Timestamp,
    ) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        if self.live {
            let (width, height) = size();
            let mut lines: Vec<String> =
                headline.iter().flat_map(|headline| wrapped(headline, width)).collect();
            let room = height.saturating_sub(lines.len() + 1);
            let stages = block(progress, now, Some(width.saturating_sub(2)));
            lines
                .extend(window(stages, progress, room).into_iter().map(|line| format!("  {line}")));
            if self.drawn > 0 {
                // Up over the block, and clear to the end of the screen.
                write!(out, "\x1b[{}A\x1b[J", self.drawn)?;
            }
            self.drawn = lines.len();
            for line in lines {
                writeln!(out, "{line}")?;
            }
        } else {
            for line in changes(self.last.as_ref(), progress) {
                writeln!(out, "  {line}")?;
            }
        }
        out.flush()?;
        self.last = Some(progress.clone());
        Ok(())
    }

    /// Leaves the block as it is; what is shown next starts below it.
    pub(crate) fn leave(&mut self) {
        self.drawn = 0;
    }

    /// Returns whether the block is drawn in place, so that clocks in it are worth drawing again.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }
}

/// Returns how wide stdout is, when it is a terminal.
pub(super) fn width() -> Option<usize> {
    std::io::stdout().is_terminal().then(|| size().0)
}

/// Columns and lines of the terminal, read anew for every drawing: people drag windows.
fn size() -> (usize, usize) {
    terminal_size().map_or((80, 24), |(Width(columns), Height(lines))| {
        (usize::from(columns).max(1), usize::from(lines).max(1))
    })
}

/// Breaks text at spaces so that no line is wider than `width`; a word that is, is broken.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let letters: Vec<char> = word.chars().collect();
        for (number, part) in letters.chunks(width.max(1)).enumerate() {
            let space = usize::from(number == 0 && used > 0);
            if used + space + part.len() > width && used > 0 {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                if used > 0 {
                    line.push(' ');
                    used += 1;
                }
                line.extend(part);
                used += part.len();
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces() {
        for (text, width, want) in [
            ("", 10, &[""][..]),
            ("one two", 10, &["one two"]),
            ("one two three", 7, &["one two", "three"]),
            ("abcdefgh ij", 3, &["abc", "def", "gh", "ij"]),
            ("a b", 1, &["a", "b"]),
        ] {
            assert_eq!(wrapped(text, width), want, "{text:?} in {width}");
        }
    }
}
