//! One configuration replaced by another between two inputs.

use super::delays::Phase;
use super::{Engine, Pace, Run};
use crate::clock::Time;
use crate::mapping::compiled::Compiled;
use crate::mapping::types::{DeviceIndex, ModeIndex, Output};
use std::sync::Arc;

impl Engine {
    /// Puts a new configuration in force and returns the old one.
    ///
    /// What is held, or waits for a delay, goes on where the new configuration
    /// has a mapping with the same mode, trigger and action. Where it has not,
    /// the release runs at once and a waiting press is forgotten. The mode stays
    /// where the new configuration has one of that name.
    ///
    /// Indices in [`Output::Plugin`] and [`Output::Effect`] here are those of the
    /// **returned** configuration, that in [`Output::ModeChanged`] of the new one.
    pub fn swap(&mut self, now: Time, new: Arc<Compiled>, outputs: &mut Vec<Output>) -> Arc<Compiled> {
        let old = std::mem::replace(&mut self.compiled, new);
        let new = &*self.compiled;
        let (first, mode) = (outputs.len(), self.state.mode);
        let mut run = Run { compiled: &old, state: &mut self.state, now, outputs };
        run.what_is_due();
        run.carry_held(new);
        run.carry_delays(new);
        let carried = counterpart_mode(new, &old, self.state.mode);
        let mode_stays = carried.is_some() && self.state.mode == mode;
        self.state.mode = carried.unwrap_or(0);
        // what the old programs said about modes was in the old numbers, and is over
        let said = outputs.extract_if(first.., |output| matches!(output, Output::ModeChanged(_))).count();
        if said > 0 || !mode_stays {
            outputs.push(Output::ModeChanged(self.state.mode));
        }
        old
    }
}

impl Run<'_> {
    fn carry_held(&mut self, new: &Compiled) {
        let old = self.compiled;
        let mut gone = Vec::new();
        self.state.held.retain(|press| {
            let carried = counterpart_device(new, old, press.device).zip(new.counterpart(old, press.mapping));
            match carried {
                Some((device, mapping)) => {
                    press.device = device;
                    press.mapping = mapping;
                }
                None => gone.push(*press),
            }
            carried.is_some()
        });
        for press in gone {
            self.release_unasked(press);
        }
    }

    fn carry_delays(&mut self, new: &Compiled) {
        let old = self.compiled;
        for mut waiting in self.state.delays.drain() {
            match new.counterpart(old, waiting.cursor.mapping) {
                Some(mapping) => {
                    waiting.cursor.mapping = mapping;
                    let stamp = &mut waiting.stamp;
                    stamp.mode = stamp.mode.and_then(|mode| counterpart_mode(new, old, mode));
                    stamp.device = stamp.device.and_then(|device| counterpart_device(new, old, device));
                    self.state.delays.put_back(waiting);
                }
                None if waiting.cursor.phase == Phase::Release => {
                    self.go_on(self.now, waiting.cursor, waiting.stamp, Pace::AtOnce);
                }
                None => {}
            }
        }
    }
}

fn counterpart_mode(new: &Compiled, old: &Compiled, mode: ModeIndex) -> Option<ModeIndex> {
    new.mode_index(old.modes.get(usize::from(mode))?)
}

fn counterpart_device(new: &Compiled, old: &Compiled, device: DeviceIndex) -> Option<DeviceIndex> {
    new.device_index(&old.devices.get(usize::from(device))?.alias)
}
