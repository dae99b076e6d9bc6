//! Who is served when many want to be: pure decisions, time comes from outside.
//!
//! At most [`PLACES`] clients are served at once. When all places are taken, a
//! newcomer gets the place of whoever has been silent the longest, so that any
//! number of clients that connect and say nothing cannot keep one out that asks.

use crate::clock::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// Clients served at once.
pub const PLACES: usize = 64;

/// Clients that watch events at once.
pub const WATCHERS: usize = 16;

/// How long a client may take for its first request while others wait for its place.
pub const GRACE: Duration = Duration::from_millis(50);

/// How long a client that has asked something may be idle while others wait for its place.
pub const IDLE_GRACE: Duration = Duration::from_secs(2);

/// A served client, numbered in the order they came.
pub type ClientId = u64;

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It has not asked anything yet.
    Silent,
    /// Its last request is answered.
    Idle,
    /// A request is being worked on.
    Busy,
    /// It watches events.
    Watching,
}

/// What to do with a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A place is free.
    Serve,
    /// End this client, its place is the newcomer's.
    Replace(ClientId),
    /// Ask again then, or when a client left.
    WaitUntil(Time),
    /// Everybody is at work.
    Refuse,
}

/// The clients that are served.
#[derive(Debug, Default)]
pub struct Clients {
    next: ClientId,
    served: BTreeMap<ClientId, (Activity, Time)>,
}

impl Clients {
    /// What to do with somebody who wants in.
    #[must_use]
    pub fn admit(&self, now: Time) -> Admission {
        if self.served.len() < PLACES {
            return Admission::Serve;
        }
        let replaceable = self.served.iter().filter_map(|(id, (activity, since))| match activity {
            Activity::Silent => Some((*since + GRACE, *id)),
            Activity::Idle => Some((*since + IDLE_GRACE, *id)),
            Activity::Busy | Activity::Watching => None,
        });
        match replaceable.min() {
            Some((due, id)) if due <= now => Admission::Replace(id),
            Some((due, _)) => Admission::WaitUntil(due),
            None => Admission::Refuse,
        }
    }

    /// Takes a place; `admit` said so, or a client was just removed.
    pub fn enter(&mut self, now: Time) -> ClientId {
        let id = self.next;
        self.next += 1;
        self.served.insert(id, (Activity::Silent, now));
        id
    }

    /// Notes what a client does from now on.
    pub fn set(&mut self, id: ClientId, activity: Activity, now: Time) {
        if let Some(entry) = self.served.get_mut(&id) {
            *entry = (activity, now);
        }
    }

    /// Lets a client watch events; false when [`WATCHERS`] do already, so that
    /// places are left for those that ask.
    #[must_use]
    pub fn begin_watching(&mut self, id: ClientId, now: Time) -> bool {
        let watching = self.served.values().filter(|(activity, _)| *activity == Activity::Watching).count();
        let free = watching < WATCHERS;
        if free {
            self.set(id, Activity::Watching, now);
        }
        free
    }

    /// Frees a place.
    pub fn leave(&mut self, id: ClientId) {
        self.served.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_millis(1_000);

    #[test]
    fn watchers_leave_places_for_those_that_ask() {
        let mut clients = Clients::default();
        let ids: Vec<ClientId> = (0..PLACES).map(|_| clients.enter(START)).collect();
        let watching = ids.iter().filter(|id| clients.begin_watching(**id, START)).count();
        assert_eq!(watching, WATCHERS);
        assert_ne!(clients.admit(START), Admission::Refuse);
        clients.leave(ids[0]);
        let id = clients.enter(START);
        assert!(clients.begin_watching(id, START), "a place that was left is free again");
    }

    fn full(activity: Activity) -> Clients {
        let mut clients = Clients::default();
        for _ in 0..PLACES {
            assert_eq!(clients.admit(START), Admission::Serve);
            let id = clients.enter(START);
            clients.set(id, activity, START);
        }
        clients
    }

    #[test]
    fn silent_clients_give_way_oldest_first_after_their_grace() {
        let mut clients = full(Activity::Silent);
        assert_eq!(clients.admit(START), Admission::WaitUntil(START + GRACE));
        for oldest in 0..3 {
            assert_eq!(clients.admit(START + GRACE), Admission::Replace(oldest));
            clients.leave(oldest);
            clients.enter(START + GRACE);
        }
    }

    #[test]
    fn a_client_at_work_is_never_replaced() {
        let mut clients = full(Activity::Busy);
        let late = START + Duration::from_secs(3_600);
        assert_eq!(clients.admit(late), Admission::Refuse);
        clients.set(7, Activity::Idle, late);
        assert_eq!(clients.admit(late), Admission::WaitUntil(late + IDLE_GRACE));
        assert_eq!(clients.admit(late + IDLE_GRACE), Admission::Replace(7));
    }

    #[test]
    fn silence_weighs_more_than_idleness() {
        let mut clients = full(Activity::Idle);
        clients.set(40, Activity::Silent, START + Duration::from_millis(500));
        assert_eq!(clients.admit(START + Duration::from_millis(600)), Admission::Replace(40));
    }

    #[test]
    fn a_thousand_silent_clients_are_cycled_through_within_a_second() {
        let mut clients = full(Activity::Silent);
        let (mut now, mut served) = (START, 0);
        while served < 1_000 {
            match clients.admit(now) {
                Admission::Replace(id) => {
                    clients.leave(id);
                    clients.enter(now);
                    served += 1;
                }
                Admission::WaitUntil(then) => now = then,
                other => panic!("{other:?}"),
            }
        }
        assert!(now.since(START) <= Duration::from_secs(1), "{:?}", now.since(START));
    }
}
