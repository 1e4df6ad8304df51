//! What command lines mean.

use super::*;

fn command(line: &str) -> Result<Command, String> {
    match parse(line.split(' ').map(OsString::from)) {
        Parsed::Command(command) => Ok(*command),
        Parsed::Say(said) => Err(said.to_string()),
    }
}

fn operator(flags: &str) -> OperatorOptions {
    match command(&format!("trainyard operator {flags}")) {
        Ok(Command::Operator(options)) => *options,
        other => panic!("{flags}: {other:?}"),
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn defaults_are_those_of_v1() {
    let options = operator("--namespace=");
    assert_eq!(options.metrics_bind_address, Listen(Some("[::]:8080".parse().unwrap())));
    assert_eq!(options.health_probe_bind_address, Listen(Some("[::]:8081".parse().unwrap())));
    assert!(!options.leader_elect && options.zap_devel);
    assert_eq!(options.leader_election_id, "1ca428e5.training-operator.kubeflow.org");
    assert_eq!((options.controller_threads, options.kube_api_qps, options.kube_api_burst), (1, None, 30));
    assert_eq!((options.enable_scheme, options.gang_scheduler_name), (vec![], String::new()));
    assert_eq!(options.webhook_server_port, 9443);
    assert_eq!(options.webhook_service_name, "training-operator");
    assert_eq!(options.webhook_secret_name, "training-operator-webhook-cert");
    assert_eq!(options.kubeconfig, None);
}

#[test]
fn flags_may_be_written_as_in_go() {
    for (flags, leader_elect, threads) in [
        ("--leader-elect --controller-threads=2", true, 2),
        ("-leader-elect -controller-threads 2", true, 2),
        ("-leader-elect=false --controller-threads 2", false, 2),
        ("--leader-elect=T -controller-threads=2", true, 2),
        ("--leader-elect --leader-elect=0 --controller-threads 1 --controller-threads 2", false, 2),
    ] {
        let options = operator(flags);
        assert_eq!((options.leader_elect, options.controller_threads), (leader_elect, threads), "{flags}");
    }
    assert_eq!(operator("-metrics-bind-address 0").metrics_bind_address, Listen(None));
    assert_eq!(operator("-enable-scheme A --enable-scheme=b").enable_scheme, ["A", "b"]);
    assert_eq!(operator("--gang-scheduler-name -x").gang_scheduler_name, "-x");
}

#[test]
fn the_name_of_the_old_program_does_as_well() {
    assert!(matches!(command("/manager --leader-elect"), Ok(Command::Operator(options)) if options.leader_elect));
}

#[test]
fn other_flags_are_settings_of_plugins() {
    let options = operator("--one-image=x -one-tries 3 --set two.fast=true --zap-devel=false");
    let settings = ["two.fast=true".parse().unwrap(), Setting::flag("one-image", "x"), Setting::flag("one-tries", "3")];
    assert_eq!(options.plugins.settings, settings);
}

#[test]
fn mistakes_are_refused_naming_flag_and_value() {
    for (line, expected) in [
        (
            "trainyard operator --leader-elect=maybe",
            "invalid value 'maybe' for '--leader-elect[=<BOOL>]': it is neither true nor false",
        ),
        (
            "trainyard operator --metrics-bind-address here",
            "invalid value 'here' for '--metrics-bind-address <ADDRESS>': ",
        ),
        ("trainyard run -f x --grants a", "invalid value 'a' for '--grants <PLUGIN=FILE>': write PLUGIN=FILE"),
        ("trainyard operator --unknown", "unexpected argument '--unknown' found"),
        ("trainyard operator run", "unexpected argument 'run' found"),
        ("trainyard run", "the following required arguments were not provided:\n  --file <FILE>"),
        ("trainyard run -f x --set a", "invalid value 'a' for '--set <PLUGIN.SETTING=VALUE>': there is no `=`"),
        ("trainyard plan -f x -o xml", "invalid value 'xml' for '--output <OUTPUT>'"),
        ("trainyard walk", "unrecognized subcommand 'walk'"),
    ] {
        let said = command(line).unwrap_err();
        assert!(said.starts_with(&format!("error: {expected}")), "{line}: {said}");
    }
}

#[test]
fn a_user_without_a_password_is_asked_for_one_and_the_other_way_round() {
    let push = "trainyard plugin push p.wasm registry.example/p:1";
    for (options, missing) in [("--username u", "--password-stdin"), ("--password-stdin", "--username <NAME>")] {
        let said = command(&format!("{push} {options}")).unwrap_err();
        assert!(said.contains(&format!("required arguments were not provided:\n  {missing}\n")), "{said}");
    }
    assert!(matches!(command(&format!("{push} --username u --password-stdin")), Ok(Command::Plugin { .. })));
    let said = command("trainyard plugin pull registry.example/p").unwrap_err();
    assert!(said.contains("it has neither a tag (:1.0) nor a digest (@sha256:…)"), "{said}");
}
