//! A shorter way to a component's `handle`.
//!
//! For each call the runtime looks up anew where the machine code of an exported function is, which is some 700
//! instructions, unless the module it is exported by has imported it. So the function goes through a module that
//! imports and exports it, and does nothing else.

use std::ops::Range;
use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentSection, ComponentSectionId, EntityType, ExportKind,
    ExportSection, ImportSection, InstanceSection, Module, ModuleArg, ModuleSection, TypeSection, ValType,
};
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentAliasSectionReader, ComponentExportSectionReader,
    ComponentExternalKind, ComponentImportSectionReader, ComponentOuterAliasKind, ComponentTypeRef, ExternalKind,
    FromReader, SectionLimited,
};

/// What the compilers of Rust, C and Python call a component's `handle` inside it. JavaScript's lies in a component
/// within the component, and is left as it is.
pub const HANDLE: &str = "midimon:plugin/plugin@1.0.0#handle";
/// And what is called once its result is read.
const POST_RETURN: &str = "cabi_post_midimon:plugin/plugin@1.0.0#handle";

const MODULE: u8 = ComponentSectionId::CoreModule as u8;
const INSTANCE: u8 = ComponentSectionId::CoreInstance as u8;
const ALIAS: u8 = ComponentSectionId::Alias as u8;
const IMPORT: u8 = ComponentSectionId::Import as u8;
const EXPORT: u8 = ComponentSectionId::Export as u8;

/// The component with the shorter way; none where its parts do not come in the order that lets one in. What
/// comes of it may not be valid, as where `handle` is another function: the compiler looks at it as at any other.
pub fn shortened(code: &[u8]) -> Option<Vec<u8>> {
    let sections = sections(code).ok()?;
    let (place, functions, from) = sections.iter().enumerate().find_map(|(place, section)| {
        let functions = (section.id == ALIAS).then(|| functions(section.body))??;
        let &(from, _) = functions.iter().find(|(_, name)| *name == HANDLE)?;
        Some((place, functions, from))
    })?;
    if sections.iter().any(Section::has_other_modules) {
        return None; // they have numbers, too
    }
    let (before, after) = (&sections[..place], &sections[place + 1..]);
    if after.iter().any(|section| matches!(section.id, MODULE | INSTANCE)) {
        return None; // they would have other numbers
    }
    let modules = before.iter().filter(|section| section.id == MODULE).count();
    let mut instances = before.iter().filter(|section| section.id == INSTANCE).map(Section::count);
    let instances = instances.try_fold(0_u32, |sum, count| sum.checked_add(count?))?;
    let is_ours = |instance, name| instance == from && matches!(name, HANDLE | POST_RETURN);
    let has_post_return = functions.iter().any(|&(instance, name)| instance == from && name == POST_RETURN);

    let mut ours = Vec::new();
    ModuleSection(&module(has_post_return)).append_to_component(&mut ours);
    let mut instance = InstanceSection::new();
    instance.instantiate(u32::try_from(modules).ok()?, [("", ModuleArg::Instance(from))]);
    instance.append_to_component(&mut ours);
    let mut aliases = ComponentAliasSection::new();
    for (instance, name) in functions {
        let instance = if is_ours(instance, name) { instances } else { instance };
        aliases.alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Func, name });
    }
    aliases.append_to_component(&mut ours);
    let replaced = &sections[place].place;
    Some([&code[..replaced.start], &ours, &code[replaced.end..]].concat())
}

/// A part of a component.
struct Section<'a> {
    id: u8,
    body: &'a [u8],
    /// Where it lies, with its number and length.
    place: Range<usize>,
}

impl Section<'_> {
    /// Whether it names a module that is not a part of the component; one that cannot be read may.
    fn has_other_modules(&self) -> bool {
        use ComponentExternalKind::Module;
        let reader = BinaryReader::new(self.body, 0);
        match self.id {
            ALIAS => any(ComponentAliasSectionReader::new(reader), |alias| match alias {
                ComponentAlias::Outer { kind, .. } => *kind == ComponentOuterAliasKind::CoreModule,
                ComponentAlias::InstanceExport { kind, .. } => *kind == Module,
                ComponentAlias::CoreInstanceExport { .. } => false,
            }),
            IMPORT => any(ComponentImportSectionReader::new(reader), |it| matches!(it.ty, ComponentTypeRef::Module(_))),
            EXPORT => any(ComponentExportSectionReader::new(reader), |export| export.kind == Module),
            _ => false,
        }
    }

    /// How many things it defines.
    fn count(&self) -> Option<u32> {
        BinaryReader::new(self.body, 0).read_var_u32().ok()
    }
}

/// Whether one is so, or cannot be read.
fn any<'a, T: FromReader<'a>>(
    section: Result<SectionLimited<'a, T>, BinaryReaderError>,
    is_so: impl Fn(&T) -> bool,
) -> bool {
    section.map_or(true, |items| items.into_iter().any(|item| item.map_or(true, |item| is_so(&item))))
}

fn sections(code: &[u8]) -> Result<Vec<Section<'_>>, BinaryReaderError> {
    let mut reader = BinaryReader::new(code, 0);
    reader.read_bytes(Component::HEADER.len())?;
    let mut sections = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let (id, size) = (reader.read_u8()?, reader.read_var_u32()?);
        let body = reader.read_bytes(size as usize)?;
        sections.push(Section { id, body, place: start..reader.original_position() });
    }
    Ok(sections)
}

