//! Kubeconfigs that stand alone: one context, every certificate and token inside, nothing that a reader would have to
//! open or run.
//!
//! Such a text can lie in a Secret. What reads it from there must not trust it to name files or programs of its own
//! machine: whoever may write the Secret would read those files and run those programs.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{
    Config,
    config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig},
};
use secrecy::SecretString;

use crate::model::Hint;

/// A kubeconfig cannot be used, or cannot stand alone. Never quotes the kubeconfig: it holds secrets.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigProblem {
    /// The text is no kubeconfig.
    #[error("it is not a kubeconfig")]
    Unreadable,
    /// There is no such context.
    #[error("the kubeconfig has no context `{context}`; it has {}", known.join(", "))]
    NoContext {
        /// The context asked for.
        context: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// No context was asked for, and none is current.
    #[error("the kubeconfig has no current context")]
    NoCurrentContext,
    /// The context's cluster is not described.
    #[error("the kubeconfig says nothing about cluster `{cluster}`")]
    NoCluster {
        /// The cluster's name.
        cluster: String,
    },
    /// The context's user is not described, or has no credentials.
    #[error("the kubeconfig has no credentials for user `{user}`")]
    NoCredentials {
        /// The user's name.
        user: String,
    },
    /// The user's credentials come from a program.
    #[error("the credentials come from {source_of_credentials}, which exists on your machine only")]
    Plugin {
        /// The program, or what the kubeconfig calls it.
        source_of_credentials: String,
    },
    /// A file that the kubeconfig names cannot be read.
    #[error("cannot read `{}`, which the kubeconfig names as {field}", path.display())]
    File {
        /// The kubeconfig's field.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The kubeconfig names a file where it must stand alone.
    #[error("{field} names a file, which does not exist here")]
    NamesFile {
        /// The kubeconfig's field.
        field: &'static str,
    },
    /// Address or certificates cannot be used.
    #[error("the server's address or the certificates cannot be used")]
    Unusable,
}

impl Hint for KubeconfigProblem {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable | Self::NoCluster { .. } | Self::Unusable => {
                "check the file with `kubectl --kubeconfig FILE config view`".to_owned()
            }
            Self::NoContext { .. } | Self::NoCurrentContext => {
                "name one of the kubeconfig's contexts".to_owned()
            }
            Self::NoCredentials { .. } => {
                "give the user a token or a client certificate".to_owned()
            }
            Self::Plugin { .. } => "use a kubeconfig with a ServiceAccount's token or a client certificate: `kubectl create token` makes one, a Secret of type kubernetes.io/service-account-token one that does not expire".to_owned(),
            Self::File { .. } => "make the file readable, or name another kubeconfig".to_owned(),
            Self::NamesFile { .. } => {
                "run `tidegate join` again: it writes certificates and tokens into the kubeconfig".to_owned()
            }
        })
    }
}

/// Returns a context of `kubeconfig` alone, with everything that it names in files read in.
///
/// # Errors
/// When there is no such context, its credentials come from a program, or a file cannot be read.
pub fn self_contained(
    kubeconfig: Kubeconfig,
    context: Option<&str>,
) -> Result<Kubeconfig, KubeconfigProblem> {
    let wanted = context.map(str::to_owned).or_else(|| kubeconfig.current_context.clone());
    let wanted =
        wanted.filter(|name| !name.is_empty()).ok_or(KubeconfigProblem::NoCurrentContext)?;
    let known = || kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let named = kubeconfig.contexts.iter().find(|context| context.name == wanted);
    let named = named
        .cloned()
        .filter(|named| named.context.is_some())
        .ok_or_else(|| KubeconfigProblem::NoContext { context: wanted.clone(), known: known() })?;
    let held = named.context.clone().unwrap_or_default();
    let mut cluster = kubeconfig
        .clusters
        .into_iter()
        .find(|cluster| cluster.name == held.cluster)
        .filter(|named| named.cluster.as_ref().is_some_and(|cluster| cluster.server.is_some()))
        .ok_or_else(|| KubeconfigProblem::NoCluster { cluster: held.cluster.clone() })?;
    let user = held.user.clone().unwrap_or_default();
    let no_credentials = || KubeconfigProblem::NoCredentials { user: user.clone() };
    let mut account = kubeconfig
        .auth_infos
        .into_iter()
        .find(|info| info.name == user)
        .ok_or_else(no_credentials)?;
    cluster.cluster.as_mut().map_or(Ok(()), inline_cluster)?;
    let info = account.auth_info.as_mut().ok_or_else(no_credentials)?;
    inline_account(info)?;
    if info.token.is_none() && info.client_certificate_data.is_none() && info.password.is_none() {
        return Err(no_credentials());
    }
    Ok(Kubeconfig {
        current_context: Some(wanted),
        contexts: vec![named],
        clusters: vec![cluster],
        auth_infos: vec![account],
        api_version: Some("v1".to_owned()),
        kind: Some("Config".to_owned()),
        ..Kubeconfig::default()
    })
}

fn read(field: &'static str, path: &str) -> Result<Vec<u8>, KubeconfigProblem> {
    let path = Path::new(path);
    std::fs::read(path).map_err(|source| KubeconfigProblem::File {
        field,
        path: path.to_owned(),
        source,
    })
}

fn inline_cluster(cluster: &mut Cluster) -> Result<(), KubeconfigProblem> {
    if let Some(path) = cluster.certificate_authority.take()
        && cluster.certificate_authority_data.is_none()
    {
        let bytes = read("certificate-authority", &path)?;
        cluster.certificate_authority_data = Some(STANDARD.encode(bytes));
    }
    Ok(())
}

