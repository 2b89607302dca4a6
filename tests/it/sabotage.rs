//! The mutation control: take a defence away, and its attack tests must fail.
//!
//! A test that passes with and without the defence proves nothing. Each test here runs this very
//! program again for one of its attack tests, first whole, then with one defence switched off by
//! `GATEKEEP_SABOTAGE`. Built with `--features sabotage` alone; no other build can be sabotaged.

#![cfg(feature = "sabotage")]

use std::collections::BTreeSet;
use std::process::{Command, Output};

use gatekeep::defence::Defence;

/// Each defence and the attacks that it alone repels.
const ATTACKS: &[(Defence, &[&str])] = &[
    (
        Defence::StripHeaders,
        &[
            "headers::an_identity_cannot_be_spoofed_in_any_spelling",
            "headers::a_method_override_never_arrives",
        ],
    ),
    (
        Defence::CanonicalTarget,
        &[
            "targets::without_a_session_nothing_but_the_public_is_reached_in_any_reading",
            "targets::without_the_rule_s_rights_nothing_below_it_is_reached_in_any_reading",
        ],
    ),
    (Defence::ReturnTo, &["redirects::nothing_outside_the_site_is_ever_a_target"]),
    (
        Defence::State,
        &[
            "callback::a_state_of_another_browser_signs_nobody_in",
            "broker::holes::sign_in::a_second_tab_or_a_planted_cookie_does_not_change_where_a_token_goes",
        ],
    ),
    (Defence::SingleUse, &["callback::a_good_callback_works_once_of_a_hundred_at_once"]),
    (Defence::NewSessionId, &["cookies::a_planted_session_is_not_upgraded_at_sign_in"]),
    (Defence::AmbiguousCookie, &["cookies::two_good_sessions_are_not_believed"]),
    (
        Defence::Csrf,
        &[
            "forms::a_form_that_is_not_ours_signs_nobody_out",
            "forms::a_form_from_elsewhere_signs_nobody_out",
            "my_sessions::a_form_that_is_not_ours_ends_no_session",
            "github_api::permitted::a_page_of_another_site_changes_nothing",
        ],
    ),
    (Defence::OwnCookies, &["cookies::an_app_sets_its_own_cookies_and_none_of_ours"]),
    (Defence::HideCookies, &["cookies::our_cookies_never_reach_the_app_and_all_others_do"]),
    (
        Defence::UpgradeOrigin,
        &[
            "forms::a_page_of_another_site_opens_no_socket",
            "refused_before::two_a_websocket_of_another_site",
        ],
    ),
    (Defence::RowBinding, &["nodes::rows::a_row_in_another_place_opens_nothing"]),
    (Defence::Hearing, &["my_sessions::a_session_is_ended_on_every_node"]),
    (
        Defence::FactsAge,
        &[
            "rechecks::who_leaves_an_organisation_loses_access_before_a_request_when_the_facts_are_outdated",
        ],
    ),
    (Defence::WebhookSignature, &["webhooks::what_is_not_signed_is_refused"]),
    (
        Defence::WebhookShape,
        &[
            "github_api::hooks::a_signed_body_is_believed_under_its_own_name_alone",
            "github_api::hooks::only_the_secret_of_the_app_says_who_has_withdrawn_it",
        ],
    ),
    (
        Defence::WebhookAge,
        &[
            "github_api::webhooks::what_is_sent_again_covers_no_longer_than_it_did",
            "github_api::webhooks::what_is_sent_again_gives_nothing_its_old_name",
            "github_api::from_webhooks::what_was_told_earlier_displaces_nothing",
        ],
    ),
    (Defence::WebhookCheck, &["webhooks::a_replay_after_a_new_authorisation_ends_nothing"]),
    (
        Defence::Invalidation,
        &[
            "github_api::webhooks::what_an_event_tells_of_is_asked_for_anew_by_name_and_by_number",
            "github_api::webhooks::an_answer_that_is_under_way_when_an_event_comes_is_not_fresh",
        ],
    ),
    (
        Defence::Forgetting,
        &[
            "github_api::ends::what_was_read_goes_with_the_last_session_on_every_node",
            "github_api::ends::what_comes_after_the_end_is_not_kept",
        ],
    ),
    (Defence::OwnSessions, &["my_sessions::a_session_of_somebody_else_is_not_ended"]),
    (Defence::AdminToken, &["operate::without_the_token_nothing_is_told_and_nothing_is_done"]),
    (Defence::HandoverBinding, &["handover::a_code_taken_by_another_browser_opens_nothing"]),
    (
        Defence::ApiKeyScope,
        &[
            "api_keys::a_key_opens_the_routes_that_it_names_and_no_others",
            "trackeep_github::a_key_for_githubs_api_opens_nothing_else",
        ],
    ),
    (
        Defence::OwnAnswers,
        &[
            "github_api::privacy::an_answer_within_its_time_is_its_asker_s_alone",
            "github_api::privacy::an_old_answer_in_github_s_trouble_is_its_asker_s_alone",
        ],
    ),
    (Defence::AnswerBinding, &["github_api::kept::a_kept_answer_in_another_s_place_is_nobody_s"]),
    (
        Defence::Confirmation,
        &["github_api::privacy::who_may_not_see_it_learns_nothing_of_what_another_saw"],
    ),
    (
        Defence::FlowEnds,
        &[
            "github_api::files::a_stream_ends_with_its_session",
            "github_api::files::an_upload_ends_with_its_session",
            "github_api::turns::what_waits_ends_with_its_session",
            "github_api::ends::what_comes_after_the_end_is_not_kept",
            "github_api::slow::a_long_answer_ends_with_its_session",
        ],
    ),
    (
        Defence::WholeUploads,
        &["github_api::files::an_upload_that_breaks_off_is_not_taken_for_whole"],
    ),
    (
        Defence::OutageOfAll,
        &["github_api::trouble::what_fails_for_one_account_is_no_outage_for_others"],
    ),
    (Defence::OneAuthor, &["github_api::or_visitor::a_write_is_the_installations_alone"]),
    (
        Defence::Scopes,
        &[
            "github_api::scopes::what_was_shown_by_scopes_that_are_gone_is_asked_for_anew",
            "github_api::scopes::the_gateway_s_own_questions_tell_of_them_too",
        ],
    ),
    (
        Defence::OwnRedirects,
        &[
            "classes::a_link_cannot_ask_the_app_to_lead_elsewhere",
            "classes::a_planted_cookie_or_the_page_before_leads_nobody_elsewhere",
            "classes::an_answer_that_leads_elsewhere_is_not_passed_on",
            "refused_before::three_a_link_that_leads_the_token_to_another_site",
        ],
    ),
    (Defence::StripQuery, &["classes::a_parameter_that_is_stripped_names_nobody_else"]),
    (
        Defence::OwnPages,
        &[
            "classes::a_page_of_another_origin_changes_nothing",
            "refused_before::one_a_post_of_another_site",
        ],
    ),
    (Defence::Pace, &["github_api::soak::however_hasty_the_clients_nobody_is_banned"]),
    (
        Defence::OtherOrigins,
        &["github_api::other_origins::a_cookie_does_nothing_for_a_page_of_another_origin"],
    ),
    (
        Defence::RegisteredTargets,
        &[
            "broker::holes::sign_in::an_unregistered_target_gets_no_token_and_not_even_a_question",
            "broker::holes::sign_in::a_link_on_another_site_names_no_target",
        ],
    ),
    (
        Defence::OneTimeCode,
        &["broker::control::a_code_works_once_of_a_hundred_at_once_and_what_it_gave_ends"],
    ),
    (
        Defence::OwnCode,
        &[
            "broker::holes::tokens::a_link_with_somebody_elses_token_signs_nobody_in_behind_the_gateway",
            "refused_before::four_a_code_that_was_used_or_is_somebody_elses",
        ],
    ),
    (
        Defence::OwnServers,
        &["broker::servers::what_is_for_an_instance_is_worth_nothing_to_another_s_server"],
    ),
    (
        Defence::OwnSeat,
        &["one_sign_in::whatever_token_a_request_brings_the_visitor_is_who_the_gateway_says"],
    ),
    (
        Defence::OwnInstallations,
        &["broker::attacks::an_installation_of_somebody_else_is_not_taken_to_an_instance"],
    ),
    (
        Defence::TokensForFew,
        &["broker::github::tokens_of_github_are_for_instances_that_may_have_them"],
    ),
    (
        Defence::Allowance,
        &[
            "broker::holes::service::who_guesses_is_not_heard_for_a_moment_and_keeps_nobody_else_out",
            "broker::holes::service::one_session_asks_for_no_more_than_people_do_and_holds_up_no_other",
        ],
    ),
    (Defence::OwnFields, &["own_answers::every_answer_of_ours_says_how_it_is_to_be_treated"]),
];

