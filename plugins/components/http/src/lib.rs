//! Sends HTTP requests, and makes events of the answers. Asks for `network` to the servers
//! the user names.
//!
//! `job` and `verdict` are pure; only this file knows midimon.
#![deny(unsafe_code)]

pub mod job;
pub mod verdict;

use job::{Given, Job};
use midimon_plugin::http::{Client, HttpErrorKind, Request};
use midimon_plugin::{Context, Error, Host, Level, Metadata, Outcome, Params, Plugin, Trigger, export_plugin};
use serde::Deserialize;
use std::time::Duration;
use template::Values;
use verdict::{Attempt, Verdict, judge};

/// What the timers call.
const AGAIN: &str = "again";
/// Requests that wait to be sent again; a plugin has 32 timers.
const MAX_WAITING: usize = 16;
/// Largest response taken, in bytes.
const MAX_BODY: usize = 256 * 1024;

#[derive(Debug, Default, Deserialize)]
struct Settings {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct Slot {
    slot: usize,
}

/// A request that waits to be sent again.
struct Waiting {
    job: Job,
    sent: u32,
}

#[derive(Default)]
struct Http {
    running: Option<(Host, Client)>,
    token: String,
    waiting: [Option<Waiting>; MAX_WAITING],
}

impl Http {
    fn running(&self) -> Result<&(Host, Client), Error> {
        self.running.as_ref().ok_or_else(|| Error::new("the plugin has not been started"))
    }

    fn attempt(client: &Client, job: &Job) -> Attempt {
        let mut request = Request::new(&job.method, &job.url);
        for (name, value) in &job.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &job.body {
            request = request.body(body.clone());
        }
        let request = request.timeout(Duration::from_millis(job.timeout_ms.into())).max_body(MAX_BODY);
        match client.send(&request) {
            Ok(response) => Attempt::Response {
                status: response.status(),
                retry_after: response.header("retry-after").map(str::to_owned),
                body: response.body().to_vec(),
            },
            Err(error) => match error.kind() {
                HttpErrorKind::TimedOut | HttpErrorKind::Failed => Attempt::Broken(error.to_string()),
                _ => Attempt::Refused(error.to_string()),
            },
        }
    }

    /// Sends it, for the first time or again.
    fn send(&mut self, job: Job, sent: u32) -> Result<Outcome, Error> {
        let (host, client) = self.running()?;
        let host = *host;
        match judge(Self::attempt(client, &job), job.capture.as_deref(), sent, job.retries) {
            Verdict::Done { value, said } => {
                host.emit(&job.event, &value)?;
                Ok(Outcome::answer(said))
            }
            Verdict::Failed(why) => {
                host.emit("failed", &why[..why.floor_char_boundary(1024)])?;
                Err(Error::new(why))
            }
            Verdict::Again { after_ms, why } => {
                let Some(slot) = self.waiting.iter().position(Option::is_none) else {
                    return Err(Error::new(format_args!(
                        "{why}; {MAX_WAITING} requests wait to be sent again already"
                    )));
                };
                host.after(slot as u32, Duration::from_millis(after_ms), AGAIN, &format!(r#"{{"slot":{slot}}}"#))?;
                self.waiting[slot] = Some(Waiting { job, sent: sent + 1 });
                Ok(Outcome::answer(format!("{why}; it is sent again in {after_ms} ms")))
            }
        }
    }

    /// A timer's turn.
    fn again(&mut self, slot: usize) -> Result<Outcome, Error> {
        let Some(Waiting { job, sent }) = self.waiting.get_mut(slot).and_then(Option::take) else {
            return Ok(Outcome::ok());
        };
        let done = self.send(job, sent);
        if let (Err(error), Some((host, _))) = (&done, &self.running) {
            host.log(Level::Warn, error.message());
        }
        done
    }
}

impl Plugin for Http {
    fn describe() -> Metadata {
        Metadata { name: "HTTP", version: env!("CARGO_PKG_VERSION"), description: "HTTP requests and webhooks" }
    }

    fn init(&mut self, host: Host, settings: &Params<'_>) -> Result<(), Error> {
        self.token = settings.parse::<Settings>()?.token;
        self.running = Some((host, Client::new(host)));
        Ok(())
    }

    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        match (action, context.trigger) {
            (AGAIN, Trigger::Timer) => self.again(params.parse::<Slot>()?.slot),
            ("request", _) => {
                let job = Job::new(params.parse::<Given>()?, &Values::of(context), &self.token)?;
                self.send(job, 0)
            }
            _ => Err(Error::unknown_action(action)),
        }
    }
}

export_plugin!(Http);

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
