//! The checks. Each is a function whose name says what is true.

mod another;
mod control;
mod foreign;
mod hostile;
mod keyboard;
pub(crate) mod layout;
mod live;
mod many;
mod process;

use std::time::Instant;

use crate::page::{Outcome, Page};
use crate::shop::Shop;

pub(crate) struct Checks {
    pub(crate) page: Page,
    pub(crate) shop: Shop,
    pub(crate) tally: Tally,
}

/// Which checks are wanted, and how many were done and failed.
#[derive(Clone)]
pub(crate) struct Tally {
    only: Option<String>,
    pub(crate) done: usize,
    pub(crate) failed: usize,
}

/// The check of a page on very many processes.
const MANY: &str = "many::a_page_on_very_many_processes_stays_bounded_and_usable";

/// Runs these checks, one after the other.
macro_rules! run {
    ($checks:ident: $($module:ident::$name:ident)*) => {
        $(
            if $checks.tally.is_wanted(concat!(stringify!($module), "::", stringify!($name))) {
                let begun = Instant::now();
                let outcome = $module::$name($checks).await;
                $checks.tally.report(concat!(stringify!($module), "::", stringify!($name)), begun, outcome);
            }
        )*
    };
}

impl Checks {
    pub(crate) async fn run_all(&mut self) {
        let checks = self;
        run! { checks:
            live::the_page_connects_again_when_its_server_was_restarted
            live::a_dynamic_child_that_ended_stays_visible_and_is_struck_through
            process::the_screen_process_shows_the_past_of_a_child
            process::the_backtrace_of_a_panic_unfolds
            process::chains_of_calls_and_full_mailboxes_are_on_the_screen_pressure
            process::the_line_of_a_server_is_text_and_a_busy_server_says_since_when
            process::a_cycle_of_calls_is_a_chain_that_ends_where_it_began
            hostile::ids_labels_and_panics_are_shown_as_text_on_each_screen
            keyboard::each_screen_opens_by_its_key
            keyboard::the_tree_is_walked_filtered_and_folded_by_keys
            keyboard::the_theme_changes_by_its_key
            layout::no_screen_is_wider_than_400_or_3840_pixels_in_either_theme
            control::a_click_restarts_a_child_when_it_is_confirmed
            control::a_process_is_suspended_and_resumed_by_keys_alone
            control::a_request_that_is_refused_says_why
            control::the_answer_stays_and_the_page_follows_when_a_dynamic_child_gets_another_process
            control::a_child_that_was_given_up_can_be_terminated
            control::the_answer_says_what_became_of_an_action
            control::a_child_that_waits_for_its_restart_can_be_terminated
            control::the_log_level_of_the_program_is_chosen
            control::a_log_level_that_something_else_sets_shows_on_the_page
            live::a_crash_and_its_restart_show_within_a_second_without_reload
            foreign::the_page_that_only_reads_offers_no_control_and_its_routes_refuse
            foreign::a_page_of_another_site_reads_and_changes_nothing
            foreign::a_foreign_name_that_resolves_to_loopback_is_refused
            foreign::no_request_leaves_for_another_host
            another::nothing_of_an_earlier_program_is_shown_as_of_the_one_that_answers
            hostile::the_console_has_no_error_and_no_violation_of_the_policy
        }
    }

    /// Shows the tree of the page that may control. A page that is open stays, so that it is not loaded
    /// anew: with [`open`](Self::open), nothing of an earlier check is left.
    pub(crate) async fn show(&self) -> Outcome {
        let address = format!("http://{}/", self.shop.control);
        let script = format!(
            "const cancel = document.getElementById('cancel'); \
             if (!location.href.startsWith('{address}') || !document.querySelector('#link.live')) return false; \
             if (cancel.offsetParent !== null) cancel.click(); \
             for (const id of ['filter', 'search']) document.getElementById(id).value = ''; \
             document.activeElement.blur(); \
             location.hash = '#tree'; \
             return window.real === undefined"
        );
        match self.page.js(&script).await? == serde_json::json!(true) {
            true => self.page.go("tree").await,
            false => self.open().await,
        }
    }

    /// Opens the page that may control.
    pub(crate) async fn open(&self) -> Outcome {
        self.page.open(&format!("http://{}/", self.shop.control)).await
    }
}

/// Fails with this text unless the condition holds.
pub(crate) fn ensure(holds: bool, text: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(text().into()) }
}

impl Tally {
    pub(crate) fn new(only: Option<String>) -> Tally {
        Tally { only, done: 0, failed: 0 }
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    pub(crate) fn wants_many(&self) -> bool {
        self.is_wanted(MANY)
    }

    /// Runs the check of very many processes, which needs no shop, in a browser of its own.
    pub(crate) async fn run_many(&mut self, page: &Page) {
        let begun = Instant::now();
        let outcome = many::a_page_on_very_many_processes_stays_bounded_and_usable(page).await;
        self.report(MANY, begun, outcome);
    }

    fn report(&mut self, name: &str, begun: Instant, outcome: Outcome) {
        self.done += 1;
        match outcome {
            Ok(()) => println!("ok      {name} ({:.1?})", begun.elapsed()),
            Err(error) => {
                self.failed += 1;
                println!("FAILED  {name} ({:.1?}): {error}", begun.elapsed());
            }
        }
    }
}
