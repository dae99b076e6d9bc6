//! The actions one worker has been told, by number.

use super::broker::timers::Place;
use super::ring::Route;
use midimon_shared::BindingId;
use midimon_shared::host::MAX_TIMERS;
use midimon_shared::limits::{MAX_BINDINGS, MAX_PARAMS, MAX_PART};
use midimon_shared::protocol::{Bind, Command};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Bindings kept for calls by hand before the oldest is used again.
const MAX_MANUAL: usize = 64;

/// An action with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BindSpec {
    /// The plugin's action.
    pub action: Arc<str>,
    /// Its parameters, a JSON object.
    pub params: Arc<str>,
    /// Deadline of a call; `None` is the plugin's default.
    pub timeout: Option<Duration>,
    /// It gets the release of each press.
    pub paired: bool,
}

/// Why an action cannot be bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BindError {
    #[error("the parameters of '{0}' are over {MAX_PARAMS} bytes")]
    ParamsTooLarge(Arc<str>),
    #[error("more than {MAX_BINDINGS} different actions for one plugin")]
    TooMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// Of the configuration before: calls of it may still be on their way.
    Retired,
    Config,
    /// By hand; the number says how recently.
    Manual(u64),
    /// A timer's.
    Timer(Place),
}

impl Owner {
    /// Whether another may use the number for the same action. A worker that has started since was
    /// not told nobody's; a timer's goes with the timer.
    const fn can_be_shared(self) -> bool {
        !matches!(self, Self::Nobody | Self::Timer(_))
    }
}

#[derive(Debug)]
struct Slot {
    spec: BindSpec,
    owner: Owner,
}

/// See the module.
#[derive(Debug, Default)]
pub struct BindingTable {
    slots: Vec<Slot>,
    uses: u64,
}

