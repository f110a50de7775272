//! The rules of this repository, checked against its source text.
//!
//! The message of a rule that fails names the file and the change that it needs.

use crate::support;

use std::collections::BTreeSet;

use support::modules::{Module, Upward};
use support::source::{Function, Source, entries, files, is_word, read, sources, words};

/// The conformance cases that a test must cite: groups and numbers.
const REQUIRED: &[(&str, &[u8])] = &[
    ("PROC-0", &[1, 2, 3, 4, 5, 7, 8, 10, 12, 13, 15, 18, 20, 22, 23, 25, 26, 27]),
    ("SIG-0", &[1, 2, 3, 4, 5, 6, 8, 11, 12, 15, 16, 18, 19, 20, 21, 25, 27, 28, 29, 31]),
    ("SIG-0", &[32, 33, 36, 37, 38, 39, 40, 42, 45]),
    ("REG-0", &[1, 2, 3, 4, 5, 7, 8, 10, 13, 14, 18]),
    ("GRP-0", &[1, 2, 3, 4, 5, 7, 9, 11, 12]),
    ("TMR-0", &[1, 2, 3, 4, 6, 8, 10, 11, 13, 14, 15, 16, 18]),
    ("STR-0", &[1, 2, 3, 5, 7]),
    ("SUP-0", &[1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 23, 24]),
    ("SUP-0", &[25, 28, 31, 32, 33, 37]),
    ("SHU-0", &[1, 2, 3, 4, 6, 9, 11]),
    ("ONE-0", &[1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16]),
    ("ALL-0", &[1, 2, 3, 4, 5, 9]),
    ("RST-0", &[1, 2, 3, 5, 6, 9]),
    ("INT-0", &[1, 2, 3, 6, 8, 10, 11, 13]),
    ("SGN-0", &[1, 2, 3, 5, 6, 9]),
    ("STM-0", &[1, 3, 5, 6, 7, 8, 9, 11, 13, 15, 17]),
    ("GS-0", &[1, 2, 3, 4, 5, 7, 8, 10, 12, 13, 14, 15, 16, 17, 20, 21, 22, 25, 26, 27, 28, 31]),
    ("GS-0", &[32, 33, 35, 36, 39, 40, 41, 44, 45, 47, 49]),
    ("SYS-0", &[1, 2, 3, 4, 5, 6, 7, 8, 11, 12]),
    ("DYN-0", &[1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 19, 21, 22]),
    ("PAR-0", &[1, 2, 3, 4, 6]),
    ("EVT-0", &[1, 2, 3, 4, 5, 7, 9, 11]),
    ("AGT-0", &[1, 2, 4, 7]),
    ("TSK-0", &[1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 14, 16, 18, 19, 21, 22, 23, 25, 26, 27, 29, 31]),
];

/// The known pitfalls (`Tnn`) that a test must cite.
const TRAPS: &[u8] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 27, 29, 30, 31, 33, 34, 35,
    38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 54,
];

/// Test programs of a single file, and the reason why each cannot share a program.
const ALONE: [(&str, &str); 8] = [
    ("dynamic_memory.rs", "its allocator counts what the whole program asks for"),
    ("mailbox_memory.rs", "its allocator counts what the whole program asks for"),
    ("measured_memory.rs", "its allocator counts what the whole program asks for"),
    ("node_memory.rs", "its allocator counts what the whole program asks for"),
    ("panic_hook.rs", "its panic hook is the whole program's"),
    ("server_memory.rs", "its allocator counts what the whole program asks for"),
    ("term_memory.rs", "its allocator counts what the whole program asks for"),
    ("timer_memory.rs", "its allocator counts what the whole program asks for"),
];

/// Accepted uses of modules that are declared further down: file, import, reason.
const KNOWN: [(&str, &str, &str); 1] = [(
    "src/process/watcher.rs",
    "crate::process::AnyProcess",
    "the record of a process holds the records of the processes that monitor it",
)];

/// The maximum length of a source file.
const LINES: usize = 350;
/// The maximum number of lines of code in a source file, without comments and documentation.
const CODE_LINES: usize = 220;

/// The maximum number of files directly in `src`.
const ROOT_FILES: usize = 8;

