//! The shipped files are whole, and bad ones are told fault by fault with their lines.

use keytone::connector::contract::Amounts;
use keytone::connector::definition::{Auth, Definition};

use crate::connectors::stub::{load, shipped};

#[test]
fn shipped_files_are_whole_and_promise_what_the_manual_says() {
    let mut told = Vec::new();
    for name in ["reloadly", "dtone", "africastalking", "mtn-momo"] {
        let definition =
            Definition::parse(&shipped(name, &[]), load).unwrap_or_else(|f| panic!("{name}: {f:#?}"));
        let d = &definition.description;
        assert!(!d.idempotent_submit, "{name}: a repetition does not answer what became of the first");
        let auth = match &definition.auth {
            None => "key",
            Some(Auth::Basic { .. }) => "basic",
            Some(Auth::Token(_)) => "token",
        };
        let amounts = match d.amounts {
            Amounts::Any => "any",
            Amounts::Fixed(_) => "fixed",
            Amounts::Range { .. } => "range",
        };
        let settle = d.not_found_after.map(|t| t.as_secs());
        told.push((name, auth, amounts, d.status_query, d.status_needs_theirs, d.callback, settle));
    }
    assert_eq!(
        told,
        [
            ("reloadly", "token", "range", true, false, true, Some(900)),
            ("dtone", "basic", "fixed", true, false, true, Some(600)),
            ("africastalking", "key", "range", true, true, false, None),
            ("mtn-momo", "token", "any", true, false, true, Some(300)),
        ]
    );
}

#[test]
fn a_shipped_file_names_its_credentials_and_holds_none() {
    for name in ["reloadly", "dtone", "africastalking", "mtn-momo"] {
        let none = |_: &keytone::connector::key::Source| Err("expected X to be set".to_owned());
        let faults = Definition::parse(&shipped(name, &[]), none).unwrap_err();
        assert!(faults.iter().any(|f| f.message.contains("expected X")), "{name}: {faults:?}");
    }
}

const BAD: &str = r#"id = "bad"
base_url = "https://carrier.example"
currencies = ["KES"]
[secrets]
one = { env = "ONE" }
[auth]
scheme = "oauth2"
token_url = "https://user@auth.example/token"
send = "xml"
client_id = "one"
client_secret = "two"
token = "access_token"
margin_ms = -1
repeat_after_401 = "yes"
[limits]
requests_per_second = 0
at_one = 3
[breaker]
percent = 101
[amounts]
min = "100"
max = "50"
step = "0"
[products]
"ten" = "p1"
"10" = "p2"
"10.00" = "p3"
[submit]
path = "/x/{carrier_reference}"
body = '{"r": "{reference}"}'
[submit.form]
a = "{nothing}"
[submit.answer]
code = ["/status", "errorCode"]
number_form = "1'234"
[[submit.rule]]
http = "202"
empty = true
outcome = "delivered"
[[submit.rule]]
http = "200"
reason = "X"
absent = true
outcome = "accepted"
[status]
path = "/x/{carrier_reference}"
list = "content"
[[status.rule]]
http = "401"
outcome = "refused"
class = "auth_config"
[lookup]
path = "/all"
list = ""
match = "/ref"
[[lookup.rule]]
http = "200"
absent = true
outcome = "not_found"
[callback]
format = "xml"
[callback.answer]
reference = "/r"
code = "/c"
[[callback.rule]]
code = "1"
outcome = "delivered"
"#;

#[test]
fn every_fault_of_the_new_keys_is_told_with_its_line() {
    let faults = Definition::parse(BAD, load).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let wanted = std::fs::read_to_string("tests/golden/connector-faults.txt").unwrap();
    assert_eq!(told.join("\n").trim(), wanted.trim());
}

#[test]
fn an_unknown_scheme_and_an_odd_lookup_are_told() {
    let dtone = shipped("dtone", &[("scheme = \"basic\"", "scheme = \"digest\"")]);
    let faults = Definition::parse(&dtone, load).unwrap_err();
    assert!(faults[0].to_string().contains("auth.scheme: expected \"basic\" or \"oauth2\""), "{faults:?}");
    let momo = shipped("mtn-momo", &[])
        + "\n[lookup]\npath = \"/x/{reference}\"\n[[lookup.rule]]\nhttp = \"404\"\noutcome = \"not_found\"\n";
    let faults = Definition::parse(&momo, load).unwrap_err();
    assert!(faults[0].message.contains("by our reference already"), "{faults:?}");
}