impl BindingTable {
    /// Makes these the configuration's bindings; equal ones keep their numbers, and
    /// those no longer in it keep theirs until the next time. Returns their numbers
    /// in order, and those the worker has to be told anew.
    ///
    /// # Errors
    /// A binding is too large or they are too many; nothing has changed then.
    pub fn configure(&mut self, specs: &[BindSpec]) -> Result<(Vec<BindingId>, Vec<BindingId>), BindError> {
        check(specs)?;
        for slot in &mut self.slots {
            slot.owner = match slot.owner {
                Owner::Retired => Owner::Nobody,
                Owner::Config => Owner::Retired,
                owner => owner,
            };
        }
        let mut firsts: HashMap<&BindSpec, usize> = HashMap::with_capacity(specs.len());
        // of each the first that is equal to it
        let same: Vec<usize> = (0..).zip(specs).map(|(at, spec)| *firsts.entry(spec).or_insert(at)).collect();
        let mut ids: Vec<Option<usize>> = vec![None; specs.len()];
        // known ones first, so that none of them is overwritten by a new one
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.owner.can_be_shared()) {
            if let Some(&at) = firsts.get(&slot.spec) {
                ids[at] = Some(index);
                slot.owner = Owner::Config;
            }
        }
        let (mut news, mut from) = (Vec::new(), 0);
        for (at, &first) in same.iter().enumerate() {
            ids[at] = ids[first].or_else(|| {
                let index = self.put(from, specs[at].clone(), Owner::Config);
                news.push(binding_id(index));
                from = index + 1;
                Some(index)
            });
        }
        Ok((ids.into_iter().flatten().map(binding_id).collect(), news))
    }

    /// A binding for a call by hand, and whether the worker has to be told.
    ///
    /// # Errors
    /// It is too large.
    pub fn manual(&mut self, spec: &BindSpec) -> Result<(BindingId, bool), BindError> {
        check_one(spec)?;
        self.uses += 1;
        let owner = Owner::Manual(self.uses);
        if let Some(index) = self.slots.iter().position(|slot| slot.owner.can_be_shared() && slot.spec == *spec) {
            if self.slots[index].owner != Owner::Config {
                self.slots[index].owner = owner;
            }
            return Ok((binding_id(index), false));
        }
        let manual = |slot: &Slot| match slot.owner {
            Owner::Manual(used) => Some(used),
            _ => None,
        };
        let oldest = (0..self.slots.len()).filter(|&index| manual(&self.slots[index]).is_some());
        if oldest.clone().count() >= MAX_MANUAL
            && let Some(index) = oldest.min_by_key(|&index| manual(&self.slots[index]))
        {
            self.slots[index] = Slot { spec: spec.clone(), owner };
            return Ok((binding_id(index), true));
        }
        Ok((binding_id(self.put(0, spec.clone(), owner)), true))
    }

    /// A binding for a timer's calls, and whether the worker has to be told.
    ///
    /// # Errors
    /// It is too large.
    pub fn timer(&mut self, place: Place, spec: &BindSpec) -> Result<(BindingId, bool), BindError> {
        check_one(spec)?;
        let Some(index) = self.of_timer(place) else {
            return Ok((binding_id(self.put(0, spec.clone(), Owner::Timer(place))), true));
        };
        let is_new = self.slots[index].spec != *spec;
        if is_new {
            self.slots[index].spec = spec.clone();
        }
        Ok((binding_id(index), is_new))
    }

    fn of_timer(&self, place: Place) -> Option<usize> {
        self.slots.iter().position(|slot| slot.owner == Owner::Timer(place))
    }

    /// The number of a timer's binding, where it has one.
    #[must_use]
    pub fn timers_number(&self, place: Place) -> Option<BindingId> {
        self.of_timer(place).map(binding_id)
    }

    /// Whether a number is a timer's.
    #[must_use]
    pub fn is_timers(&self, binding: BindingId) -> bool {
        matches!(self.slots.get(binding.0 as usize), Some(Slot { owner: Owner::Timer(_), .. }))
    }

    /// The worker has ended, and with it its timers: their numbers are free.
    pub fn forget_timers(&mut self) {
        let timers = self.slots.iter_mut().filter(|slot| matches!(slot.owner, Owner::Timer(_)));
        timers.for_each(|slot| slot.owner = Owner::Nobody);
    }

    /// Takes the first free number; none below `from` is.
    fn put(&mut self, from: usize, spec: BindSpec, owner: Owner) -> usize {
        let slot = Slot { spec, owner };
        match self.slots.iter().skip(from).position(|slot| slot.owner == Owner::Nobody) {
            Some(after) => {
                let index = from + after;
                self.slots[index] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        }
    }

    /// How calls of a binding are routed.
    #[must_use]
    pub fn route(&self, binding: BindingId) -> Option<Route> {
        let slot = self.slots.get(binding.0 as usize).filter(|slot| slot.owner != Owner::Nobody)?;
        Some(Route { binding, timeout: slot.spec.timeout, paired: slot.spec.paired })
    }

    /// The action behind a number, for people.
    #[must_use]
    pub fn action(&self, binding: BindingId) -> Arc<str> {
        self.slots.get(binding.0 as usize).map_or_else(|| "?".into(), |slot| slot.spec.action.clone())
    }

    /// Whether nothing uses the number any more.
    #[must_use]
    pub fn is_gone(&self, binding: BindingId) -> bool {
        self.slots.get(binding.0 as usize).is_none_or(|slot| slot.owner == Owner::Nobody)
    }

    /// All numbers in use.
    pub fn ids(&self) -> impl Iterator<Item = BindingId> {
        (0..self.slots.len()).filter(|&index| self.slots[index].owner != Owner::Nobody).map(binding_id)
    }

    /// The commands that tell the worker a binding, its parameters in parts.
    pub fn commands(&self, binding: BindingId) -> impl Iterator<Item = Command> {
        let spec = self.slots.get(binding.0 as usize).map(|slot| slot.spec.clone());
        spec.into_iter().flat_map(move |spec| {
            let timeout_ms = spec.timeout.map_or(0, |timeout| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
            let parts = parts_of(&spec.params);
            let last = parts.len() - 1;
            let command = move |(index, params): (usize, String)| {
                Command::Bind(Bind {
                    binding,
                    action: spec.action.to_string(),
                    timeout_ms,
                    paired: spec.paired,
                    params,
                    more: index < last,
                })
            };
            parts.into_iter().enumerate().map(command)
        })
    }
}

fn binding_id(index: usize) -> BindingId {
    BindingId(u32::try_from(index).unwrap_or(u32::MAX))
}

/// Whether one plugin can have all these of a configuration.
///
/// # Errors
/// One is too large or they are too many.
pub fn check(specs: &[BindSpec]) -> Result<(), BindError> {
    specs.iter().try_for_each(check_one)?;
    if specs.len() > MAX_BINDINGS as usize - MAX_MANUAL - MAX_TIMERS { Err(BindError::TooMany) } else { Ok(()) }
}

fn check_one(spec: &BindSpec) -> Result<(), BindError> {
    // an action's name is short by the configuration's rules; what comes by hand is cut here
    if spec.params.len() > MAX_PARAMS || spec.action.len() > 256 {
        return Err(BindError::ParamsTooLarge(spec.action.chars().take(80).collect::<String>().into()));
    }
    Ok(())
}

/// Cuts a text into parts of at most [`MAX_PART`] bytes; at least one, if empty.
fn parts_of(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > MAX_PART {
        let (part, tail) = rest.split_at(rest.floor_char_boundary(MAX_PART));
        parts.push(part.to_owned());
        rest = tail;
    }
    parts.push(rest.to_owned());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(action: &str) -> BindSpec {
        BindSpec { action: action.into(), params: "{}".into(), timeout: None, paired: false }
    }

    #[test]
    fn unchanged_bindings_keep_their_numbers_over_a_reload_and_only_new_ones_are_told() {
        let mut table = BindingTable::default();
        let (ids, news) = table.configure(&[spec("a"), spec("b"), spec("a")]).unwrap();
        assert_eq!(ids, [BindingId(0), BindingId(1), BindingId(0)]);
        assert_eq!(news, [BindingId(0), BindingId(1)]);
        let (ids, news) = table.configure(&[spec("c"), spec("b")]).unwrap();
        assert_eq!(ids, [BindingId(2), BindingId(1)], "calls of the old ones may be on their way");
        assert_eq!(news, [BindingId(2)]);
        assert!(!table.is_gone(BindingId(0)));
        let (ids, _) = table.configure(&[spec("d")]).unwrap();
        assert_eq!(ids, [BindingId(0)], "a number free for a whole reload is used again");
        table.configure(&[]).unwrap();
        table.configure(&[]).unwrap();
        assert!((0..3).all(|id| table.is_gone(BindingId(id))));
        assert!(table.route(BindingId(0)).is_none());
    }

    #[test]
    fn a_binding_that_comes_back_is_told_again() {
        let mut table = BindingTable::default();
        table.configure(&[spec("a")]).unwrap();
        table.configure(&[]).unwrap();
        table.configure(&[]).unwrap();
        assert_eq!(table.ids().count(), 0, "a worker that starts now is not told");
        let (ids, news) = table.configure(&[spec("a")]).unwrap();
        assert_eq!(ids, news);
    }

    #[test]
    fn calls_by_hand_use_a_bounded_number_of_bindings_and_never_the_configurations() {
        let mut table = BindingTable::default();
        table.configure(&[spec("config")]).unwrap();
        assert_eq!(table.manual(&spec("config")).unwrap(), (BindingId(0), false));
        for index in 0..1000 {
            table.manual(&spec(&format!("manual {index}"))).unwrap();
        }
        assert_eq!(table.ids().count(), 1 + MAX_MANUAL);
        assert_eq!(&*table.action(BindingId(0)), "config");
        let (_, told) = table.manual(&spec("manual 999")).unwrap();
        assert!(!told, "the most recent are still known");
    }

    #[test]
    fn a_timer_keeps_its_number_shares_it_with_nobody_and_gives_it_back_with_its_worker() {
        let mut table = BindingTable::default();
        assert_eq!(table.timer(3, &spec("poll")).unwrap(), (BindingId(0), true));
        assert_eq!(table.timer(3, &spec("poll")).unwrap(), (BindingId(0), false), "told once");
        assert_eq!(table.timer(4, &spec("poll")).unwrap(), (BindingId(1), true));
        assert_eq!(table.timer(3, &spec("other")).unwrap(), (BindingId(0), true));
        let (ids, _) = table.configure(&[spec("other")]).unwrap();
        assert_eq!((ids, table.manual(&spec("poll")).unwrap()), (vec![BindingId(2)], (BindingId(3), true)));
        assert!(table.is_timers(BindingId(1)) && !table.is_timers(BindingId(2)));
        assert_eq!((table.timers_number(4), table.timers_number(5)), (Some(BindingId(1)), None));
        table.forget_timers();
        assert!(table.is_gone(BindingId(0)) && table.is_gone(BindingId(1)) && !table.is_gone(BindingId(2)));
        assert_eq!(table.timers_number(4), None);
    }

    #[test]
    fn large_parameters_travel_in_parts_and_too_large_ones_are_refused() {
        let mut table = BindingTable::default();
        let params = format!("{{\"text\":\"{}\"}}", "ä".repeat(60_000));
        let large = BindSpec { params: params.as_str().into(), ..spec("say") };
        table.configure(&[large]).unwrap();
        let commands: Vec<Command> = table.commands(BindingId(0)).collect();
        let mut whole = String::new();
        for (index, command) in commands.iter().enumerate() {
            let Command::Bind(bind) = command else { panic!() };
            assert_eq!(bind.more, index + 1 < commands.len());
            whole.push_str(&bind.params);
        }
        assert_eq!(whole, params);
        let huge = BindSpec { params: "x".repeat(MAX_PARAMS + 1).into(), ..spec("say") };
        assert!(table.configure(&[huge]).is_err());
        assert!(!table.is_gone(BindingId(0)), "nothing changed");
    }
}
