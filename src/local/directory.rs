//! Where an embedded fleet keeps its state.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::model::Hint;

/// A folder that only its owner can read.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    root: PathBuf,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It or something in it cannot be made or read.
    #[error("cannot {doing} `{}`", path.display())]
    Unusable {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Hint for DirectoryError {
    fn hint(&self) -> Option<String> {
        Some("name a folder that you may write to with --data-dir".to_owned())
    }
}

impl DataDirectory {
    /// Opens the folder, making it when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or closed to others.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        let root = root.into();
        let failed = |doing| {
            let path = root.clone();
            move |source| DirectoryError::Unusable { doing, path, source }
        };
        fs::create_dir_all(&root).map_err(failed("make folder"))?;
        only_owner(&root, 0o700).map_err(failed("close to others"))?;
        // Absolute, because the kubeconfig's path is printed for other shells to use.
        let root = root.canonicalize().map_err(failed("resolve"))?;
        Ok(Self { root })
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Returns the folder of certificates.
    pub fn certificates(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// Returns the access token, making one the first time.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn token(&self) -> Result<String, DirectoryError> {
        let path = self.root.join("token");
        match fs::read_to_string(&path) {
            Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(DirectoryError::Unusable { doing: "read", path, source });
            }
            _ => {}
        }
        // Two random UUIDs: 244 bits from the operating system's generator.
        let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        write_private(&path, token.as_bytes()).map_err(|source| DirectoryError::Unusable {
            doing: "write",
            path,
            source,
        })?;
        Ok(token)
    }

    /// Returns the ports that the fleet had the last time, first the hub's.
    pub fn ports(&self) -> Vec<u16> {
        let text = fs::read_to_string(self.root.join("ports")).unwrap_or_default();
        text.split_whitespace().map_while(|port| port.parse().ok()).collect()
    }

    /// Returns how many members the fleet has had; nothing when it has never been started.
    pub fn members(&self) -> Option<usize> {
        let number = |entry: io::Result<fs::DirEntry>| -> Option<usize> {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_prefix("member")?.strip_suffix(".redb")?.parse().ok()
        };
        if !self.root.join("hub.redb").exists() {
            return None;
        }
        Some(fs::read_dir(&self.root).ok()?.filter_map(number).max().unwrap_or(0))
    }

    /// Remembers the ports, so that a kubeconfig stays right over a restart.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn remember_ports(&self, ports: &[u16]) -> Result<(), DirectoryError> {
        let path = self.root.join("ports");
        // Members that are left out this time find theirs again the next time.
        let left_out = self.ports().into_iter().skip(ports.len());
        let all = ports.iter().copied().chain(left_out);
        let text = all.map(|port| port.to_string()).collect::<Vec<_>>().join("\n");
        write_private(&path, text.as_bytes()).map_err(|source| DirectoryError::Unusable {
            doing: "write",
            path,
            source,
        })
    }
}

/// Writes a file that only its owner can read, whole or not at all.
///
/// # Errors
/// As the file system says.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("part");
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(unix)]
fn only_owner(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn only_owner(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_and_the_ports_survive() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(folder.path().join("a/b")).unwrap();
        let token = directory.token().unwrap();
        directory.remember_ports(&[1, 2]).unwrap();
        let again = DataDirectory::open(folder.path().join("a/b")).unwrap();
        assert_eq!((again.token().unwrap(), again.ports()), (token, vec![1, 2]));
        again.remember_ports(&[3]).unwrap();
        assert_eq!(again.ports(), [3, 2], "a member that is left out keeps its port");
    }

    #[test]
    fn members_are_counted_by_what_they_left() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(folder.path()).unwrap();
        let touch = |name: &str| fs::write(folder.path().join(name), "").unwrap();
        assert_eq!(directory.members(), None);
        touch("hub.redb");
        assert_eq!(directory.members(), Some(0));
        for name in ["member1.redb", "member12.redb", "memberx.redb", "member13.redb.part"] {
            touch(name);
        }
        assert_eq!(directory.members(), Some(12));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(folder.path().join("d")).unwrap();
        directory.token().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(directory.path()), mode(&directory.path().join("token"))), (0o700, 0o600));
    }
}
