//! A throw-away signing key, and a stand-in for `ssh-keygen -Y sign` so that the demo needs no OpenSSH.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use ring::rand::{SecureRandom, SystemRandom};
use ssh_key::{HashAlg, LineEnding, PrivateKey, SshSig, private::Ed25519Keypair};

/// Who approves in the demo.
pub(super) const PRINCIPAL: &str = "you@example.com";

/// A key on disk, as `ssh-keygen -t ed25519` would have left it.
pub(super) struct Signer {
    key: PathBuf,
    public: String,
    program: PathBuf,
}

impl Signer {
    /// Makes a key in `folder`, and the program there that git calls to sign with it.
    pub(super) fn create(folder: &Path) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        let key = PrivateKey::new(Ed25519Keypair::from_seed(&seed).into(), PRINCIPAL)?;
        let path = folder.join("signing-key");
        key.write_openssh_file(&path, LineEnding::LF)?;
        let public = key.public_key().to_openssh()?;
        fs::write(path.with_extension("pub"), format!("{public}\n"))?;
        Ok(Self { key: path, public, program: write_program(folder)? })
    }

    /// Returns the line of `policy/allowed_signers` that lets the key approve.
    pub(super) fn allowed_signers_line(&self) -> String {
        format!("{PRINCIPAL} namespaces=\"git\" {}\n", self.public)
    }

    /// Returns the settings that make `git commit -S` sign with the key.
    pub(super) fn git_settings(&self) -> [(String, String); 4] {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("gpg.format".into(), "ssh".into()),
            ("gpg.ssh.program".into(), path(&self.program)),
            ("user.signingkey".into(), path(&self.key)),
            ("user.email".into(), PRINCIPAL.into()),
        ]
    }
}

/// Git calls one program by its path: this one hands over to `tidegate sign-for-demo`.
fn write_program(folder: &Path) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program")?;
    let path = folder.join("sign");
    let quoted = this.to_string_lossy().replace('\'', r"'\''");
    fs::write(&path, format!("#!/bin/sh\nexec '{quoted}' sign-for-demo -- \"$@\"\n"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(path)
}

/// Does what `ssh-keygen -Y sign -n NAMESPACE -f KEY FILE` does: writes the signature of FILE to `FILE.sig`.
pub(crate) fn sign(arguments: &[String]) -> anyhow::Result<()> {
    let after = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).map(String::as_str)
    };
    if after("-Y") != Some("sign") {
        bail!("only `-Y sign` is known here");
    }
    let namespace = after("-n").context("no namespace")?;
    let key = after("-f").context("no key")?;
    let file = arguments.last().context("no file")?;
    ensure!(file != key, "no file");
    let message = fs::read(file).with_context(|| format!("cannot read `{file}`"))?;
    let key = PrivateKey::read_openssh_file(Path::new(key))
        .with_context(|| format!("cannot read key `{key}`"))?;
    let signature = SshSig::sign(&key, namespace, HashAlg::Sha512, &message)?;
    fs::write(format!("{file}.sig"), signature.to_pem(LineEnding::LF)?)?;
    Ok(())
}
