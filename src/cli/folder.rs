//! A repository's files from a folder on disk, as `render` and `lint` see them.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context;

use crate::{
    manifest::Limits,
    render::{self, File, Parsed, Repository, repository::is_read},
};

/// Reads the manifest files below `folder`, and says what of it is left out because the daemon leaves it out, too: links,
/// and other repositories such as submodules. Hidden folders are left out without a word.
pub(crate) fn read(folder: &Path) -> anyhow::Result<(Repository, Vec<String>)> {
    let limits = Limits::default();
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    walk(folder, "", &limits, &mut files, &mut left_out)
        .with_context(|| format!("cannot read `{}`", folder.display()))?;
    files.sort_by(|a: &File, b: &File| a.path.cmp(&b.path));
    left_out.sort();
    let repository = Repository::of("", files, &limits, |file| Arc::new(Parsed::of(file, &limits)));
    Ok((repository, left_out))
}

fn walk(
    folder: &Path,
    prefix: &str,
    limits: &Limits,
    into: &mut Vec<File>,
    left_out: &mut Vec<String>,
) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.path().join(".git").exists() {
            left_out
                .push(format!("{path}: a repository of its own, such as a submodule, is not read"));
        } else if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), limits, into, left_out)?;
        } else if kind.is_symlink() && (is_read(&path) || entry.path().is_dir()) {
            left_out.push(format!("{path}: a symbolic link is not followed"));
        } else if kind.is_file() && is_read(&path) {
            // One more than the limit is enough for the limit to be noticed.
            if into.len() > limits.files {
                return Ok(());
            }
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read `{path}`"))?;
            into.push(File::new(path, bytes));
        }
    }
    Ok(())
}

/// Surveys the folder.
pub(crate) fn survey(folder: &Path) -> anyhow::Result<render::wanted::Survey> {
    Ok(render::wanted(&read(folder)?.0))
}
