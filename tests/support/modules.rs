//! The modules of a crate in the order of their declarations, and the imports between them.

use std::collections::{BTreeSet, HashMap};

use super::source::{Source, is_word, words};

/// One module: its file, and its child modules.
#[derive(Debug, Default)]
pub struct Module {
    file: String,
    code: String,
    /// In the order of their declarations.
    children: Vec<(String, Module)>,
    /// Items that are imported from a child: the name of each, and the name of the child.
    passed_on: HashMap<String, String>,
}

/// A use of an item that is declared further down.
#[derive(Debug, PartialEq, Eq)]
pub struct Upward {
    pub file: String,
    pub import: String,
}

impl Module {
    /// Returns the crate of these files, from its `src/lib.rs` down.
    pub fn root(sources: &[Source]) -> Module {
        Module::read(sources, "src/lib.rs", "src")
    }

    /// Returns the program in this folder, from its `main.rs` down.
    pub fn program(sources: &[Source], folder: &str) -> Module {
        Module::read(sources, &format!("{folder}/main.rs"), folder)
    }

    fn read(sources: &[Source], file: &str, folder: &str) -> Module {
        let source = sources.iter().find(|source| source.path == file);
        let code = source.map(Source::shipped).unwrap_or_default();
        let children = declared(&code).map(|name| {
            let folder = format!("{folder}/{name}");
            let alone = format!("{folder}.rs");
            let file = match sources.iter().any(|source| source.path == alone) {
                true => alone,
                false => format!("{folder}/mod.rs"),
            };
            (name.to_owned(), Module::read(sources, &file, &folder))
        });
        let children: Vec<_> = children.collect();
        let mut module = Module { file: file.to_owned(), children, ..Module::default() };
        let own = words(&code, "use").flat_map(|at| paths(&code[at + 3..]));
        module.passed_on = own
            .filter_map(|path| {
                let child = path.first().filter(|name| module.child(name).is_some())?.clone();
                Some((path.last()?.clone(), child))
            })
            .collect();
        module.code = code;
        module
    }

    fn child(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|(child, _)| child == name)
    }

    /// Returns all uses of items that are declared further down.
    pub fn upward_uses(&self) -> Vec<Upward> {
        let mut found = Vec::new();
        for (place, (_, child)) in self.children.iter().enumerate() {
            child.check(self, &mut vec![place], &mut found);
        }
        found
    }

    /// Returns the folders at the top: the file that declares each, and the other folders it uses.
    pub fn folders(&self) -> Vec<(&str, BTreeSet<&str>)> {
        let folders = self.children.iter().filter(|(_, folder)| !folder.children.is_empty());
        let used = folders.map(|(name, folder)| {
            let mut places = Vec::new();
            folder.used(self, &mut places);
            let names = places.iter().filter_map(|path| Some(&*self.children[*path.first()?].0));
            (&*folder.file, names.filter(|used| used != name).collect())
        });
        used.collect()
    }

    /// Adds the positions of all modules that this module and the modules below it use.
    fn used(&self, root: &Module, places: &mut Vec<Vec<usize>>) {
        places.extend(self.imports().map(|path| root.place_of(&path)));
        for (_, child) in &self.children {
            child.used(root, places);
        }
    }

    fn imports(&self) -> impl Iterator<Item = Vec<String>> {
        let uses =
            words(&self.code, "crate").filter_map(|at| self.code[at + 5..].strip_prefix("::"));
        uses.flat_map(paths)
    }

    fn check(&self, root: &Module, here: &mut Vec<usize>, found: &mut Vec<Upward>) {
        for path in self.imports() {
            if is_below(here, &root.place_of(&path)) {
                let import = format!("crate::{}", path.join("::"));
                found.push(Upward { file: self.file.clone(), import });
            }
        }
        for (place, (_, child)) in self.children.iter().enumerate() {
            here.push(place);
            child.check(root, here, found);
            here.pop();
        }
    }

    /// Returns the position of the module that the path leads into: one index for each level.
    fn place_of(&self, path: &[String]) -> Vec<usize> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        if let Some(place) = self.child(first) {
            let below = self.children[place].1.place_of(rest);
            return [vec![place], below].concat();
        }
        match self.passed_on.get(first) {
            Some(child) => self.place_of(&[child.clone(), first.clone()]),
            None => Vec::new(),
        }
    }
}

/// Returns whether `there` is declared below `here`, and neither contains the other.
fn is_below(here: &[usize], there: &[usize]) -> bool {
    let parting = here.iter().zip(there).find(|(here, there)| here != there);
    parting.is_some_and(|(here, there)| there > here)
}

/// Returns the names that `mod x;` declares, in order.
fn declared(code: &str) -> impl Iterator<Item = &str> {
    words(code, "mod").filter_map(|at| {
        let (name, _) = code[at + 3..].split_once([';', '{'])?;
        let opens = code[at + 3 + name.len()..].starts_with('{');
        (!opens).then(|| name.trim())
    })
}

/// Returns the paths of the use tree or expression that the text starts with.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    tree(text, &[], &mut found);
    found
}

/// Reads one branch of a use tree; returns the text after it.
fn tree<'a>(text: &'a str, before: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('{') {
        return branches(rest, before, found);
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    let length = text.find(|c| !is_word(c)).unwrap_or(text.len()).max(first);
    let (name, rest) = text.split_at(length);
    let path = [before, &[name.to_owned()]].concat();
    match rest.strip_prefix("::") {
        Some(more) if more.starts_with(|c: char| is_word(c) || c == '{') => {
            tree(more, &path, found)
        }
        _ => {
            found.push(path);
            rest
        }
    }
}

/// Reads the branches up to the closing brace; returns the text after it.
fn branches<'a>(mut rest: &'a str, before: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    loop {
        rest = rest.trim_start_matches([' ', '\n', ',']);
        if rest.is_empty() || rest.starts_with('}') {
            return rest.get(1..).unwrap_or_default();
        }
        rest = tree(rest, before, found);
    }
}