fn inline_account(info: &mut AuthInfo) -> Result<(), KubeconfigProblem> {
    plugin(info)?;
    if let Some(path) = info.client_certificate.take()
        && info.client_certificate_data.is_none()
    {
        info.client_certificate_data = Some(STANDARD.encode(read("client-certificate", &path)?));
    }
    if let Some(path) = info.client_key.take()
        && info.client_key_data.is_none()
    {
        let key = STANDARD.encode(read("client-key", &path)?);
        info.client_key_data = Some(SecretString::from(key));
    }
    if let Some(path) = info.token_file.take()
        && info.token.is_none()
    {
        let token = String::from_utf8_lossy(&read("tokenFile", &path)?).trim().to_owned();
        info.token = Some(SecretString::from(token));
    }
    Ok(())
}

fn plugin(info: &AuthInfo) -> Result<(), KubeconfigProblem> {
    let source_of_credentials = match (&info.exec, &info.auth_provider) {
        (Some(exec), _) => {
            let program = exec.command.as_deref().unwrap_or("a program");
            format!("the plugin `{program}`")
        }
        (None, Some(provider)) => format!("the auth provider `{}`", provider.name),
        (None, None) => return Ok(()),
    };
    Err(KubeconfigProblem::Plugin { source_of_credentials })
}

/// Returns how to reach the API server that a kubeconfig of somebody else's describes. Opens no file and runs nothing.
///
/// # Errors
/// When `text` is no kubeconfig, or does not stand alone.
pub async fn configure_contained(text: &str) -> Result<Config, KubeconfigProblem> {
    // The parser's own words may quote the text.
    let kubeconfig = Kubeconfig::from_yaml(text).map_err(|_| KubeconfigProblem::Unreadable)?;
    for info in kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref()) {
        plugin(info)?;
        let files = [
            ("client-certificate", &info.client_certificate),
            ("client-key", &info.client_key),
            ("tokenFile", &info.token_file),
        ];
        if let Some((field, _)) = files.into_iter().find(|(_, file)| file.is_some()) {
            return Err(KubeconfigProblem::NamesFile { field });
        }
    }
    let mut clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    if clusters.any(|cluster| cluster.certificate_authority.is_some()) {
        return Err(KubeconfigProblem::NamesFile { field: "certificate-authority" });
    }
    let alone = self_contained(kubeconfig, None)?;
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(alone, &options).await.map_err(|_| KubeconfigProblem::Unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(cluster: &str, user: &str) -> Kubeconfig {
        let text = format!(
            "current-context: a\ncontexts:\n- {{name: a, context: {{cluster: c, user: u}}}}\n- {{name: b, context: {{cluster: d, user: u}}}}\nclusters:\n- {{name: c, cluster: {{{cluster}}}}}\nusers:\n- {{name: u, user: {{{user}}}}}\n"
        );
        Kubeconfig::from_yaml(&text).unwrap()
    }

    const SERVER: &str = "server: 'https://127.0.0.1:1'";

    #[test]
    fn files_are_read_in_and_other_contexts_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (authority, token) = (file("ca", "CA"), file("token", "abc\n"));
        let given = kubeconfig(
            &format!("{SERVER}, certificate-authority: '{authority}'"),
            &format!("tokenFile: '{token}'"),
        );
        let alone = serde_json::to_value(self_contained(given, None).unwrap()).unwrap();
        assert_eq!(alone["contexts"].as_array().unwrap().len(), 1);
        assert_eq!(alone["clusters"][0]["cluster"]["certificate-authority-data"], "Q0E=");
        assert_eq!(alone["users"][0]["user"]["token"], "abc");
        let text = alone.to_string();
        assert!(!text.contains("tokenFile") && !text.contains("certificate-authority\""), "{text}");
    }

    #[test]
    fn what_cannot_stand_alone_is_refused_with_its_reason() {
        for (context, cluster, user, part) in [
            (None, SERVER, "exec: {command: aws, apiVersion: v1}", "the plugin `aws`"),
            (None, SERVER, "auth-provider: {name: gcp, config: {}}", "the auth provider `gcp`"),
            (None, SERVER, "tokenFile: /nowhere/token", "`/nowhere/token`"),
            (None, SERVER, "username: x", "no credentials for user `u`"),
            (None, "", "token: t", "nothing about cluster `c`"),
            (Some("z"), SERVER, "token: t", "no context `z`; it has a, b"),
            (Some("b"), SERVER, "token: t", "nothing about cluster `d`"),
        ] {
            let refused = self_contained(kubeconfig(cluster, user), context).unwrap_err();
            assert!(refused.to_string().contains(part), "{user}: {refused}");
            assert!(refused.hint().is_some());
        }
    }

    #[tokio::test]
    async fn somebody_elses_kubeconfig_opens_no_file_and_runs_nothing() {
        for (cluster, user, part) in [
            (SERVER, "tokenFile: /etc/hostname", "tokenFile names a file"),
            (SERVER, "client-key: /etc/hostname", "client-key names a file"),
            (
                "server: 'https://x', certificate-authority: /etc/hostname",
                "token: t",
                "certificate-authority names",
            ),
            (SERVER, "exec: {command: touch}", "plugin"),
            ("server: '::not an address::'", "token: t", "cannot be used"),
        ] {
            let text = serde_json::to_string(&kubeconfig(cluster, user)).unwrap();
            let refused = configure_contained(&text).await.unwrap_err();
            assert!(refused.to_string().contains(part), "{cluster} {user}: {refused}");
        }
        let secret = "token: [hunter2";
        assert!(!format!("{:?}", configure_contained(secret).await).contains("hunter2"));
        let good = serde_json::to_string(&kubeconfig(SERVER, "token: t")).unwrap();
        assert_eq!(configure_contained(&good).await.unwrap().cluster_url, "https://127.0.0.1:1");
    }
}
