//! A repository's files from a folder on disk, as `render` and `lint` see them.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context;

use crate::{
    manifest::Limits,
    render::{self, File, Parsed, Repository, repository::is_read},
};

/// Reads the manifest files below `folder`. Hidden folders and links are left out, as the daemon leaves them out.
pub(crate) fn read(folder: &Path) -> anyhow::Result<Repository> {
    let limits = Limits::default();
    let mut files = Vec::new();
    walk(folder, "", &limits, &mut files)
        .with_context(|| format!("cannot read `{}`", folder.display()))?;
    files.sort_by(|a: &File, b: &File| a.path.cmp(&b.path));
    Ok(Repository::of("", files, &limits, |file| Arc::new(Parsed::of(file, &limits))))
}

fn walk(folder: &Path, prefix: &str, limits: &Limits, into: &mut Vec<File>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), limits, into)?;
        } else if kind.is_file() && is_read(&path) {
            // One more than the limit is enough for the limit to be noticed.
            if into.len() > limits.files {
                return Ok(());
            }
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read `{path}`"))?;
            into.push(File { path, bytes: bytes.into() });
        }
    }
    Ok(())
}

/// Surveys the folder.
pub(crate) fn survey(folder: &Path) -> anyhow::Result<render::wanted::Survey> {
    Ok(render::wanted(&read(folder)?))
}