/// The functions that aliases take from instances of modules, each with its instance; none where there are others.
fn functions(aliases: &[u8]) -> Option<Vec<(u32, &str)>> {
    let aliases = ComponentAliasSectionReader::new(BinaryReader::new(aliases, 0)).ok()?;
    let functions = aliases.into_iter().map(|alias| match alias {
        Ok(ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func, instance_index, name }) => {
            Some((instance_index, name))
        }
        _ => None,
    });
    functions.collect()
}

/// Imports functions and exports them by the same names. Their types are those that the component model gives them:
/// `handle` takes the binding and what is in a context, each as a value of its own, and returns where its result lies.
fn module(has_post_return: bool) -> Module {
    use ValType::{I32, I64};
    let mut types = TypeSection::new();
    types.ty().function([[I32; 12].as_slice(), &[I64; 2]].concat(), [I32]);
    types.ty().function([I32], []);
    let (mut imports, mut exports) = (ImportSection::new(), ExportSection::new());
    let functions = [Some(HANDLE), has_post_return.then_some(POST_RETURN)];
    for (index, name) in (0..).zip(functions.into_iter().flatten()) {
        imports.import("", name, EntityType::Function(index));
        exports.export(name, ExportKind::Func, index);
    }
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&exports);
    module
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasmparser::Validator;

    /// A component with the parts that matter, in the order in which compilers write them. `result` is what its
    /// `handle` returns inside, `more` what comes before the last part.
    fn component(result: &str, post_return: bool, more: &str) -> Vec<u8> {
        let values = "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64";
        let after = |text| if post_return { text } else { String::new() };
        let text = format!(
            r#"(component
                (core module $other (func (export "f")))
                (core module $main
                    (import "other" "f" (func))
                    (memory (export "memory") 1)
                    (func (export "{HANDLE}") (param {values}) (result {result}) unreachable)
                    {})
                (core instance $other (instantiate $other))
                (core instance $main (instantiate $main (with "other" (instance $other))))
                (alias core export $main "memory" (core memory $memory))
                (type $handle (func (param "binding" u32) {} (result string)))
                (alias core export $main "{HANDLE}" (core func $handle))
                {}
                (func $lifted (type $handle) (canon lift (core func $handle) (memory $memory) {}))
                {more}
                (export "handle" (func $lifted)))"#,
            after(format!(r#"(func (export "{POST_RETURN}") (param i32))"#)),
            (1..14).map(|n| format!(r#"(param "p{n}" {})"#, if n < 12 { "u32" } else { "u64" })).collect::<String>(),
            after(format!(r#"(alias core export $main "{POST_RETURN}" (core func $after))"#)),
            after("(post-return (core func $after))".to_owned()),
        );
        wat::parse_str(text).unwrap()
    }

    /// From which instances the two functions are taken, and how many modules and instances there are.
    fn ways(component: &[u8]) -> (Vec<(u32, &str)>, u32, usize) {
        let sections = sections(component).unwrap();
        let found = sections.iter().filter(|section| section.id == ALIAS).filter_map(|it| functions(it.body));
        let instances = sections.iter().filter(|section| section.id == INSTANCE).filter_map(Section::count).sum();
        (found.flatten().collect(), instances, sections.iter().filter(|section| section.id == MODULE).count())
    }

    #[test]
    fn both_functions_go_through_a_module_of_their_own() {
        let before = component("i32", true, "");
        assert_eq!(ways(&before), (vec![(1, HANDLE), (1, POST_RETURN)], 2, 2));
        let after = shortened(&before).unwrap();
        assert_eq!(ways(&after), (vec![(2, HANDLE), (2, POST_RETURN)], 3, 3));
        Validator::new().validate_all(&after).unwrap();
        assert_eq!(sections(&after).unwrap().len(), sections(&before).unwrap().len() + 2, "the rest is as it was");
    }

    #[test]
    fn a_handle_that_needs_nothing_afterwards_goes_alone() {
        let after = shortened(&component("i32", false, "")).unwrap();
        assert_eq!(ways(&after).0, [(2, HANDLE)]);
        Validator::new().validate_all(&after).unwrap();
    }

    #[test]
    fn another_handle_is_not_valid_afterwards_and_what_cannot_be_shortened_is_left() {
        assert!(Validator::new().validate_all(&shortened(&component("i64", true, "")).unwrap()).is_err());
        // modules and instances after it have numbers that would change
        assert!(shortened(&component("i32", true, "(core module)")).is_none());
        assert!(shortened(&component("i32", true, "(core instance)")).is_none());
        assert!(shortened(&wat::parse_str("(component)").unwrap()).is_none());
        // and so have modules that are named from elsewhere
        assert!(shortened(&component("i32", true, "(alias outer 0 0 (core module))")).is_none());
        assert!(shortened(&component("i32", true, r#"(export "m" (core module 0))"#)).is_none());
        // a part that says it defines as many instances as there can be
        let mut whole = component("i32", true, "");
        whole.splice(8..8, [INSTANCE, 5, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]);
        assert!(shortened(&whole).is_none());
        assert!(shortened(b"\0asm\x01\0\0\0").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>, at in 8_usize..900, byte: u8) {
            let mut whole = component("i32", true, "");
            if let Some(place) = whole.get_mut(at) {
                *place = byte;
            }
            let _ = (shortened(&bytes), shortened(&whole));
            whole.splice(at.min(whole.len()).., bytes);
            let _ = shortened(&whole);
        }
    }
}
