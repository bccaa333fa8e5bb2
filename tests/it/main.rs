//! Tests of the whole program: real processes that are started, commanded, stopped and killed.
//!
//! One binary, so that it is linked once. It runs on libtest-mimic instead of the built-in harness, because that can
//! count a test as ignored at run time: if a machine forbids network namespaces, the tests that need them say so and do
//! not pretend to have passed. Everything else (`cargo test NAME`, `--list`, `--exact`) is as usual.

mod backup;
mod bad_input;
mod crash;
mod examples;
mod first_steps;
mod gossip;
mod harness;
mod hostile;
mod http;
mod lan;
#[cfg(target_os = "linux")]
mod memory;
mod partition;
mod records;
mod restart;
mod scenario;
mod simulate;
mod surroundings;
mod sync;
mod wallet;

use std::process::{Command, ExitCode};

use harness::{Ability, ability};
use hostile::{comebacks, floods, frames, nonsense, slow};
use libtest_mimic::{Arguments, Failed, Trial};

/// The named functions as tests.
macro_rules! trials {
    ($make:ident: $($module:ident::$test:ident),* $(,)?) => {
        [$($make(concat!(stringify!($module), "::", stringify!($test)), $module::$test)),*]
    };
}

fn main() -> ExitCode {
    if let Some(status) = scenario::asked_for() {
        return status;
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    trials.extend(trials!(plain:
        first_steps::two_nodes_mine_send_and_agree,
        first_steps::a_node_that_is_alone_says_what_to_try,
        first_steps::the_chain_has_the_documented_shape,
        first_steps::saved_chain_is_json_and_equals_the_chain,
        first_steps::a_restart_keeps_everything,
        first_steps::each_line_gets_one_answer_in_order,
        first_steps::a_pile_of_transactions_is_answered_in_order,
        first_steps::sigterm_and_sigint_are_a_normal_end,
        first_steps::a_script_is_finished_before_the_node_leaves,
        first_steps::without_a_prompt_the_node_outlives_its_input,
        first_steps::two_names_run_side_by_side,
        first_steps::the_coin_key_is_private_and_openssl_reads_it,
        bad_input::commands_are_refused_with_stable_codes,
        bad_input::amounts_are_refused_with_stable_codes,
        bad_input::binary_garbage_is_refused_as_a_command,
        bad_input::pending_transactions_count_against_the_balance,
        bad_input::unreachable_peers_are_refused_in_words,
        bad_input::another_network_is_left_alone,
        bad_input::a_requested_port_in_use_ends_the_start,
        bad_input::a_folder_in_use_ends_the_start,
        bad_input::a_folder_of_another_network_ends_the_start,
        bad_input::truncated_files_end_the_start_and_stay_as_they_are,
        bad_input::wrong_arguments_end_the_start,
        http::the_api_says_what_the_prompt_says,
        http::both_faces_give_the_same_answers,
        http::both_faces_tell_the_same_events,
        http::blocks_are_listed_in_brief,
        http::a_search_finds_whatever_has_a_name,
        http::lists_are_filtered,
        http::whole_lists_come_in_other_forms,
        http::values_come_alone,
        http::allowed_pages_may_ask,
        http::pending_transactions_come_in_pages,
        http::a_transaction_signed_elsewhere_is_accepted,
        http::a_wallet_signs_a_prepared_transaction,
        http::a_wallet_of_the_node_records_in_one_call,
        http::many_records_go_in_one_call,
        http::a_repeated_request_records_nothing_again,
        http::a_part_is_recorded_when_room_runs_out,
        http::receipts_are_verified,
        http::a_lost_record_is_signed_again,
        http::a_locked_wallet_signs_nothing,
        http::json_is_recorded_and_shown_as_it_was_sent,
        http::wrong_arguments_are_explained,
        http::an_unchanged_answer_is_not_sent_again,
        http::the_page_is_served,
        http::events_come_as_they_happen,
        http::the_description_matches_the_routes,
        http::a_stopping_node_closes_its_streams,
        http::the_lines_of_tutorials_work,
        http::nodes_are_registered_by_either_address,
        http::a_block_is_handed_over,
        http::amounts_are_exact_on_every_way,
        http::classic_mistakes_are_explained,
        http::foreign_pages_are_refused,
        http::links_that_change_something_ask_first,
        http::long_and_slow_requests_are_refused,
        http::odd_paths_lead_nowhere,
        http::unsupported_methods_are_refused,
        http::passwords_and_keys_stay_inside,
        http::requests_that_trickle_are_given_up,
        http::slow_readers_of_the_chain_are_evicted,
        http::long_answers_that_nobody_reads_take_bounded_memory,
        http::connections_beyond_the_limit_are_closed,
        http::metrics_count_events,
        http::the_dashboard_matches_the_metrics,
        http::health_is_reported,
        gossip::a_transaction_sent_at_peer_connected_arrives,
        gossip::a_block_crosses_a_line_of_five,
        gossip::a_block_of_known_transactions_crosses_by_its_short_ids,
        partition::the_longer_chain_wins_and_transactions_return,
        partition::ties_go_to_the_chain_seen_first,
        partition::resolve_finds_the_better_chain,
        records::records_are_found_again,
        records::a_folder_is_recorded_with_one_command,
        records::names_and_tags_are_the_same_in_both_forms_of_their_letters,
        records::a_history_has_everything,
        records::names_work_where_addresses_do,
        records::a_rolled_back_record_is_reported,
        records::a_lost_record_is_reported_with_the_reason,
        records::a_receipt_is_verified_in_an_empty_folder,
        records::a_checkpoint_holds,
        sync::a_late_node_gets_all_while_one_of_three_peers_stalls,
        examples::the_client_in_python_records_a_text,
        crash::kill_9_loses_nothing_acknowledged,
        crash::an_own_transaction_reaches_no_peer_before_it_is_durable,
        crash::answered_commands_are_durable,
        crash::kill_9_while_it_synchronises,
        crash::kill_9_while_it_reorganises,
        crash::kill_9_while_a_wallet_is_written,
        backup::a_node_is_backed_up_while_it_mines,
        backup::a_node_that_rests_is_backed_up,
        backup::a_backup_is_restored,
        backup::a_folder_one_too_high_is_named,
        restart::a_long_chain_is_read_back,
        restart::a_record_after_an_old_backup_is_told_to_be_lost,
        simulate::a_seed_gives_the_same_run,
        simulate::a_partition_that_stays_is_status_1,
        simulate::impossible_runs_are_status_2,
        simulate::a_report_is_one_well_formed_page,
        simulate::shown_scenarios_can_be_run,
        simulate::an_interrupted_run_reports_its_results_so_far,
        surroundings::empty_variables_count_as_not_set,
        surroundings::a_node_without_commands_says_what_keeps_it,
        surroundings::byte_order_marks_are_left_out,
        surroundings::a_lost_wallet_is_told,
        surroundings::a_bad_name_is_refused_first,
        wallet::a_wallet_from_creation_to_removal,
        wallet::a_protected_wallet_starts_locked_and_unlocks_by_a_password,
        wallet::passwords_and_phrases_come_from_files_and_the_environment,
        wallet::a_foreign_key_is_imported_and_the_file_left_alone,
        wallet::errors_are_one_line_and_change_nothing,
        wallet::a_wallet_stays_while_a_node_runs,
        hostile::bytes_that_are_not_libp2p,
        hostile::silent_connections,
        hostile::malformed_gossip,
        hostile::invalid_blocks,
        hostile::missing_transactions_of_an_announced_block_are_pulled,
        hostile::requests_that_are_never_answered,
        hostile::nonsense_as_answers,
        hostile::a_chain_without_work,
        hostile::floods_of_requests,
        hostile::a_peer_with_a_wrong_clock_is_named,
        frames::noise_at_every_layer,
        frames::frames_at_and_over_their_limits,
        comebacks::the_same_identity_stays_out,
        comebacks::new_names_from_one_address_stay_out,
        nonsense::meaningless_statuses,
        nonsense::meaningless_requests,
        nonsense::meaningless_gossip,
        slow::half_open_connections,
        slow::slow_readers,
        slow::slow_writers,
        floods::of_each_request,
        floods::of_each_gossip,
        floods::of_control_messages,
        floods::of_gossip_before_the_greeting,
        floods::of_requests_without_their_ends,
    ));
    #[cfg(target_os = "linux")]
    trials.extend(trials!(plain:
        http::other_users_need_the_token,
        http::what_comes_through_a_proxy_needs_the_token,
        http::the_routes_of_tutorials_can_be_left_out,
        http::the_documented_proxy_works,
        memory::a_locked_wallet_leaves_no_secret,
        surroundings::a_full_stdout_is_told,
        surroundings::a_terminal_without_a_cursor_has_a_prompt,
        surroundings::a_file_system_without_locks_is_told,
        surroundings::a_lack_of_descriptors_is_told,
    ));
    #[cfg(unix)]
    trials.extend(trials!(plain: surroundings::only_regular_files_are_opened));
    trials.extend(trials!(privileged:
        bad_input::a_full_disk_loses_nothing,
        http::other_machines_need_the_token,
        http::readers_change_nothing,
        http::one_machine_does_not_keep_others_out,
        lan::five_nodes_find_each_other_by_mdns,
        lan::a_cut_and_healed_link_leaves_one_chain,
        lan::a_restarted_node_is_found_again,
        lan::mdns_that_cannot_start_is_a_warning,
        lan::machines_with_ipv6_alone_find_each_other,
        lan::clones_with_ipv6_alone_are_told,
        lan::nodes_that_do_not_join_say_why,
        lan::many_connections_from_one_machine,
        lan::nodes_meet_again_though_strangers_sit_on_both,
        lan::a_newcomer_gets_in_while_all_doors_are_knocked_at,
        lan::a_neighbours_faults_close_no_door_to_a_newcomer,
    ));
    trials.extend(scenario::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that runs anywhere.
fn plain(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// A test that makes network namespaces or mounts file systems.
fn privileged(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    match ability() {
        Ability::Here => plain(name, test),
        Ability::InShell => {
            let name = name.to_owned();
            Trial::test(name.clone(), move || run_in_shell(&name))
        }
        Ability::Missing(why) if std::env::var_os("CI").is_some_and(|ci| ci == "true") => {
            Trial::test(name, move || Err(Failed::from(why.as_str())))
        }
        Ability::Forbidden(why) | Ability::Missing(why) => {
            eprintln!("{name} is ignored: {why}");
            plain(name, test).with_ignored_flag(true)
        }
    }
}

/// Runs one test in another process of this program, which is root in a user namespace of its own.
fn run_in_shell(name: &str) -> Result<(), Failed> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lan");
    let program = std::env::current_exe().expect("a running program has a file");
    let status = Command::new(script).arg("shell").arg(program).args(["--exact", name]).status();
    if status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return Ok(());
    }
    Err(Failed::from(format!("in a user namespace: {status:?}")))
}
