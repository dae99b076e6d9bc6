//! From a configuration as written to the tables the engine runs.

use super::checks::matcher;
use super::codes::Code;
use super::diagnostic::{Diagnostic, Severity, Sink};
use super::model::{Action, ActionKind, Document, Mapping, On, Trigger};
use crate::mapping::compiled::{Compiled, Index, MappingInfo, Program, Rule, Step};
use crate::mapping::types::{BindingIndex, Effect, EffectIndex, ModeIndex, PluginBinding};
use midimon_shared::PluginId;
use midimon_shared::limits::MAX_BINDINGS;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Steps of one program, every repetition counted.
const PROGRAM_STEPS: usize = 10_000;
/// Steps of all programs together.
const ALL_STEPS: usize = 1_000_000;

/// Compiles a document without errors; what only shows when everything is
/// written out is reported, and the result is then not to be used.
pub(super) fn compile(document: &Document, sink: &Sink) -> Compiled {
    let mut compiler = Compiler::new(document, sink);
    for mapping in &document.mappings {
        compiler.mapping(mapping);
        if sink.failed() {
            break;
        }
    }
    compiler.finish()
}

/// What makes two bindings the same.
type BindingKey<'d> = (&'d PluginId, &'d str, &'d str, Option<Duration>, bool);

struct Compiler<'d> {
    document: &'d Document,
    sink: &'d Sink,
    compiled: Compiled,
    bindings: HashMap<BindingKey<'d>, BindingIndex>,
    modes: HashMap<&'d str, ModeIndex>,
    scopes: Vec<usize>,
}

/// The steps of a mapping's two programs.
#[derive(Default)]
struct Steps {
    press: Vec<Step>,
    release: Vec<Step>,
}

impl<'d> Compiler<'d> {
    fn new(document: &'d Document, sink: &'d Sink) -> Self {
        let names = document.modes.iter().enumerate();
        Self {
            document,
            sink,
            compiled: Compiled {
                modes: document.modes.iter().map(|mode| Arc::clone(&mode.text)).collect(),
                devices: document.devices.iter().map(|(device, _)| device.clone()).collect(),
                events: document.events.clone(),
                ..Compiled::default()
            },
            bindings: HashMap::with_capacity(document.mappings.len()),
            modes: names.map(|(index, mode)| (&*mode.text, index as ModeIndex)).collect(),
            scopes: Vec::new(),
        }
    }

    fn mapping(&mut self, mapping: &'d Mapping) {
        // what is missing was reported, and a document with errors is not compiled
        let (Some(trigger), Some(action)) = (&mapping.trigger, &mapping.action) else { return };
        let Some(matcher) = matcher(trigger, self.document, self.sink) else { return };
        let mut steps = Steps::default();
        if self.flatten(action, On::default(), &mut steps).is_err() {
            let message = format!("written out, this action has more than {PROGRAM_STEPS} steps");
            self.sink.push(Diagnostic::error(Code::TooLong, action.span.clone(), message));
            return;
        }
        let (press, release) = (self.program(steps.press), self.program(steps.release));
        if press.is_empty() && release.is_empty() {
            let span = action.span.clone();
            self.sink.push(Diagnostic::new(Severity::Warning, Code::DoesNothing, span, "this action does nothing"));
        }
        if self.compiled.steps.len() > ALL_STEPS {
            let message = format!("written out, all actions together have more than {ALL_STEPS} steps");
            self.sink.push(Diagnostic::error(Code::TooLong, action.span.clone(), message));
        }
        if self.compiled.bindings.len() > MAX_BINDINGS as usize {
            let message = format!("a configuration can have {MAX_BINDINGS} different plugin actions at most");
            self.sink.push(Diagnostic::error(Code::TooMany, action.span.clone(), message));
        }
        self.scopes.push(mapping.mode.unwrap_or(self.document.modes.len()));
        self.compiled.rules.push(Rule { matcher, press, release });
        self.compiled.mappings.push(MappingInfo {
            label: self.label(mapping, trigger),
            action_label: action.label.as_str().into(),
            mode: mapping.mode.map(|mode| mode as ModeIndex),
            span: mapping.span.clone(),
        });
    }

