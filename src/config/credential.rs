use std::path::{Path, PathBuf};

use crate::config::reader::Section;

/// The keys of a `[[graph_app]]` that say where its credential is.
pub(super) const CREDENTIAL_KEYS: [&str; 4] =
    ["client_secret_env", "client_secret_file", "certificate_file", "private_key_file"];

/// What an application proves itself with where no user signs in, or the password for an Exchange server: where it is, never what it is. It is read each time
/// a token is asked for, so that one that was replaced is used at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A client secret in a variable of the environment.
    SecretEnv(String),
    /// A client secret in a file that only this user can read.
    SecretFile(PathBuf),
    /// A password in a variable of the environment.
    PasswordEnv(String),
    /// A password in a file that only this user can read.
    PasswordFile(PathBuf),
    /// A certificate that the registration knows.
    Certificate {
        /// The certificate, PEM.
        certificate: PathBuf,
        /// Its private key, PEM, in a file that only this user can read; may be the same file.
        private_key: PathBuf,
    },
}

impl Credential {
    /// The keys it is written with, and what stands there.
    pub fn written(&self) -> Vec<(&'static str, String)> {
        match self {
            Credential::SecretEnv(name) => vec![("client_secret_env", name.clone())],
            Credential::SecretFile(path) => vec![("client_secret_file", path.display().to_string())],
            Credential::PasswordEnv(name) => vec![("password_env", name.clone())],
            Credential::PasswordFile(path) => vec![("password_file", path.display().to_string())],
            Credential::Certificate { certificate, private_key } => vec![
                ("certificate_file", certificate.display().to_string()),
                ("private_key_file", private_key.display().to_string()),
            ],
        }
    }

    /// Reads relative paths as relative to `folder`.
    pub(super) fn rebase(&mut self, folder: &Path) {
        match self {
            Credential::SecretEnv(_) | Credential::PasswordEnv(_) => {}
            Credential::SecretFile(path) | Credential::PasswordFile(path) => *path = folder.join(&*path),
            Credential::Certificate { certificate, private_key } => {
                *certificate = folder.join(&*certificate);
                *private_key = folder.join(&*private_key);
            }
        }
    }
}

/// A password, where a secret of an application is not meant.
pub(super) fn read_password(section: &Section<'_, '_>) -> Option<Credential> {
    let [env, file] = ["password_env", "password_file"].map(|name| section.text(name).map(|text| text.value));
    if env.is_some() && file.is_some() {
        section.note("password_file", "there is one password: `password_file` or `password_env`");
    }
    match (env, file) {
        (Some(name), _) if is_variable(&name) => Some(Credential::PasswordEnv(name)),
        (Some(_), _) => {
            // It may be the password itself: its text is not repeated.
            section.note(
                "password_env",
                "must be the name of a variable of the environment, such as \"EXCHANGE_PASSWORD\", not the password itself",
            );
            None
        }
        (None, Some(path)) => Some(Credential::PasswordFile(path.into())),
        (None, None) => None,
    }
}

fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

pub(super) fn read_credential(section: &Section<'_, '_>) -> Option<Credential> {
    let [env, file, certificate, key] = CREDENTIAL_KEYS.map(|name| section.text(name).map(|text| text.value));
    if let Some(name) = &env
        && !is_variable(name)
    {
        // It may be the secret itself: its text is not repeated.
        section.note(
            "client_secret_env",
            "must be the name of a variable of the environment, such as \"CALMIRROR_SECRET\", not the secret itself",
        );
        return None;
    }
    for (one, other) in [("certificate_file", "private_key_file"), ("private_key_file", "certificate_file")] {
        if section.has(one) && !section.has(other) {
            section.note(one, format!("needs `{other}` beside it; both may name the same PEM file"));
        }
    }
    let is_certificate = section.has("certificate_file") || section.has("private_key_file");
    let ways = usize::from(section.has("client_secret_env"))
        + usize::from(section.has("client_secret_file"))
        + usize::from(is_certificate);
    if ways > 1 {
        let written = CREDENTIAL_KEYS.into_iter().rfind(|name| section.has(name)).unwrap_or_default();
        section.note(
            written,
            "an application has one credential: `client_secret_env`, `client_secret_file`, or `certificate_file` with `private_key_file`",
        );
    }
    match (env, file, certificate, key) {
        (Some(name), ..) => Some(Credential::SecretEnv(name)),
        (None, Some(path), ..) => Some(Credential::SecretFile(path.into())),
        (None, None, Some(certificate), Some(private_key)) => {
            Some(Credential::Certificate { certificate: certificate.into(), private_key: private_key.into() })
        }
        (None, None, _, _) => None,
    }
}