/// Tests for the model checkers. The limit for code does not apply to tests.
const MODEL_CHECKS: &str = "src/interleavings/";

/// Returns a source file for the tests of the rules.
fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The order of the declarations is the order of dependence, so no cycle is possible.
#[test]
fn a_module_uses_only_what_is_declared_above_it() {
    let sources = sources("src");
    let mut found = Module::root(&sources).upward_uses();
    found.extend(Module::program(&sources, "src/bin/regrow-top").upward_uses());
    let known =
        |use_: &Upward| KNOWN.iter().any(|(f, i, _)| (*f, *i) == (&use_.file, &use_.import));
    let wrong = found.iter().filter(|use_| !known(use_)).map(|Upward { file, import }| {
        format!("{file} uses {import}, which is declared further down; move one of them.")
    });
    assert_none(&wrong.collect::<Vec<_>>());
    for (file, import, _) in KNOWN {
        let use_ = Upward { file: file.to_owned(), import: import.to_owned() };
        assert!(found.contains(&use_), "{file} no longer uses {import}: take it off the list.");
    }
}

#[test]
fn a_use_of_a_later_module_is_reported() {
    let sources = [
        source("src/lib.rs", "mod low; mod folder; mod high; pub use high::Roof;"),
        source("src/low.rs", "use crate::{high::{Roof}, low, folder}; // crate::high::Other"),
        source("src/folder/mod.rs", "mod first; mod second; use first::{One, Two}; use second::S;"),
        source("src/folder/first.rs", "use crate::low::L; fn f() { crate::folder::S::new() }"),
        source("src/folder/second.rs", "use crate::folder::{One, first}; use crate::Roof;"),
        source("src/high.rs", "use crate::folder::second::S; const A: &str = \"crate::high\";"),
    ];
    let found = Module::root(&sources).upward_uses();
    let found: Vec<_> = found.iter().map(|up| (up.file.as_str(), up.import.as_str())).collect();
    let expected = [
        ("src/low.rs", "crate::high::Roof"),
        ("src/low.rs", "crate::folder"),
        ("src/folder/first.rs", "crate::folder::S::new"),
        ("src/folder/second.rs", "crate::Roof"),
    ];
    assert_eq!(found, expected);
}

/// Returns the defects of the headers of folders. A header lists the folders that the folder uses,
/// and says what it knows nothing of.
fn wrong_headers(files: &[Source]) -> Vec<String> {
    let root = Module::root(files);
    let headers = root.folders().into_iter().flat_map(|(path, uses)| {
        let text = files.iter().find(|file| file.path == path).map_or("", |file| &file.text);
        let header: Vec<_> =
            text.lines().take_while(|line| line.is_empty() || line.starts_with("//")).collect();
        let header = header.join(" ");
        let listed = header.split_once("**Uses** ").and_then(|(_, list)| list.split_once('.'));
        let listed: BTreeSet<_> =
            listed.map_or("", |(list, _)| list).split('`').skip(1).step_by(2).collect();
        let more = uses.difference(&listed).map(|more| format!("{path} uses {more}: list it."));
        let unused = listed.difference(&uses).map(|less| format!("{path} doesn't use {less}."));
        let knows = header.contains("**Uses**") && header.contains("**Knows nothing of**");
        let vague =
            (!knows).then(|| format!("{path}: say what it uses and what it knows nothing of."));
        more.chain(unused).chain(vague).collect::<Vec<_>>()
    });
    headers.collect()
}

#[test]
fn a_folder_header_lists_the_folders_it_uses() {
    assert_none(&wrong_headers(&sources("src")));
}

#[test]
fn a_folder_header_that_differs_from_the_imports_is_reported() {
    let sources = [
        source("src/lib.rs", "mod low; mod mid; mod high;"),
        source(
            "src/low/mod.rs",
            "//! **Uses** no other folder.\n//! **Knows nothing of** any.\nmod a;",
        ),
        source("src/low/a.rs", ""),
        source("src/mid/mod.rs", "//! **Uses** `low`.\nmod b;"),
        source("src/mid/b.rs", ""),
        source("src/high/mod.rs", "//! **Uses** `low`.\n//! **Knows nothing of** any.\nmod c;"),
        source("src/high/c.rs", "use crate::low::a::A; use crate::mid::b::B;"),
    ];
    let expected = [
        "src/mid/mod.rs doesn't use low.",
        "src/mid/mod.rs: say what it uses and what it knows nothing of.",
        "src/high/mod.rs uses mid: list it.",
    ];
    assert_eq!(wrong_headers(&sources), expected);
}

