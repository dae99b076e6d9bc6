//! OBS as the plugin sees it: connected or not, again and again. What it does with the
//! world goes through [`Dial`].

use crate::actions::{self, Act, Ask};
use crate::client::{Client, Link, Lost};
use crate::events::{self, Emitted};
use crate::protocol::{Refused, Reply, Request};
use crate::retry::Retry;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long connecting and identifying may take: a call has 5 s, and others wait behind it.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an action may take, connecting included.
const ACT: Duration = Duration::from_secs(4);
/// How long learning the state may take, after connecting.
const LEARN: Duration = Duration::from_millis(500);
/// Most events kept until they are taken; the oldest go first.
const MAX_EMITTED: usize = 256;

/// Makes connections, and knows the time between them.
pub trait Dial {
    /// What it makes.
    type Link: Link;

    /// Connects, within `wait`.
    ///
    /// # Errors
    /// Why not, in words.
    fn dial(&mut self, address: &str, wait: Duration) -> Result<Self::Link, String>;

    /// How long it has been there: the clock by which it is tried again.
    fn age(&self) -> Duration;
}

/// Why an action was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// OBS said no; the connection is fine.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The connection ended.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// There is none.
    #[error("OBS at {address} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why not.
        why: String,
    },
    /// Nobody said where OBS is.
    #[error(
        "it is not known where OBS is: `midimon plugin config set obs address localhost:4455` and grant that address"
    )]
    NoAddress,
}

/// Where OBS is, and its password.
#[derive(Clone, Default)]
pub struct Account {
    /// `host:port`; empty where nobody has said.
    pub address: String,
    /// Empty where there is none.
    pub password: String,
}

// the password is nobody's business
impl std::fmt::Debug for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Account").field("address", &self.address).finish_non_exhaustive()
    }
}

/// OBS, connected or not.
#[derive(Debug)]
pub struct Remote<D: Dial> {
    dial: D,
    account: Account,
    client: Option<Client<D::Link>>,
    retry: Retry,
    why_not: String,
    emitted: VecDeque<Emitted>,
}

impl<D: Dial> Remote<D> {
    /// Not connected yet.
    pub fn new(dial: D, account: Account) -> Self {
        let (retry, emitted) = (Retry::default(), VecDeque::new());
        Self { dial, account, client: None, retry, why_not: String::new(), emitted }
    }

    /// To be called again and again: takes what came, and connects where it is time. What
    /// went wrong is for the log.
    ///
    /// # Errors
    /// The connection was lost, or could not be made.
    pub fn tick(&mut self) -> Result<(), Failure> {
        if self.client.is_some() {
            return self.look();
        }
        if self.account.address.is_empty() || !self.retry.is_due(self.now_ms()) {
            return Ok(());
        }
        self.connect()
    }

    /// Does what an action asks for.
    ///
    /// # Errors
    /// OBS is not there, or said no.
    pub fn perform(&mut self, act: &Act) -> Result<String, Failure> {
        let until = Instant::now() + ACT;
        // a connection that ended while nobody looked is made again before anything is asked
        if self.client.is_some() {
            let _ = self.look();
        }
        if self.client.is_none() {
            self.hurry()?;
        }
        let Some(client) = &mut self.client else { return Err(self.unreachable()) };
        let done = actions::perform(act, &mut Asking { client, until });
        if let Err(Failure::Lost(lost)) = &done {
            let (why, hopeless) = (lost.to_string(), lost.is_hopeless());
            self.lose(why, hopeless);
        }
        self.take_in();
        done
    }

    /// Whether there is a connection.
    pub const fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// The oldest event for mappings not taken yet.
    pub fn take_emitted(&mut self) -> Option<Emitted> {
        self.emitted.pop_front()
    }

    /// Connects for somebody who waits, unless it was tried a moment ago.
    fn hurry(&mut self) -> Result<(), Failure> {
        if self.account.address.is_empty() {
            return Err(Failure::NoAddress);
        }
        if self.retry.may_hurry(self.now_ms()) { self.connect() } else { Err(self.unreachable()) }
    }

    fn connect(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + CONNECT;
        let Account { address, password } = &self.account;
        let link = match self.dial.dial(address, CONNECT) {
            Ok(link) => link,
            Err(why) => {
                self.retry.failed(self.now_ms());
                self.why_not = why;
                return Err(self.unreachable());
            }
        };
        match Client::open(link, address, password, until) {
            Ok(client) => {
                self.client = Some(client);
                self.retry.worked();
                self.emit(Emitted::new("connection", "open"));
                self.learn()
            }
            Err(lost) => {
                let (why, hopeless) = (lost.to_string(), lost.is_hopeless());
                self.failed(why, hopeless);
                Err(lost.into())
            }
        }
    }

    /// What is the case in OBS, told as events.
    fn learn(&mut self) -> Result<(), Failure> {
        let Some(client) = &mut self.client else { return Ok(()) };
        let questions = ["GetCurrentProgramScene", "GetRecordStatus", "GetStreamStatus"].map(Request::plain);
        match client.ask(&questions, Instant::now() + LEARN) {
            Ok(replies) => {
                let mut replies = replies.into_iter().map(|reply| reply.unwrap_or_default());
                let [scene, record, stream] = std::array::from_fn(|_| replies.next().unwrap_or_default());
                events::state(&scene, &record, &stream).into_iter().for_each(|state| self.emit(state));
                self.take_in();
                Ok(())
            }
            Err(lost) => {
                let (why, hopeless) = (lost.to_string(), lost.is_hopeless());
                self.lose(why, hopeless);
                Err(lost.into())
            }
        }
    }

    fn look(&mut self) -> Result<(), Failure> {
        let looked = self.client.as_mut().map_or(Ok(()), Client::look);
        self.take_in();
        if let Err(lost) = looked {
            let (why, hopeless) = (lost.to_string(), lost.is_hopeless());
            self.lose(why, hopeless);
            return Err(lost.into());
        }
        Ok(())
    }

    /// OBS's events become the plugin's.
    fn take_in(&mut self) {
        while let Some(event) = self.client.as_mut().and_then(Client::take_event) {
            if let Some(emitted) = events::of(&event) {
                self.emit(emitted);
            }
        }
    }

    fn emit(&mut self, emitted: Emitted) {
        if self.emitted.len() == MAX_EMITTED {
            self.emitted.pop_front();
        }
        self.emitted.push_back(emitted);
    }

    fn lose(&mut self, why: String, hopeless: bool) {
        self.take_in();
        self.client = None;
        self.failed(why, hopeless);
        self.emit(Emitted::new("connection", "lost"));
    }

    fn failed(&mut self, why: String, hopeless: bool) {
        let now_ms = self.now_ms();
        if hopeless {
            self.retry.hopeless(now_ms)
        } else {
            self.retry.failed(now_ms)
        }
        self.why_not = why;
    }

    fn unreachable(&self) -> Failure {
        Failure::Unreachable { address: self.account.address.clone(), why: self.why_not.clone() }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.dial.age().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One action's questions.
struct Asking<'c, L> {
    client: &'c mut Client<L>,
    until: Instant,
}

impl<L: Link> Ask for Asking<'_, L> {
    type Error = Failure;

    fn ask(&mut self, requests: &[Request]) -> Result<Vec<Reply>, Failure> {
        Ok(self.client.ask(requests, self.until)?)
    }
}
