use super::*;

/// The setting and the problem of settings that are wrong.
fn wrong(text: &str) -> (String, String) {
    let error = settings(text).unwrap_err();
    (error.setting, error.problem)
}

fn model(name: &str, more: &str) -> String {
    format!("[models.{name}]\nprovider = \"openai\"\nmodel = \"m\"\n{more}\n")
}

#[test]
fn a_small_section_is_enough() {
    let settings = settings(&format!("[assistant]\nmodel = \"a\"\n{}", model("a", ""))).unwrap();
    let model = &settings.models["a"];
    assert_eq!(model.base_url, "https://api.openai.com/v1");
    assert_eq!((model.retries, model.max_output, model.stream), (2, 16_384, true));
    assert!(matches!(model.key, Key::None));
}

#[test]
fn unknown_models_are_named_with_those_that_there_are() {
    let unknown = "there is no model 'c'; known: a, b";
    let both = model("b", "") + &model("a", "fallbacks = [\"c\"]");
    assert_eq!(wrong(&both), ("models.a.fallbacks".to_owned(), unknown.to_owned()));
    let both = format!("[assistant]\nmodel = \"c\"\n{}{}", model("a", ""), model("b", ""));
    assert_eq!(wrong(&both), ("assistant.model".to_owned(), unknown.to_owned()));
    let both = format!("[assistant]\nembeddings = \"c\"\n{}{}", model("a", ""), model("b", ""));
    assert_eq!(wrong(&both).0, "assistant.embeddings");
}

#[test]
fn circles_of_fallbacks_are_shown() {
    assert_eq!(wrong(&model("a", "fallbacks = [\"a\"]")).1, "is a circle: a → a");
    let three =
        model("a", "fallbacks = [\"b\"]") + &model("b", "fallbacks = [\"c\"]") + &model("c", "fallbacks = [\"a\"]");
    assert_eq!(wrong(&three), ("models.a.fallbacks".to_owned(), "is a circle: a → b → c → a".to_owned()));
    let diamond = model("a", "fallbacks = [\"b\", \"c\"]") + &model("b", "fallbacks = [\"c\"]") + &model("c", "");
    assert!(settings(&diamond).is_ok());
}

#[test]
fn a_base_url_is_checked_and_its_password_is_not_shown() {
    for (url, problem) in [
        ("localhost:11434", "is neither http nor https"),
        ("nonsense", "is not a URL"),
        ("http://", "is not a URL"),
        ("https://me:hunter2@host/v1", "holds a user or a password"),
        ("https://host/v1?key=hunter2", "has a query"),
        ("file:///etc/passwd", "is neither http nor https"),
    ] {
        let (setting, found) = wrong(&model("a", &format!("base_url = \"{url}\"")));
        assert_eq!(setting, "models.a.base_url");
        assert!(found.starts_with(problem) && !found.contains("hunter2"), "{url}: {found}");
    }
}

#[test]
fn other_mistakes_name_their_setting() {
    let price = "{ from = \"2026-01-01\", input = \"1\", output = \"1\" }";
    for (setting, more) in [
        ("max_output_tokens", "max_output_tokens = 0"),
        ("temperature", "temperature = 3.0"),
        ("deadlines", "deadlines = { total_ms = 0 }"),
        ("prices", &format!("prices = [{price}, {price}]")),
        ("api_key", "api_key = \"two words\""),
    ] {
        assert_eq!(wrong(&model("a", more)).0, format!("models.a.{setting}"));
    }
    assert_eq!(wrong("[assistant]\ncaps = { calls = 0 }").0, "assistant.caps");
}

#[test]
fn unknown_fields_and_inexact_amounts_are_refused() {
    for text in [
        model("a", "modle = \"m\""),
        model("a", "deadlines = { total = 5 }"),
        model("a", "prices = [{ from = \"2026-01-01\", input = 2.5, output = \"1\" }]"),
        "[assistant]\nbudget = { workspace = \"5 dollars\" }".to_owned(),
        "[assistant]\nbudgets = { workspace = \"5\" }".to_owned(),
    ] {
        assert!(toml::from_str::<File>(&text).is_err(), "{text}");
    }
}

#[test]
fn a_key_is_never_in_the_debug_text_of_settings() {
    let settings = settings(&with("")).unwrap_err();
    assert_eq!(settings.setting, "models.fast.base_url", "URL is no URL");
    let settings = super::settings(&with("").replace("URL", "http://localhost/v1")).unwrap();
    assert!(!format!("{settings:?}").contains(KEY));
}
