//! Which files of a crate use which, read from their source: imports, and paths in the code. What
//! only tests use does not count.
//!
//! A name that a module passes on (`pub use`) belongs to the file that defines it: passing on is no
//! arrow, using is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Item, UseTree};

use crate::circles::Arrows;

/// A module's path, from the crate's root on.
type Module = Vec<String>;

/// A module and what its file says.
struct Source {
    /// The file, by its path from the crate's source folder.
    file: String,
    /// Modules that it declares.
    children: BTreeSet<String>,
    /// Names that it imports, and from where.
    imports: Vec<Import>,
    /// Paths that its code has.
    paths: BTreeSet<Vec<String>>,
}

struct Import {
    /// The name that it has here; nothing for all names of a module.
    name: Option<String>,
    path: Vec<String>,
    /// It is passed on to others.
    passed_on: bool,
}

/// Who uses whom among the files that hang on `root`, the file of a library, a program or a test.
pub fn of_target(root: &Path) -> Arrows {
    let folder = root.parent().expect("a source file is in a folder");
    let mut sources = BTreeMap::new();
    read(root, folder, Vec::new(), &mut sources);
    let mut arrows = Arrows::new();
    for (module, source) in &sources {
        let used = arrows.entry(source.file.clone()).or_default();
        let names: BTreeSet<&str> = source.paths.iter().map(|p| p[0].as_str()).collect();
        let imported = source.imports.iter().filter(|import| {
            !import.passed_on || import.name.as_deref().is_some_and(|n| names.contains(n))
        });
        let paths = imported.map(|import| &import.path).chain(&source.paths);
        used.extend(
            paths
                .filter_map(|path| resolve(&sources, module, path, 0))
                .filter(|file| *file != source.file),
        );
    }
    arrows
}

/// Reads a file and all modules that hang on it.
fn read(file: &Path, folder: &Path, module: Module, sources: &mut BTreeMap<Module, Source>) {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("read {}: {e}", file.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("parse {}: {e}", file.display()));
    read_items(&parsed.items, file, folder, module, sources);
}

fn read_items(
    items: &[Item],
    file: &Path,
    folder: &Path,
    module: Module,
    sources: &mut BTreeMap<Module, Source>,
) {
    let name = file.strip_prefix(folder).unwrap_or(file);
    let mut source = Source {
        file: name.display().to_string(),
        children: BTreeSet::new(),
        imports: Vec::new(),
        paths: BTreeSet::new(),
    };
    for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
        let Item::Mod(child) = item else {
            source.visit_item(item);
            continue;
        };
        let name = child.ident.to_string();
        let mut below = module.clone();
        below.push(name.clone());
        if let Some((_, items)) = &child.content {
            read_items(items, file, folder, below, sources);
        } else {
            let path = child_file(file, &module, &name, &child.attrs);
            read(&path, folder, below, sources);
        }
        source.children.insert(name);
    }
    sources.insert(module, source);
}

fn child_file(file: &Path, module: &Module, name: &str, attributes: &[Attribute]) -> PathBuf {
    let folder = file.parent().expect("a source file is in a folder");
    for attribute in attributes.iter().filter(|a| a.path().is_ident("path")) {
        if let syn::Meta::NameValue(value) = &attribute.meta {
            if let syn::Expr::Lit(literal) = &value.value {
                if let syn::Lit::Str(path) = &literal.lit {
                    return folder.join(path.value());
                }
            }
        }
    }
    let stem = file.file_stem().unwrap_or_default();
    let own = module.is_empty() || stem == "mod";
    let below = if own {
        folder.to_owned()
    } else {
        folder.join(stem)
    };
    let files = |below: &Path| {
        [
            below.join(format!("{name}.rs")),
            below.join(name).join("mod.rs"),
        ]
    };
    // A file that was named by a path has its modules beside it.
    let mut places = files(&below).into_iter().chain(files(folder));
    let found = places.find(|path| path.exists());
    found.unwrap_or_else(|| below.join(name).join("mod.rs"))
}

/// The file that defines what a path names; nothing where that is another crate's.
fn resolve(
    sources: &BTreeMap<Module, Source>,
    from: &Module,
    path: &[String],
    depth: usize,
) -> Option<String> {
    // A name that is passed on in a circle is an error of the compiler's.
    if depth > 16 {
        return None;
    }
    let mut at = from.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        // A module's own child, behind which something is named: alone it is a variable. A name that
        // was imported has an arrow by its import.
        first if path.len() > 1 && sources.get(&at)?.children.contains(first) => {}
        _ => return None,
    }
    while let Some((word, behind)) = rest.split_first() {
        let here = sources.get(&at)?;
        if here.children.contains(word) {
            at.push(word.clone());
            rest = behind;
            continue;
        }
        let passed = here
            .imports
            .iter()
            .find(|i| i.name.as_deref() == Some(word));
        if let Some(import) = passed {
            let mut whole = import.path.clone();
            whole.extend_from_slice(behind);
            return resolve(sources, &at, &whole, depth + 1);
        }
        break;
    }
    sources.get(&at).map(|source| source.file.clone())
}

fn leaves(tree: &UseTree, above: &mut Vec<String>, passed_on: bool, found: &mut Vec<Import>) {
    let mut leaf = |name: Option<String>, last: Option<String>| {
        let mut path = above.clone();
        path.extend(last);
        found.push(Import {
            name,
            path,
            passed_on,
        });
    };
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            leaves(&path.tree, above, passed_on, found);
            above.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                leaves(tree, above, passed_on, found);
            }
        }
        UseTree::Name(name) if name.ident == "self" => leaf(above.last().cloned(), None),
        UseTree::Name(name) => leaf(Some(name.ident.to_string()), Some(name.ident.to_string())),
        UseTree::Rename(rename) => {
            leaf(
                Some(rename.rename.to_string()),
                Some(rename.ident.to_string()),
            );
        }
        UseTree::Glob(_) => leaf(None, None),
    }
}

/// Collects imports and paths, what only tests have left out.
impl<'ast> Visit<'ast> for Source {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths
            .insert(path.segments.iter().map(|s| s.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        let passed_on = !matches!(import.vis, syn::Visibility::Inherited);
        leaves(&import.tree, &mut Vec::new(), passed_on, &mut self.imports);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            syn::visit::visit_impl_item_fn(self, function);
        }
    }

    /// `pub(super)` says who may look, not who is looked at.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        // Arguments of macros are words; those with `::` between them are paths.
        let text = mac.tokens.to_string().replace(" :: ", "::");
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        for word in words.filter(|word| !word.is_empty() && !word.starts_with(':')) {
            self.paths
                .insert(word.split("::").map(str::to_owned).collect());
        }
        syn::visit::visit_macro(self, mac);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Ident>()
                    .is_ok_and(|word| word == "test"))
    })
}
