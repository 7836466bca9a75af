//! The configuration that counts while a program runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::{CONFIG_BYTES_MAX, Config};

/// A configuration whose presence policy may be replaced by a newer one, seen by all who share it at once.
///
/// Only presence is replaced (with its zone and working hours): who synchronizes what with which application is decided
/// when a program starts.
#[derive(Clone, Default)]
pub struct LiveConfig(Arc<RwLock<Held>>);

#[derive(Default)]
struct Held {
    config: Arc<Config>,
    problem: Option<String>,
}

impl std::fmt::Debug for LiveConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LiveConfig(…)")
    }
}

impl LiveConfig {
    /// Begins with `config`.
    pub fn new(config: Config) -> LiveConfig {
        LiveConfig(Arc::new(RwLock::new(Held { config: Arc::new(config), problem: None })))
    }

    /// What counts now.
    pub fn current(&self) -> Arc<Config> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// Why a newer configuration does not count, if one does not.
    pub fn problem(&self) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Takes the presence policy of `newer` over. Answers whether that changed anything.
    pub fn replace_presence(&self, newer: &Config) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.problem = None;
        let config = held.config.with_presence_of(newer);
        let is_changed = config != *held.config;
        if is_changed {
            held.config = Arc::new(config);
        }
        is_changed
    }

    /// Keeps what counts, and notes why. Answers whether that is news.
    pub fn note_problem(&self, problem: String) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = held.problem.as_ref() != Some(&problem);
        held.problem = Some(problem);
        is_news
    }
}

impl Config {
    /// The same with the presence policy of `newer`, level by level; a group or an account that is not there keeps its
    /// own.
    fn with_presence_of(&self, newer: &Config) -> Config {
        let mut config = self.clone();
        config.presence = newer.presence.clone();
        for group in &mut config.groups {
            if let Some(newer) = newer.groups.iter().find(|newer| newer.name == group.name) {
                group.settings.presence = newer.settings.presence.clone();
                group.lock.presence = newer.lock.presence.clone();
            }
        }
        for account in &mut config.accounts {
            if let Some(newer) = newer.account(&account.name) {
                account.settings.presence = newer.settings.presence.clone();
            }
        }
        config
    }
}

/// A configuration file that is read again while a program runs.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    /// What was read last.
    text: Option<String>,
}

impl ConfigFile {
    /// The file at `path`; nothing is read yet.
    pub fn new(path: &Path) -> ConfigFile {
        ConfigFile { path: std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()), text: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says, if that is news since this was last asked.
    ///
    /// # Errors
    /// That it cannot be read, or has mistakes: in one sentence, without any value that stands in it. Said again each
    /// time while it cannot be read, once for each text with mistakes.
    pub fn news(&mut self) -> Result<Option<Config>, String> {
        use std::io::Read;
        let broken = |error: std::io::Error| format!("the configuration cannot be read ({})", error.kind());
        let limit = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let mut text = String::new();
        let read =
            std::fs::File::open(&self.path).and_then(|file| file.take(limit).read_to_string(&mut text));
        if let Err(error) = read {
            self.text = None;
            return Err(broken(error));
        }
        if self.text.as_ref() == Some(&text) {
            return Ok(None);
        }
        let parsed = Config::parse(&text);
        self.text = Some(text);
        match parsed {
            Ok(mut config) => {
                if let Some(folder) = self.path.parent() {
                    config.rebase(folder);
                }
                Ok(Some(config))
            }
            Err(problems) => {
                let first = problems.first();
                let line = first.map(|problem| problem.line).unwrap_or_default();
                let count = problems.len();
                Err(format!(
                    "the configuration has mistakes ({count}, the first in line {line}); `calmirror config check` lists them"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(account: &str, base: &str) -> Config {
        Config::parse(&format!(
            "[presence]\nbase_profile = \"{base}\"\nprofile = [{{ name = \"{base}\", availability = \"available\" }}]\n\
             [[graph_app]]\ndisplay_name = \"App\"\napplication_id = \"00000000-0000-0000-0000-000000000000\"\n\
             directory_id = \"contoso.example\"\n[[account]]\nname = \"{account}\"\nsource = \"microsoft365\"\n"
        ))
        .unwrap()
    }

    #[test]
    fn presence_is_replaced_and_nothing_else() {
        let live = LiveConfig::new(config("anna", "ONE"));
        assert!(!live.replace_presence(&config("anna", "ONE")));
        assert!(live.replace_presence(&config("bela", "TWO")));
        let current = live.current();
        assert_eq!(current.presence.base_profile.as_deref(), Some("TWO"));
        assert!(current.account("anna").is_some() && current.account("bela").is_none());
    }

    #[test]
    fn a_problem_is_news_once_and_over_with_the_next_good_text() {
        let live = LiveConfig::new(config("anna", "ONE"));
        assert!(live.note_problem("broken".to_owned()));
        assert!(!live.note_problem("broken".to_owned()));
        assert!(!live.replace_presence(&config("anna", "ONE")));
        assert_eq!(live.problem(), None);
    }

    #[test]
    fn a_file_is_news_when_its_text_changed_and_its_mistakes_are_said_without_its_values() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let mut file = ConfigFile::new(&path);
        assert!(file.news().unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "[presence]\nenabled = true\n").unwrap();
        assert!(file.news().unwrap().is_some());
        assert!(file.news().unwrap().is_none());
        std::fs::write(&path, "[presence]\nenabld = \"secret\"\n").unwrap();
        let problem = file.news().unwrap_err();
        assert!(problem.contains("line 2") && !problem.contains("secret"), "{problem}");
        assert!(file.news().unwrap().is_none());
    }
}