    fn label(&self, mapping: &Mapping, trigger: &Trigger) -> Arc<str> {
        let written = mapping.id.as_ref().map(|id| &id.text).or(mapping.description.as_ref());
        if let Some(written) = written {
            return Arc::clone(written);
        }
        let scope = mapping.mode.map_or("global", |mode| &self.document.modes[mode].text);
        format!("{scope}: {}", trigger.label).into()
    }

    fn program(&mut self, mut steps: Vec<Step>) -> Program {
        // waiting before nothing
        while matches!(steps.last(), Some(Step::Delay(_))) {
            steps.pop();
        }
        let start = self.compiled.steps.len() as u32; // cannot cut: the caller stops at ALL_STEPS
        let waits = steps.iter().any(|step| matches!(step, Step::Delay(_)));
        self.compiled.steps.extend(steps);
        Program { start, end: self.compiled.steps.len() as u32, waits }
    }

    fn flatten(&mut self, action: &'d Action, inherited: On, steps: &mut Steps) -> Result<(), TooLong> {
        let on = action.on.as_ref().map_or(inherited, |&(on, _)| on);
        let step = match &action.kind {
            ActionKind::Sequence(actions) => {
                return actions.iter().try_for_each(|action| self.flatten(action, on, steps));
            }
            ActionKind::Repeat { action, count, delay_ms } => {
                let mut once = Steps::default();
                self.flatten(action, on, &mut once)?;
                steps.press.repeat(&once.press, *count, *delay_ms)?;
                return steps.release.repeat(&once.release, *count, *delay_ms);
            }
            ActionKind::Plugin(binding, _) => Step::Plugin(self.binding(binding, on == On::Both)),
            ActionKind::Effect(Effect::Panic) => Step::Panic(self.effect(&Effect::Panic)),
            ActionKind::Effect(effect) => Step::Effect(self.effect(effect)),
            ActionKind::Delay { ms } => Step::Delay(*ms),
            // an unknown mode is an error that was reported, so nothing is compiled then
            ActionKind::Mode(mode) => Step::Mode(self.modes.get(&*mode.text).copied().unwrap_or_default()),
        };
        for (wanted, program) in [(on.press(), &mut steps.press), (on.release(), &mut steps.release)] {
            if wanted {
                program.repeat(&[step], 1, 0)?;
            }
        }
        Ok(())
    }

    fn binding(&mut self, binding: &'d PluginBinding, paired: bool) -> BindingIndex {
        let key = (&binding.plugin, &*binding.action, &*binding.params, binding.timeout, paired);
        *self.bindings.entry(key).or_insert_with(|| {
            self.compiled.bindings.push(PluginBinding { paired, ..binding.clone() });
            self.compiled.bindings.len() as BindingIndex - 1
        })
    }

    fn effect(&mut self, effect: &Effect) -> EffectIndex {
        self.compiled.effects.push(effect.clone());
        self.compiled.effects.len() as EffectIndex - 1
    }

    fn finish(mut self) -> Compiled {
        let rules = self.scopes.iter().copied().zip(self.compiled.rules.iter().map(|rule| rule.matcher));
        self.compiled.index = Index::build(self.document.modes.len() + 1, &self.compiled.events, rules);
        self.compiled
    }
}

/// A program would be over [`PROGRAM_STEPS`].
struct TooLong;

trait Repeat {
    /// Appends steps several times, with a delay in between.
    fn repeat(&mut self, steps: &[Step], count: u32, delay_ms: u32) -> Result<(), TooLong>;
}

impl Repeat for Vec<Step> {
    fn repeat(&mut self, steps: &[Step], count: u32, delay_ms: u32) -> Result<(), TooLong> {
        if steps.is_empty() {
            return Ok(());
        }
        let count = count as usize;
        let delays = if delay_ms > 0 { count.saturating_sub(1) } else { 0 };
        if steps.len().saturating_mul(count).saturating_add(self.len() + delays) > PROGRAM_STEPS {
            return Err(TooLong);
        }
        for time in 0..count {
            if time > 0 && delay_ms > 0 {
                self.push(Step::Delay(delay_ms));
            }
            self.extend_from_slice(steps);
        }
        Ok(())
    }
}
