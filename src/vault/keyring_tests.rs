use super::*;

/// Answers each `get` when the test says so.
struct Gate(Mutex<mpsc::Receiver<&'static str>>);

impl Slow for Gate {
    fn get(&self, _: &str) -> Result<Option<Zeroizing<String>>, KeyringError> {
        let word = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match word {
            Ok("panic") => panic!("a client that breaks"),
            Ok(word) => Ok(Some(Zeroizing::new(word.to_owned()))),
            Err(_) => Ok(None),
        }
    }

    fn set(&self, _: &str, _: &str, _: &str) -> Result<(), KeyringError> {
        Ok(())
    }

    fn remove(&self, _: &str) -> Result<(), KeyringError> {
        Ok(())
    }
}

fn gate(wait: Duration) -> (mpsc::Sender<&'static str>, Bounded<Gate>) {
    let (word, words) = mpsc::channel();
    (word, Bounded::new("Test Keyring", wait, Gate(Mutex::new(words))))
}

#[test]
fn a_keyring_that_answers_is_heard() {
    let (word, keyring) = gate(Duration::from_secs(60));
    word.send("one").unwrap();
    assert_eq!(keyring.get("a").unwrap().unwrap().as_str(), "one");
    keyring.set("a", "A", &Zeroizing::new("b".to_owned())).unwrap();
    keyring.remove("a").unwrap();
}

#[test]
fn a_keyring_that_is_silent_is_given_up_and_asked_again_only_when_it_is_free() {
    let (word, keyring) = gate(Duration::from_millis(20));
    let silent = Err(KeyringError::Silent { name: "Test Keyring", waited: Duration::from_millis(20) });
    assert_eq!(keyring.get("a"), silent);
    // The first call still waits, so this one is not even started: it would be answered at once.
    assert_eq!(keyring.remove("a").map(|()| None), silent);
    word.send("late").unwrap();
    let (is_busy, freed) = &*keyring.is_busy;
    drop(freed.wait_while(is_busy.lock().unwrap(), |busy| *busy).unwrap());
    let keyring = Bounded { wait: Duration::from_secs(60), ..keyring };
    word.send("again").unwrap();
    assert_eq!(keyring.get("a").unwrap().unwrap().as_str(), "again");
}

#[test]
fn a_client_that_panics_is_an_error_and_not_the_end() {
    let (word, keyring) = gate(Duration::from_secs(60));
    word.send("panic").unwrap();
    assert!(matches!(keyring.get("a"), Err(KeyringError::Failed { name: "Test Keyring", .. })));
    word.send("well").unwrap();
    assert_eq!(keyring.get("a").unwrap().unwrap().as_str(), "well");
}

#[test]
fn a_call_from_inside_a_runtime_does_not_upset_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (word, keyring) = gate(Duration::from_secs(60));
    word.send("one").unwrap();
    runtime.block_on(async { assert_eq!(keyring.get("a").unwrap().unwrap().as_str(), "one") });
}
