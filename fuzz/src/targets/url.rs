//! The URL of a target.

use store::TargetUrl;

use super::{Target, kind};

pub(super) const URL: Target = Target {
    name: "url",
    seeds: || {
        let texts = [
            "sqlite:club.db",
            "sqlite:/a b/c%20d.db",
            "postgres://ann:pa%2Fss@[::1]:5433,db:5434/club?sslmode=verify-full&schema=x",
            "postgresql:///d?host=/run/postgresql&connect_timeout=5",
            "postgres://h/d?options=-c%20geqo%3Doff",
        ];
        texts.map(|text| text.as_bytes().to_vec()).into()
    },
    run: |bytes, _| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return "no text".into();
        };
        let url: TargetUrl = match text.parse() {
            Ok(url) => url,
            Err(why) => return kind(&why),
        };
        let again: TargetUrl = url
            .whole()
            .parse()
            .unwrap_or_else(|why| panic!("{text:?}: {:?} does not parse: {why}", url.whole()));
        assert_eq!(again, url, "{text:?}");
        // With another password it is shown as the same.
        let whole = url.whole();
        let pairs = whole
            .split('&')
            .map(|pair| match pair.rsplit_once("password=") {
                Some((head, _)) => format!("{head}password=%41"),
                None => pair.to_owned(),
            });
        let other: TargetUrl = pairs.collect::<Vec<_>>().join("&").parse().unwrap();
        assert_eq!(other.to_string(), url.to_string());
        "a target".into()
    },
};
