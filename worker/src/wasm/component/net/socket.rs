//! Sockets that tasks wait for, and the thread that waits for all of them.
//!
//! tokio's own would make a socket for signals on its way, and a worker makes no sockets.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::consume_budget;

/// It only waits.
const STACK: usize = 64 * 1024;

/// Waits for sockets until something can be done with them.
#[derive(Debug)]
pub struct Watcher(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    /// Interrupts the wait: there is something else to wait for.
    changed: EventFd,
    tasks: Mutex<Vec<Task>>,
}

/// A task that waits, once.
#[derive(Debug)]
struct Task {
    stream: Weak<TcpStream>,
    flags: PollFlags,
    waker: Waker,
}

impl Watcher {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no room for another thread or its descriptor.
    pub fn start() -> io::Result<Self> {
        let changed = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let watched = Arc::new(Watched { changed, tasks: Mutex::default() });
        let seen = watched.clone();
        // until the process ends, as the reactor
        let watch = move || while seen.wait().is_ok() {};
        thread::Builder::new().name("sockets".to_owned()).stack_size(STACK).spawn(watch)?;
        Ok(Self(watched))
    }

    /// A connection that was handed over.
    ///
    /// # Errors
    /// It is none.
    pub fn adopt(&self, descriptor: OwnedFd) -> io::Result<Socket> {
        let stream = TcpStream::from(descriptor);
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Socket { stream: Some(Arc::new(stream)), watched: self.0.clone() })
    }
}

impl Watched {
    /// Waits until a task can go on, or the tasks have changed.
    fn wait(&self) -> Result<(), Errno> {
        let waiting: Vec<(Arc<TcpStream>, PollFlags)> = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.retain(|task| task.stream.strong_count() > 0);
            tasks.iter().filter_map(|task| Some((task.stream.upgrade()?, task.flags))).collect()
        };
        let mut all = vec![PollFd::new(self.changed.as_fd(), PollFlags::POLLIN)];
        all.extend(waiting.iter().map(|(stream, flags)| PollFd::new(stream.as_fd(), *flags)));
        match poll(&mut all, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        if all[0].any() == Some(true) {
            let _ = self.changed.read(); // how often it was said does not matter
        }
        let ready: Vec<_> = all[1..].iter().zip(&waiting).filter(|(fd, _)| fd.any() != Some(false)).collect();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, (stream, flags)) in ready {
            let is_it =
                |task: &mut Task| task.flags == *flags && std::ptr::eq(task.stream.as_ptr(), Arc::as_ptr(stream));
            tasks.extract_if(.., is_it).for_each(|task| task.waker.wake());
        }
        Ok(())
    }

    /// Wakes a task when this can be done with the socket. Its last wish of that kind counts.
    fn watch(&self, stream: &Arc<TcpStream>, flags: PollFlags, waker: &Waker) {
        let task = Task { stream: Arc::downgrade(stream), flags, waker: waker.clone() };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|old| old.flags != flags || !std::ptr::eq(old.stream.as_ptr(), Arc::as_ptr(stream)));
        tasks.push(task);
        drop(tasks);
        self.interrupt();
    }

    fn interrupt(&self) {
        let _ = self.changed.write(1); // full is said often enough
    }
}

/// A connection for tasks. Dropped is closed.
#[derive(Debug)]
pub struct Socket {
    /// None while it is being dropped.
    stream: Option<Arc<TcpStream>>,
    watched: Arc<Watched>,
}

impl Socket {
    fn attempt<T>(
        &self,
        context: &mut Context<'_>,
        flags: PollFlags,
        mut what: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let Some(stream) = &self.stream else { return Poll::Ready(Err(ErrorKind::NotConnected.into())) };
        // a server that never stops talking must not keep the other tasks, and the clock, from their turn
        if pin!(consume_budget()).poll(context).is_pending() {
            return Poll::Pending;
        }
        loop {
            match what(stream) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.watched.watch(stream, flags, context.waker());
                    return Poll::Pending;
                }
                done => return Poll::Ready(done),
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // the thread that waits for it lets go of it
        self.stream = None;
        self.watched.interrupt();
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled();
        let read = self.attempt(context, PollFlags::POLLIN, |mut stream| stream.read(room));
        read.map_ok(|count| buffer.advance(count))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.attempt(context, PollFlags::POLLOUT, |mut stream| stream.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.attempt(context, PollFlags::POLLOUT, |stream| stream.shutdown(Shutdown::Write))
    }
}
