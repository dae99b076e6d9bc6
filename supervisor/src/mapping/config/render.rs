//! Diagnostics as people see them: the line, the text underlined, what to do.

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use annotate_snippets::renderer::{DEFAULT_TERM_WIDTH, DecorStyle};
use annotate_snippets::{Annotation, AnnotationKind, Level, Patch, Renderer, Snippet};
use std::ops::Range;

/// A line longer than this is shown in part.
const LONGEST_LINE: usize = 400;

impl Diagnostics {
    /// All of them as text for a terminal, each after an empty line, with colours or without.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(DEFAULT_TERM_WIDTH);
        let mut text: String = self.iter().map(|diagnostic| self.render_one(&renderer, diagnostic) + "\n\n").collect();
        if self.omitted() > 0 {
            text += &format!("... and {} more\n", self.omitted());
        }
        text
    }

    fn render_one(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.as_str());
        if self.source().is_empty() {
            let origin = annotate_snippets::Origin::path(self.file());
            let group = title.element(origin);
            let help = diagnostic.help.as_deref().map(|help| Level::HELP.message(help));
            return renderer.render(&[group.elements(help)]);
        }
        let mut group = title.element(self.snippet(&diagnostic.span, &diagnostic.label, AnnotationKind::Primary));
        if let Some((span, label)) = &diagnostic.related {
            group = group.element(self.snippet(span, label, AnnotationKind::Context));
        }
        match (&diagnostic.suggestion, &diagnostic.help) {
            (Some(suggestion), help) => {
                let (source, line, span) = self.window(&suggestion.span);
                let patch = Patch::new(span, suggestion.replacement.as_str());
                let title = Level::HELP.secondary_title(help.as_deref().unwrap_or("write this"));
                let patched = title.element(Snippet::source(source).line_start(line).path(self.file()).patch(patch));
                renderer.render(&[group, patched])
            }
            (None, Some(help)) => renderer.render(&[group.element(Level::HELP.message(help.as_str()))]),
            (None, None) => renderer.render(&[group]),
        }
    }

    fn snippet<'d>(&'d self, span: &Range<usize>, label: &'d str, kind: AnnotationKind) -> Snippet<'d, Annotation<'d>> {
        let (source, line, span) = self.window(span);
        let annotation = kind.span(span);
        let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
        Snippet::source(source).line_start(line).path(self.file()).annotation(annotation)
    }

    /// The lines around a span, the first one's number, and the span within them.
    ///
    /// Only these are handed to the renderer, which looks at every line of its source.
    fn window(&self, span: &Range<usize>) -> (&str, usize, Range<usize>) {
        let source = self.source();
        let start = floor(source, span.start);
        let line_start = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let from = floor(source, line_start.max(start.saturating_sub(LONGEST_LINE)));
        // one line of a longer span is enough to see where it is
        let line_end = source[start..].find('\n').map_or(source.len(), |newline| start + newline);
        let to = floor(source, line_end.min(start + LONGEST_LINE));
        let end = floor(source, span.end).clamp(start, to);
        (&source[from..to], self.position(start).0, start - from..end - from)
    }
}

/// The nearest start of a character at or before a byte, within the text.
fn floor(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte)
}
