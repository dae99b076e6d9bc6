//! The control socket: who may connect, who is served, and when it ends.

use super::Daemon;
use super::admission::{Admission, ClientId, Clients};
use super::connection;
use super::protocol::{ErrorCode, Refusal, Response};
use crate::clock;
use nix::unistd::Uid;
use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::AbortHandle;

/// Requests worked on at once, slow ones included.
const BLOCKING_THREADS: usize = 16;

/// Requests of the slow kind worked on at once; fewer than the threads, so that
/// slow ones never keep quick ones waiting.
const SLOW_AT_ONCE: usize = 4;

/// How long the end of the server waits for requests under way.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Why the control socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ServerError {
    #[error("another daemon already answers at '{}': stop it with `midimon stop`, or choose another home with --home DIR", .0.display())]
    InUse(PathBuf),
    #[error("'{}' is in the control socket's place and is no socket: move it away", .0.display())]
    NotASocket(PathBuf),
    #[error("cannot listen at '{}': {source}", .path.display())]
    Listen { path: PathBuf, source: io::Error },
    #[error("cannot start the control socket's thread: {0}")]
    Thread(io::Error),
}

/// Answers the control socket on its own thread until dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `path` (mode 0600) and serves this user's and root's clients.
    /// A socket nobody listens at any more is replaced.
    ///
    /// # Errors
    /// When somebody answers there already, or the socket cannot be made.
    pub fn start(path: &Path, daemon: Arc<dyn Daemon>) -> Result<Self, ServerError> {
        let listener = listen(path)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_keep_alive(Duration::from_secs(1))
            .thread_name("midimon-request")
            .build()
            .map_err(ServerError::Thread)?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::from_std(listener).map_err(ServerError::Thread)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("midimon-control".into()).spawn(move || {
            let shared = Arc::new(Shared::new(daemon));
            runtime.block_on(async {
                tokio::select! {
                    () = accept(&listener, &shared) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(STOP_GRACE);
        });
        let thread = thread.map_err(ServerError::Thread)?;
        Ok(Self { path: path.to_owned(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // first the name, so that nobody connects to a server that is leaving
        let _ = std::fs::remove_file(&self.path);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there was printed when it happened
        }
    }
}

fn listen(path: &Path) -> Result<StdListener, ServerError> {
    let error = |source| ServerError::Listen { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(error(source)),
        Ok(found) if !found.file_type().is_socket() => return Err(ServerError::NotASocket(path.to_owned())),
        Ok(_) => match StdStream::connect(path) {
            Err(dead) if dead.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(error)?
            }
            Err(source) => return Err(error(source)),
            Ok(_) => return Err(ServerError::InUse(path.to_owned())),
        },
    }
    let listener = StdListener::bind(path).map_err(error)?;
    // until this line the umask decides; who connects is checked by user anyway
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(error)?;
    listener.set_nonblocking(true).map_err(error)?;
    Ok(listener)
}

/// What the connections share.
pub(super) struct Shared {
    pub daemon: Arc<dyn Daemon>,
    /// Permits for requests that take long.
    pub slow: Semaphore,
    clients: Mutex<Clients>,
    tasks: Mutex<HashMap<ClientId, AbortHandle>>,
    left: Notify,
}

impl Shared {
    fn new(daemon: Arc<dyn Daemon>) -> Self {
        Self {
            daemon,
            slow: Semaphore::new(SLOW_AT_ONCE),
            clients: Mutex::default(),
            tasks: Mutex::default(),
            left: Notify::new(),
        }
    }

    pub fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<ClientId, AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, id: ClientId) {
        self.clients().leave(id);
        if let Some(task) = self.tasks().remove(&id) {
            task.abort();
        }
        self.left.notify_one();
    }
}

async fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => newcomer(stream, shared).await,
            Err(error) => {
                // out of descriptors, most likely: those served will leave
                tracing::warn!("control socket: cannot accept a client: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn newcomer(stream: UnixStream, shared: &Arc<Shared>) {
    if let Err(refusal) = stream.peer_cred().map_err(|error| error.to_string()).and_then(|peer| may_connect(peer.uid()))
    {
        tracing::warn!("control socket: {refusal}");
        refuse(stream, ErrorCode::Forbidden, refusal);
        return;
    }
    loop {
        let decision = shared.clients().admit(clock::now());
        match decision {
            Admission::Serve => break,
            Admission::Replace(id) => shared.forget(id),
            Admission::WaitUntil(then) => {
                tokio::select! {
                    () = tokio::time::sleep(then.since(clock::now())) => {}
                    () = shared.left.notified() => {}
                }
            }
            Admission::Refuse => {
                refuse(stream, ErrorCode::Busy, "every place for a client is taken by one at work: try again".into());
                return;
            }
        }
    }
    let id = shared.clients().enter(clock::now());
    let task = tokio::spawn({
        let shared = Arc::clone(shared);
        async move {
            let served = connection::serve(id, stream, &shared).await;
            if let Err(error) = served {
                tracing::debug!("control socket: client {id}: {error}");
            }
            // this task is at its end, so aborting itself in here changes nothing
            shared.forget(id);
        }
    });
    // the task cannot have ended yet: it shares this thread, and nothing was awaited since
    shared.tasks().insert(id, task.abort_handle());
}

/// This user's processes and root's may connect.
fn may_connect(uid: u32) -> Result<(), String> {
    let ours = Uid::effective().as_raw();
    if uid == ours || uid == 0 { Ok(()) } else { Err(format!("user {uid} may not control the daemon of user {ours}")) }
}

/// A last line without waiting: whoever has no room for it loses it.
fn refuse(stream: UnixStream, code: ErrorCode, message: String) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(&connection::encode(&Response::Error(Refusal::new(code, message))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_user_and_root_may_connect() {
        let ours = Uid::effective().as_raw();
        assert!(may_connect(ours).is_ok());
        assert!(may_connect(0).is_ok());
        assert!(may_connect(ours + 1).is_err());
        assert!(may_connect(65_534).is_err());
    }
}