#[test]
fn at_most_eight_files_are_at_the_root_of_src() {
    let root = entries("src").into_iter().filter(|name| name.ends_with(".rs")).count();
    assert!(root <= ROOT_FILES, "{root} files are directly in src/: move some into folders.");
}

#[test]
fn no_source_file_exceeds_the_size_limits() {
    let complaints = sources("src").into_iter().filter_map(|source| {
        let (lines, code) = source.size();
        let path = source.path;
        let code = if path.starts_with(MODEL_CHECKS) { 0 } else { code };
        (lines > LINES || code > CODE_LINES).then(|| {
            format!("{path} has {lines} lines, {code} of code; the limits are {LINES} and {CODE_LINES}: split the file.")
        })
    });
    assert_none(&complaints.collect::<Vec<_>>());
}

/// The link of a test program takes longer than most of its tests.
#[test]
fn a_test_is_in_a_folder_unless_it_needs_a_program_of_its_own() {
    let files: Vec<_> = entries("tests").into_iter().filter(|name| name.ends_with(".rs")).collect();
    let alone = |name: &String| ALONE.iter().any(|(alone, _)| alone == name);
    let wrong = files.iter().filter(|name| !alone(name));
    let wrong = wrong.map(|name| {
        format!("tests/{name} is a program of its own: move it into a folder, or give the reason in ALONE.")
    });
    assert_none(&wrong.collect::<Vec<_>>());
    for (name, _) in ALONE {
        assert!(files.iter().any(|file| file == name), "{name} is gone: take it off the list.");
    }
}

/// Returns files in a test folder without a `mod` declaration: their tests never run.
fn undeclared(files: &[Source]) -> Vec<String> {
    let declared = |folder: &str, name: &str| {
        let mut roots = files.iter().filter(|file| {
            let rest = file.path.strip_prefix(folder).unwrap_or_default();
            rest == "/main.rs" || rest == "/mod.rs"
        });
        roots.any(|root| root.code().contains(&format!("mod {name};")))
    };
    let lost = files.iter().filter_map(|file| {
        let path = file.path.strip_suffix("/mod.rs").or(file.path.strip_suffix(".rs"))?;
        let (folder, name) = path.rsplit_once('/')?;
        let program = folder == "tests" || folder == "tests/ui" || name == "main";
        (!program && !declared(folder, name))
            .then(|| format!("{} never runs: {folder} has no `mod {name};`.", file.path))
    });
    lost.collect()
}

#[test]
fn every_file_in_a_folder_of_tests_is_declared() {
    assert_none(&undeclared(&sources("tests")));
}

#[test]
fn a_test_file_that_is_not_declared_is_reported() {
    let files = [
        source("tests/alone.rs", ""),
        source("tests/area/main.rs", "mod here; mod deep; // mod lost;"),
        source("tests/area/here.rs", ""),
        source("tests/area/lost.rs", ""),
        source("tests/area/deep/mod.rs", "mod low;"),
        source("tests/area/deep/low.rs", ""),
        source("tests/area/deep/here.rs", ""),
        source("tests/ui/mistake.rs", ""),
    ];
    let expected = [
        "tests/area/lost.rs never runs: tests/area has no `mod lost;`.",
        "tests/area/deep/here.rs never runs: tests/area/deep has no `mod here;`.",
    ];
    assert_eq!(undeclared(&files), expected);
}

#[test]
fn every_folder_of_tests_is_in_the_list_of_folders() {
    let list = read("tests/README.md").unwrap_or_default();
    let folders = entries("tests").into_iter().filter(|name| !name.contains('.'));
    let missing = folders.filter(|name| !list.contains(&format!("| `{name}/` |")));
    let missing = missing.map(|name| format!("tests/README.md doesn't list {name}."));
    assert_none(&missing.collect::<Vec<_>>());
}

