//! Commands in, calls of the plugin, events out: one loop for every kind of plugin.

use crate::channel::Channel;
use crate::log::bounded;
use crate::names::NameTable;
use crate::params::Params;
use crate::stale::StaleFilter;
use crate::stop::Stop;
use midimon_shared::context::TriggerStamp;
use midimon_shared::limits::{MAX_ANSWER, MAX_BINDINGS, MAX_PARAMS, WorkerLimits};
use midimon_shared::pipe::ReceiveError;
use midimon_shared::protocol::{Bind, BindingId, Outcome, Trigger};
use midimon_shared::{Command, Event, WorkerExit};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A loaded plugin.
pub trait Runtime {
    /// What it prepares once for an action with its parameters.
    type Binding;

    /// Prepares an action, so that a call has as little to do as possible. An id that comes again
    /// is another action from then on.
    fn bind(&mut self, id: BindingId, action: String, params: Params, timeout: Duration) -> Self::Binding;

    /// Performs one call. Answers and messages it returns have at most
    /// [`MAX_ANSWER`](midimon_shared::limits::MAX_ANSWER) bytes.
    fn call(&mut self, binding: &Self::Binding, stamp: &TriggerStamp, names: &NameTable) -> Outcome;

    /// Lets the plugin save what it must. The process ends after it.
    fn shutdown(&mut self);
}

/// Answers commands until told to stop or the supervisor is gone.
///
/// # Errors
/// The channel is broken or a command is out of place.
pub fn serve<R: Runtime>(mut channel: Channel, limits: WorkerLimits, mut runtime: R) -> Result<(), Stop> {
    let mut bindings = Bindings::new(limits.timeout_ms);
    let mut names = NameTable::default();
    let mut stale = StaleFilter::new(Duration::from_millis(limits.max_age_ms.into()));
    let mut frame = Vec::with_capacity(128);
    loop {
        let event = match channel.commands.receive() {
            Ok(Command::Trigger(trigger)) => {
                let Trigger { call, binding, ref stamp } = trigger;
                let bound = bindings.get(binding);
                let paired = bound.is_some_and(|bound| bound.paired);
                if stale.drops(binding, paired, stamp, now_ns(&stale, stamp)?) {
                    Event::Dropped { call }
                } else {
                    let outcome = match bound.map(|bound| &bound.prepared) {
                        Some(Ok(prepared)) => runtime.call(prepared, stamp, &names),
                        Some(Err(message)) => not_called(message),
                        None => not_called("the call names an action that was never bound"),
                    };
                    Event::Done { call, outcome }
                }
            }
            Ok(Command::Ping { nonce }) => Event::Pong { nonce },
            Ok(Command::Names(update)) => {
                names.update(update);
                continue;
            }
            Ok(Command::Bind(bind)) => {
                bindings.take_part(bind, &mut runtime)?;
                continue;
            }
            Ok(Command::Shutdown) => {
                runtime.shutdown();
                return Ok(());
            }
            Ok(Command::Load(_)) => return Err(Stop::new(WorkerExit::Channel, "a second Load")),
            // nobody is left to stop for
            Err(ReceiveError::Closed) => return Ok(()),
            Err(error) => return Err(Stop::new(WorkerExit::Channel, error)),
        };
        channel.events.send_with(&event, &mut frame).map_err(|error| Stop::new(WorkerExit::Events, error))?;
    }
}

/// A call that never reached the plugin.
fn not_called(message: &str) -> Outcome {
    Outcome::Failed { code: -1, message: bounded(message, MAX_ANSWER).to_owned() }
}

/// The time for judging a trigger's age: the last tick's where that leaves no doubt, which costs a sixth.
fn now_ns(stale: &StaleFilter, stamp: &TriggerStamp) -> Result<u64, Stop> {
    let last_tick = nanos(ClockId::CLOCK_MONOTONIC_COARSE)?;
    if stale.is_surely_young(stamp, last_tick) { Ok(last_tick) } else { nanos(ClockId::CLOCK_MONOTONIC) }
}

fn nanos(clock: ClockId) -> Result<u64, Stop> {
    let now = clock_gettime(clock).map_err(|error| Stop::new(WorkerExit::Channel, error))?;
    Ok(u64::try_from(Duration::from(now).as_nanos()).unwrap_or(u64::MAX))
}

/// One binding.
struct Bound<B> {
    /// Whether it gets the release of each press.
    paired: bool,
    /// An error is what its calls are answered with.
    prepared: Result<B, String>,
}

