use super::*;
use std::io;

fn read(text: &[u8], delimiter: char) -> Result<Vec<Piece>, String> {
    open("f.csv", text, delimiter, None)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

fn rows(text: &str) -> Vec<(u64, u64, Vec<String>)> {
    let pieces = read(text.as_bytes(), ',').unwrap();
    let row = |piece| match piece {
        Piece::Item(Item {
            line,
            last_line,
            body: Body::Row(_, cells),
            ..
        }) => Some((line, last_line, cells)),
        _ => None,
    };
    pieces.into_iter().filter_map(row).collect()
}

fn refused(text: &[u8]) -> String {
    read(text, ',').unwrap_err()
}

fn row(line: u64, last: u64, cells: &[&str]) -> (u64, u64, Vec<String>) {
    (
        line,
        last,
        cells.iter().map(|cell| (*cell).to_owned()).collect(),
    )
}

#[test]
fn quotes_hold_delimiters_quotes_and_line_ends_and_lines_stay_physical() {
    assert_eq!(
        rows("\u{feff}a,b\r\n\"x, \"\"y\"\"\",\"1\r\n2\"\r\n\"\",z\"q\r\nlast,\"end\""),
        [
            row(2, 3, &["x, \"y\"", "1\r\n2"]),
            row(4, 4, &["", "z\"q"]),
            row(5, 5, &["last", "end"]),
        ]
    );
}

#[test]
fn other_delimiters() {
    for (text, delimiter) in [("a;b\n1,5;2\n", ';'), ("a\tb\n1,5\t2\n", '\t')] {
        let Ok(pieces) = read(text.as_bytes(), delimiter) else {
            panic!()
        };
        let [
            Piece::Item(Item {
                body: Body::Row(header, cells),
                ..
            }),
        ] = pieces.as_slice()
        else {
            panic!()
        };
        assert_eq!(header.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(cells, &["1,5", "2"]);
    }
}

#[test]
fn the_last_line_needs_no_line_end_even_after_a_delimiter() {
    assert_eq!(rows("a,b\n1,"), [row(2, 2, &["1", ""])]);
}

#[test]
fn ragged_rows_are_bad_and_reading_goes_on() {
    let pieces = read(b"a,b\n1\n1,2\n1,2,3\n", ',').unwrap();
    let [
        Piece::Bad {
            line: 2,
            raw,
            message,
        },
        Piece::Item(_),
        Piece::Bad { line: 4, .. },
    ] = pieces.as_slice()
    else {
        panic!("{pieces:?}")
    };
    assert_eq!(
        (raw.as_str(), message.as_str()),
        ("1", "1 cell found, 2 expected, as the header has")
    );
}

#[test]
fn blank_rows_are_skipped_with_their_bytes() {
    let pieces = read(b"\na,b\n\r\n,\n1,2\n", ',').unwrap();
    let skipped = |piece: &Piece| match piece {
        Piece::Skipped {
            line,
            bytes,
            reason,
            ..
        } => Some((*line, *bytes, *reason)),
        _ => None,
    };
    let found: Vec<_> = pieces.iter().filter_map(skipped).collect();
    assert_eq!(found, [(1, 1, "blank"), (3, 2, "blank"), (4, 2, "blank")]);
}

#[test]
fn headers_that_name_no_column_surely_are_refused() {
    assert_eq!(
        refused(b"a,b, a\n"),
        "f.csv:1: columns 1 and 3 are both named `a`: rename one"
    );
    assert_eq!(rows("a,\n1,\n"), [row(2, 2, &["1", ""])]);
    assert_eq!(
        refused(b"a,\n1,\n2,x\n"),
        "f.csv:3: column 2 has data here but no name in the header: name it"
    );
}

#[test]
fn damage_is_named_with_line_and_offset() {
    for (text, said) in [
        (
            &b"a,b\n1,\"x\ny\n"[..],
            "f.csv:2: a quote opens on this line and never closes",
        ),
        (
            b"a\n1\n\"x\ny\" z\n",
            "f.csv:4: text after a closing quote at offset 9",
        ),
        (
            b"a\nb\nc\xff\n",
            "f.csv:3: the byte at offset 5 is not UTF-8",
        ),
        (
            b"\xef\xbb\xbfa\nc\xe9\n",
            "f.csv:2: the byte at offset 6 is not UTF-8",
        ),
        (b"a\n\xc3", "f.csv:2: the byte at offset 2 is not UTF-8"),
        (b"a\n1\n\0\n", "f.csv:3: a NUL byte at offset 4"),
        (
            b"a\r1\r",
            "f.csv:1: a carriage return without a line feed at offset 1",
        ),
    ] {
        let found = refused(text);
        assert!(found.starts_with(said), "{found}");
    }
}

#[test]
fn an_endless_record_is_refused() {
    for start in ["a\nb", "a\n\"b"] {
        let endless = io::BufReader::new(start.as_bytes().chain(io::repeat(b'x')));
        let mut pieces = open("f.csv", endless, ',', None);
        let error = pieces.find_map(Result::err).unwrap().to_string();
        assert!(error.starts_with("f.csv:2: record over limit"), "{error}");
        assert!(pieces.next().is_none());
    }
}

#[test]
fn a_declared_encoding_is_decoded() {
    let encoding = crate::decode::find("windows-1252").unwrap();
    let pieces: Vec<_> = open("f", &b"n\ncaf\xe9\n"[..], ',', encoding)
        .map(Result::unwrap)
        .collect();
    let [Piece::Item(Item { raw, .. })] = pieces.as_slice() else {
        panic!()
    };
    assert_eq!(raw, "café");
    let encoding = crate::decode::find("windows-1253").unwrap();
    let error = open("f", &b"n\nok\n\xff\n"[..], ',', encoding)
        .find_map(Result::err)
        .unwrap();
    assert_eq!(
        error.to_string(),
        "f:3: the bytes at offset 5 are not windows-1253"
    );
}
