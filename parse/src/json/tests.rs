use super::*;

fn read(file: &str, text: &[u8], items: Option<&[&str]>) -> Result<Vec<Piece>, String> {
    let items = items.map(|path| path.iter().map(|key| (*key).to_owned()).collect());
    open(file, std::io::BufReader::with_capacity(7, text), items)
        .map_err(|error| error.to_string())?
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

fn items(file: &str, text: &str, path: Option<&[&str]>) -> Vec<(u64, String)> {
    let pieces = read(file, text.as_bytes(), path).unwrap();
    let item = |piece| match piece {
        Piece::Item(item) => Some((item.line, item.raw)),
        _ => None,
    };
    pieces.into_iter().filter_map(item).collect()
}

#[test]
fn every_envelope_gives_the_same_items() {
    let expected = vec![
        (1, r#"{"a":[{"b":"]}"}]}"#.to_owned()),
        (2, r#"{"a":2}"#.to_owned()),
    ];
    for text in [
        "[{\"a\":[{\"b\":\"]}\"}]},\n{\"a\":2}]",
        "\u{feff} [ {\"a\":[{\"b\":\"]}\"}]} \r\n, {\"a\":2} ]\n",
        "{\"n\":1,\"Contacts\":[{\"a\":[{\"b\":\"]}\"}]},\n{\"a\":2}],\"next\":{\"x\":[1]}}\n",
        "{\"a\":[{\"b\":\"]}\"}]}\n{\"a\":2}\n",
        "{\"a\":[{\"b\":\"]}\"}]}\n{\"a\":2}",
    ] {
        assert_eq!(items("f.json", text, None), expected, "{text}");
    }
    assert_eq!(items("f.ndjson", "{\"a\":[{}]}\n", None).len(), 1);
    assert_eq!(
        items("f.json", "{\n\"a\":1\n}\n", None),
        [(1, "{\n\"a\":1\n}".to_owned())]
    );
    assert_eq!(items("f.json", " \n", None), []);
}

#[test]
fn a_path_names_one_array_of_several() {
    let text = "{\"x\":[1],\"a\":{\"y\":0,\n\"b.c\":[{\"k\":1}],\"z\":[]},\"w\":[2]}";
    assert_eq!(
        items("f.json", text, Some(&["a", "b.c"])),
        [(2, "{\"k\":1}".to_owned())]
    );
    let error = read("f.json", text.as_bytes(), None).unwrap_err();
    assert!(error.contains("several arrays (`x`, `w`)"), "{error}");
    let error = read("f.json", text.as_bytes(), Some(&["q"])).unwrap_err();
    assert!(error.contains("no `q`"), "{error}");
}

#[test]
fn the_rest_of_an_envelope_is_counted() {
    let pieces = read("f.json", b"{\"Total\": 12, \"Contacts\":[]}", None).unwrap();
    assert!(matches!(
        pieces.as_slice(),
        [Piece::Skipped {
            line: 1,
            bytes: 2,
            reason: "envelope",
            ..
        }]
    ));
}

#[test]
fn elements_that_are_no_object_or_name_a_member_twice_are_bad() {
    let pieces = read("f.json", b"[1,\n{\"a\":1,\"a\":2},{\"a\":1}]", None).unwrap();
    let [
        Piece::Bad { message, .. },
        Piece::Bad {
            line: 2,
            message: twice,
            ..
        },
        Piece::Item(_),
    ] = pieces.as_slice()
    else {
        panic!("{pieces:?}")
    };
    assert_eq!(message, "a number where an object is expected");
    assert_eq!(twice, "the member `a` is there twice");
}

#[test]
fn damage_is_named_with_line_and_offset() {
    for (text, said) in [
        (
            &b"[{\"a\":1},\n{\"a\":"[..],
            "f:2: the file ends at offset 15 inside a value that starts on line 2: it was cut short",
        ),
        (
            b"[{\"a\":1}\n",
            "f:2: the file ends at offset 9 where `,` or `]` is expected",
        ),
        (
            b"[{\"a\":1},]",
            "f:1: `]` stands at offset 9 where a value is expected",
        ),
        (
            b"[{\"a\":1}] x",
            "f:1: `x` stands at offset 10 where the end of the file is expected",
        ),
        (
            b"[{\"a\":1}\n{\"a\":2}]",
            "f:2: `{` stands at offset 9 where `,` or `]` is expected",
        ),
        (
            b"{\"a\":1}\n{\"a\" 2}\n",
            "f:2: it is not JSON at offset 13",
        ),
        (b"{\"a\":1}\nxyz\n", "f:2: it is not JSON at offset 8"),
        (
            b"[{\"a\":\"\xe9\"}]",
            "f:1: it is not JSON at offset 7: the byte is not UTF-8",
        ),
        (b"[{\"a\":\"x\0\"}]", "f:1: it is not JSON at offset 8"),
        (
            b"{\"a\":1,\"C\":[{}]",
            "f:1: the file ends at offset 15 where `,` or `}` is expected",
        ),
    ] {
        let error = read("f", text, None).unwrap_err();
        assert!(error.starts_with(said), "{error}\nexpected {said}");
    }
}

#[test]
fn a_document_longer_than_the_look_streams() {
    let text = format!(
        "{{\"Contacts\":[{}{{\"id\":1}}]}}",
        "{\"id\":0},\n".repeat(200_000)
    );
    assert_eq!(
        items("f.json", &text, None).last(),
        Some(&(200_001, "{\"id\":1}".to_owned()))
    );
}

#[test]
fn an_endless_value_is_refused() {
    let endless = std::io::BufReader::new(b"[{\"a\":\""[..].chain(std::io::repeat(b'x')));
    let error = open("f", endless, None)
        .unwrap()
        .find_map(Result::err)
        .unwrap();
    assert!(
        error.to_string().starts_with("f:1: record over limit"),
        "{error}"
    );
}
