/// The wishes of the user or the system that this process stop: Ctrl-C, SIGTERM and SIGHUP. Heard from the moment
/// it is made; the signals then no longer end the process by themselves.
#[derive(Debug)]
pub struct StopSignals {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 3],
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

impl StopSignals {
    /// Listens from now on. Needs a runtime around it.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub fn listen() -> std::io::Result<StopSignals> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let signals = [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ];
            Ok(StopSignals { signals })
        }
        #[cfg(windows)]
        {
            Ok(StopSignals { signal: tokio::signal::windows::ctrl_c()? })
        }
    }

    /// Returns at the next wish.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate, hang_up] = &mut self.signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        }
        #[cfg(windows)]
        {
            self.signal.recv().await;
        }
    }
}

/// Returns when the user or the system asks this process to stop.
///
/// # Errors
/// When the signals cannot be listened to.
pub async fn stop_requested() -> std::io::Result<()> {
    StopSignals::listen()?.next().await;
    Ok(())
}