#[test]
fn every_example_is_in_the_list_of_examples() {
    let list = read("examples/README.md").unwrap_or_default();
    let names = entries("examples").into_iter().filter(|name| !name.ends_with(".md"));
    let missing = names.filter_map(|name| {
        let name = name.trim_end_matches(".rs");
        let listed = list.contains(&format!("[{name}]("));
        (!listed).then(|| format!("examples/README.md doesn't list {name}."))
    });
    assert_none(&missing.collect::<Vec<_>>());
}

#[test]
fn every_chapter_of_the_book_is_compiled() {
    let pages = read("src/pages.rs").unwrap_or_default();
    let chapters = files("book/src", ".md").into_iter().map(|chapter| chapter.path);
    let chapters = chapters.filter(|path| !path.ends_with("/SUMMARY.md"));
    let missing = chapters.filter(|path| !pages.contains(&format!("\"../{path}\"")));
    let missing = missing.map(|path| format!("src/pages.rs doesn't compile {path} as doc tests."));
    assert_none(&missing.collect::<Vec<_>>());
}

fn calls(function: &Function, name: &str) -> bool {
    let body = &function.body;
    words(body, name).any(|at| body[at + name.len()..].starts_with('('))
}

fn is_test(function: &Function) -> bool {
    words(&function.attributes, "test").next().is_some()
}

/// Returns tests that sleep on a clock that is not paused, directly or through a helper.
fn unpaused_sleeps(files: &[Source]) -> Vec<String> {
    let shared = |path: &str| path.starts_with("tests/support/");
    let all: Vec<_> = files
        .iter()
        .flat_map(|file| file.functions().into_iter().map(|function| (&*file.path, function)))
        .collect();
    let (tests, helpers): (Vec<_>, Vec<_>) = all.iter().partition(|(_, f)| is_test(f));
    let mut sleeping = BTreeSet::from([("tests/support/", "sleep")]);
    let sleeps = |path: &str, function: &Function, sleeping: &BTreeSet<(&str, &str)>| {
        let mut near = sleeping.iter().filter(|(at, _)| shared(at) || *at == path);
        near.any(|(_, name)| calls(function, name))
    };
    loop {
        let known = sleeping.len();
        for (path, function) in &helpers {
            if sleeps(path, function, &sleeping) {
                sleeping.insert((path, &function.name));
            }
        }
        if sleeping.len() == known {
            break;
        }
    }
    let paused = |f: &Function| [&f.attributes, &f.body].iter().any(|t| t.contains("start_paused"));
    let awake = tests.iter().filter(|(path, f)| sleeps(path, f, &sleeping) && !paused(f));
    awake
        .map(|(path, f)| {
            format!("{path}: {} sleeps without `start_paused`: pause its clock.", f.name)
        })
        .collect()
}

#[test]
fn no_test_sleeps_on_the_wall_clock() {
    let files = sources("tests");
    let mut complaints = unpaused_sleeps(&files);
    let blocking = files.iter().filter(|file| file.code().contains("thread::sleep"));
    complaints.extend(
        blocking
            .map(|file| format!("{}: replace `thread::sleep` by a wait for an event.", file.path)),
    );
    assert_none(&complaints);
}

#[test]
fn a_test_that_sleeps_is_reported() {
    let files = [
        source("tests/support/mod.rs", "pub async fn settled() { sleep(ms(1)).await }"),
        source(
            "tests/a.rs",
            "async fn nap() { settled().await }
            #[tokio::test(start_paused = true)]\n async fn fine() { nap().await; sleep(x) }
            #[tokio::test]\n async fn by_helper(a: [u8; 2]) { nap().await }
            #[tokio::test]\n /// Docs.\n async fn itself() { tokio::time::sleep(x).await }
            #[tokio::test]\n async fn awake() { /* sleep(x) */ asleep(\"sleep(x)\") }",
        ),
        source("tests/b.rs", "#[test]\n fn another_nap() { nap() }"),
    ];
    let found = ["by_helper", "itself"]
        .map(|f| format!("tests/a.rs: {f} sleeps without `start_paused`: pause its clock."));
    assert_eq!(unpaused_sleeps(&files), found);
}