/// Runs one test of this program, whole or with a defence taken away.
fn run(test: &str, without: Option<Defence>) -> Output {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command
        .args(["--exact", test, "--test-threads=1", "--nocapture"])
        .env_remove("GATEKEEP_SABOTAGE");
    if let Some(defence) = without {
        command.env("GATEKEEP_SABOTAGE", defence.word());
    }
    command.output().expect("this program runs")
}

fn told(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// The attacks on a defence succeed without it, and fail with it.
fn prove(defence: Defence) {
    let (_, tests) = ATTACKS.iter().find(|(of, _)| *of == defence).expect("a row of the table");
    for test in *tests {
        let whole = told(&run(test, None));
        assert!(whole.contains("test result: ok. 1 passed"), "{test} fails anyway:\n{whole}");
        if whole.contains("SKIPPED") {
            println!("SKIPPED: {test} needs what is not here, so it proves nothing");
            continue;
        }
        let broken = told(&run(test, Some(defence)));
        let is_noticed = broken.contains("test result: FAILED. 0 passed; 1 failed");
        assert!(is_noticed, "{test} does not notice that {} is gone:\n{broken}", defence.word());
    }
}

#[test]
fn every_defence_has_its_attacks() {
    let words = |defences: Vec<Defence>| -> BTreeSet<_> {
        defences.into_iter().map(Defence::word).collect()
    };
    let attacked = words(ATTACKS.iter().map(|(defence, _)| *defence).collect());
    assert_eq!(attacked, words(Defence::ALL.to_vec()));
    assert_eq!(ATTACKS.len(), Defence::ALL.len(), "one row each");
    assert!(ATTACKS.iter().all(|(_, tests)| !tests.is_empty()));
}

macro_rules! proofs {
    ($($name:ident: $defence:ident,)+) => {
        $(#[test] fn $name() { prove(Defence::$defence); })+

        #[test]
        fn every_defence_is_proven() {
            assert_eq!([$(Defence::$defence),+], Defence::ALL);
        }
    };
}

proofs! {
    without_strip_headers_identities_are_spoofed: StripHeaders,
    without_canonical_target_paths_are_confused: CanonicalTarget,
    without_return_to_browsers_are_sent_away: ReturnTo,
    without_state_a_stranger_s_callback_signs_in: State,
    without_single_use_a_callback_works_again: SingleUse,
    without_new_session_id_a_planted_session_is_upgraded: NewSessionId,
    without_ambiguous_cookie_a_tossed_session_is_believed: AmbiguousCookie,
    without_csrf_other_sites_sign_visitors_out: Csrf,
    without_own_cookies_apps_plant_sessions: OwnCookies,
    without_hide_cookies_apps_see_sessions: HideCookies,
    without_upgrade_origin_sockets_are_hijacked: UpgradeOrigin,
    without_row_binding_rows_change_places: RowBinding,
    without_hearing_a_session_outlives_its_end_elsewhere: Hearing,
    without_facts_age_who_has_left_stays: FactsAge,
    without_webhook_signature_anybody_signs_anybody_out: WebhookSignature,
    without_webhook_shape_a_body_speaks_for_the_app: WebhookShape,
    without_webhook_age_old_deliveries_count_anew: WebhookAge,
    without_webhook_check_a_replay_signs_out: WebhookCheck,
    without_invalidation_what_is_held_is_not_true: Invalidation,
    without_forgetting_answers_outlive_sessions: Forgetting,
    without_own_sessions_visitors_end_each_other_s: OwnSessions,
    without_admin_token_anybody_commands: AdminToken,
    without_handover_binding_codes_are_stolen: HandoverBinding,
    without_api_key_scope_a_key_opens_every_route: ApiKeyScope,
    without_own_answers_visitors_see_each_other_s: OwnAnswers,
    without_answer_binding_answers_change_places: AnswerBinding,
    without_confirmation_guesses_are_shown: Confirmation,
    without_flow_ends_a_download_outlives_its_session: FlowEnds,
    without_whole_uploads_a_half_counts_as_all: WholeUploads,
    without_outage_of_all_one_account_stops_everybody: OutageOfAll,
    without_one_author_visitors_write_what_an_app_may_not: OneAuthor,
    without_scopes_answers_outlive_them: Scopes,
    without_pace_github_bans: Pace,
    without_own_redirects_a_link_leads_a_token_away: OwnRedirects,
    without_strip_query_a_link_names_the_user: StripQuery,
    without_own_pages_a_neighbour_s_page_writes: OwnPages,
    without_other_origins_a_cookie_tells_them_something: OtherOrigins,
    without_registered_targets_one_click_gives_all_away: RegisteredTargets,
    without_one_time_code_a_code_works_again: OneTimeCode,
    without_own_code_a_link_signs_in_as_somebody_else: OwnCode,
    without_own_servers_a_code_is_good_for_any_of_them: OwnServers,
    without_own_seat_a_request_names_its_user: OwnSeat,
    without_own_installations_numbers_are_believed: OwnInstallations,
    without_tokens_for_few_every_instance_has_them: TokensForFew,
    without_allowance_guessing_costs_nothing: Allowance,
    without_own_fields_our_pages_are_framed: OwnFields,
}