/// What triggers can name.
struct Bindings<B> {
    /// Indexed by id.
    bound: Vec<Option<Bound<B>>>,
    /// A binding of which more parts are to come: its id and the parameters so far.
    partial: Option<(BindingId, String)>,
    default_timeout_ms: u32,
}

impl<B> Bindings<B> {
    fn new(default_timeout_ms: u32) -> Self {
        Self { bound: Vec::new(), partial: None, default_timeout_ms }
    }

    fn get(&self, id: BindingId) -> Option<&Bound<B>> {
        self.bound.get(id.0 as usize)?.as_ref()
    }

    fn take_part<R: Runtime<Binding = B>>(&mut self, bind: Bind, runtime: &mut R) -> Result<(), Stop> {
        let refuse = |what: &str| Err(Stop::new(WorkerExit::Channel, what));
        let Bind { binding: id, action, timeout_ms, paired, params: part, more } = bind;
        if id.0 >= MAX_BINDINGS {
            return refuse("a binding over the limit");
        }
        let params = match self.partial.take() {
            None => part,
            Some((partial, params)) if partial == id => params + &part,
            Some(_) => return refuse("a binding within another one's parts"),
        };
        if params.len() > MAX_PARAMS {
            return refuse("parameters over the limit");
        }
        if more {
            self.partial = Some((id, params));
            return Ok(());
        }
        let timeout_ms = if timeout_ms == 0 { self.default_timeout_ms } else { timeout_ms };
        let timeout = Duration::from_millis(timeout_ms.into());
        let prepared = Params::parse(params).map(|params| runtime.bind(id, action, params, timeout));
        let index = id.0 as usize;
        if self.bound.len() <= index {
            self.bound.resize_with(index + 1, || None);
        }
        self.bound[index] = Some(Bound { paired, prepared });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Recorder;

    impl Runtime for Recorder {
        type Binding = (String, String, Duration);

        fn bind(&mut self, _: BindingId, action: String, params: Params, timeout: Duration) -> Self::Binding {
            (action, params.json, timeout)
        }

        fn call(&mut self, _: &Self::Binding, _: &TriggerStamp, _: &NameTable) -> Outcome {
            Outcome::Ok
        }

        fn shutdown(&mut self) {}
    }

    fn part(id: u32, params: &str, more: bool) -> Bind {
        Bind {
            binding: BindingId(id),
            action: "act".into(),
            timeout_ms: 0,
            paired: id == 3,
            params: params.into(),
            more,
        }
    }

    #[test]
    fn parameters_in_parts_are_put_together() {
        let mut bindings = Bindings::new(5000);
        bindings.take_part(part(3, "{\"a\"", true), &mut Recorder).unwrap();
        bindings.take_part(part(3, ":1", true), &mut Recorder).unwrap();
        assert!(bindings.get(BindingId(3)).is_none());
        bindings.take_part(part(3, "}", false), &mut Recorder).unwrap();
        let expected = ("act".to_owned(), "{\"a\":1}".to_owned(), Duration::from_secs(5));
        let bound = bindings.get(BindingId(3)).unwrap();
        assert_eq!((bound.paired, bound.prepared.as_ref()), (true, Ok(&expected)));
        assert!(bindings.get(BindingId(2)).is_none());
    }

    #[test]
    fn parameters_that_are_no_object_fail_their_calls_alone() {
        let mut bindings = Bindings::new(5000);
        bindings.take_part(part(0, "[]", false), &mut Recorder).unwrap();
        bindings.take_part(part(1, "", false), &mut Recorder).unwrap();
        let prepared = |id| bindings.get(BindingId(id)).map(|bound| bound.prepared.as_ref()).unwrap();
        assert!(prepared(0).unwrap_err().contains("not a JSON object"));
        assert!(prepared(1).is_ok());
    }

    #[test]
    fn bindings_over_a_limit_or_interleaved_break_the_channel() {
        let refused = |binds: &[Bind]| {
            let mut bindings = Bindings::new(1);
            binds.iter().cloned().try_for_each(|bind| bindings.take_part(bind, &mut Recorder)).is_err()
        };
        assert!(refused(&[part(MAX_BINDINGS, "", false)]));
        assert!(refused(&[part(1, "{", true), part(2, "}", false)]));
        let large = "x".repeat(MAX_PARAMS / 8);
        assert!(refused(&vec![part(1, &large, true); 9]));
    }
}