/// The wall clock can be set forward and back, which changes a duration that is measured by it.
#[test]
fn no_source_reads_the_time_of_day() {
    // The times that viewers show. The type of the first has no differences.
    let allowed = ["src/base/time_of_day.rs", "src/bin/regrow-top/clock.rs"];
    let is_other = |file: &Source| !allowed.contains(&&*file.path);
    let readers = sources("src").into_iter().filter(is_other).filter(|file| {
        let code = file.shipped();
        ["SystemTime", "UNIX_EPOCH"].iter().any(|word| words(&code, word).next().is_some())
    });
    let complaints = readers.map(|file| format!("{}: measure time by an `Instant`.", file.path));
    assert_none(&complaints.collect::<Vec<_>>());
}

/// Returns the required cases that no test cites.
fn uncited(tests: &[Source]) -> Vec<String> {
    let numbers = |(group, numbers): &(&str, &[u8])| {
        numbers.iter().map(|n| format!("{group}{n:02}")).collect::<Vec<_>>()
    };
    let cases = REQUIRED.iter().flat_map(numbers).chain(TRAPS.iter().map(|n| format!("T{n:02}")));
    let cited = |case: &String| tests.iter().any(|test| words(&test.text, case).next().is_some());
    cases.filter(|case| !cited(case)).collect()
}

#[test]
fn every_required_case_is_cited_by_a_test() {
    let mut tests = sources("tests");
    tests.retain(|test| test.path != "tests/house/tidy.rs");
    let complaints = uncited(&tests).into_iter().map(|case| format!("No test cites {case}."));
    assert_none(&complaints.collect::<Vec<_>>());
}

#[test]
fn a_case_is_cited_by_its_whole_number() {
    let text = "/// PROC-001, T14. SIG-0450 and XT22 and REG-1 are no cases.";
    let missing = uncited(&[source("tests/a.rs", text)]);
    let all = uncited(&[]);
    let gone: Vec<_> = all.iter().filter(|case| !missing.contains(case)).collect();
    assert_eq!(gone, ["PROC-001", "T14"]);
    let cases: usize = REQUIRED.iter().map(|(_, numbers)| numbers.len()).sum();
    assert_eq!(all.len(), cases + TRAPS.len());
}

/// Whether a file is declared for tests only, in the file of its parent.
fn is_for_tests_only(path: &str, all: &[Source]) -> bool {
    if path.ends_with("/tests.rs") {
        return true;
    }
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    let Some(name) = file.strip_suffix(".rs") else { return false };
    let declaration = format!("#[cfg(test)]\nmod {name};");
    let parents = [format!("{folder}/mod.rs"), format!("{folder}.rs")];
    all.iter().any(|parent| parents.contains(&parent.path) && parent.text.contains(&declaration))
}

#[test]
fn no_shipped_code_calls_unwrap() {
    let all = sources("src");
    let shipped = all.iter().filter(|source| !is_for_tests_only(&source.path, &all));
    let complaints = shipped.filter(|source| source.shipped().contains(".unwrap()"));
    let complaints = complaints.map(|s| {
        format!("{} calls `unwrap`: use `expect` with the invariant it relies on.", s.path)
    });
    assert_none(&complaints.collect::<Vec<_>>());
}

/// `forbid`, unlike `deny`, cannot be overridden by a module.
#[test]
fn the_crate_forbids_unsafe_code() {
    assert!(read("src/lib.rs").unwrap_or_default().contains("\n#![forbid(unsafe_code)]\n"));
    assert!(read("Cargo.toml").unwrap_or_default().contains("\nunsafe_code = \"forbid\"\n"));
}

#[test]
fn no_source_has_a_todo_marker() {
    for source in sources("src") {
        for word in ["TODO", "FIXME", "todo!", "unimplemented!"] {
            let path = &source.path;
            assert!(
                !source.text.contains(word),
                "{path} contains {word}: complete the work or remove the marker."
            );
        }
    }
}

#[test]
fn comments_and_literals_are_not_taken_for_code() {
    let text = r##"a /* b /* c */ d */ e // f
        "g \" h" i 'j' '\'' k<'l> r#"m " n"# o b"p" 'q: r"s" t"##;
    let code = source("x.rs", text).code();
    let left: String = code.chars().filter(|&c| is_word(c)).collect();
    assert_eq!(left, "aeikloqt");
    assert_eq!(source("x.rs", "// a\n\n\"b\nc\" /* d */\n/* e */\n/// f\n").size(), (5, 2));
}
