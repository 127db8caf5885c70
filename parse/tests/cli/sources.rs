//! Files: which are read, what damage is refused.

use std::fs;

use super::{Place, Ran, csv_plan, plan};

const FIELD: &str = "a = { from = \"a\" }";

fn csv(bytes: &[u8]) -> Ran {
    Place::new(&csv_plan(FIELD), &[("f.csv", bytes)]).run(&[])
}

fn json(name: &str, items: &str, text: &str) -> Ran {
    let source = format!("format = \"json\", files = [\"{name}\"], key = \"k\"{items}");
    Place::new(
        &plan(&source, &format!("[entity.fields]\n{FIELD}")),
        &[(name, text.as_bytes())],
    )
    .run(&[])
}

#[test]
fn damaged_csv_is_refused_with_its_line() {
    for (bytes, said) in [
        (
            &b"k,a\n1,\"x\n2,y\n"[..],
            "parse: f.csv:2: a quote opens on this line and never closes",
        ),
        (
            b"k,a\n1,caf\xe9\n",
            "f.csv:2: the byte at offset 9 is not UTF-8: correct it, or name the file's `encoding`",
        ),
        (b"k,a\n1,x\n2,\0\n", "f.csv:3: a NUL byte at offset 10"),
        (
            b"k,a,k\n1,x,2\n",
            "f.csv:1: columns 1 and 3 are both named `k`",
        ),
        (
            b"k,a,\n1,x,\n2,y,z\n",
            "f.csv:3: column 3 has data here but no name in the header",
        ),
        (
            b"k,b\n1,x\n2,\"y\" z\n",
            "f.csv:3: text after a closing quote at offset 13",
        ),
    ] {
        csv(bytes).fails(4, said);
    }
}

#[test]
fn a_record_over_the_limit_is_refused() {
    let mut text = b"k,a\n1,\"".to_vec();
    text.resize(17 << 20, b'x');
    csv(&text).fails(4, "f.csv:2: record over limit");
}

#[test]
fn ragged_rows_are_rejected_one_by_one_and_counted() {
    let ran = csv(b"k,a\n1\n2,x\n\n3,y,z\n");
    let (lines, seal) = ran.sealed();
    assert_eq!(lines[0]["reject"]["at"]["line"], 2);
    assert_eq!(lines[0]["reject"]["record"], "1");
    assert_eq!(
        lines[0]["reject"]["errors"][0]["message"],
        "1 cell found, 2 expected, as the header has"
    );
    assert_eq!(
        (
            &seal["records"],
            &seal["rejected"],
            &seal["sources"][0]["items"]
        ),
        (&1.into(), &2.into(), &3.into())
    );
    assert!(
        ran.err.contains("rejected f.csv:2 (e): 1 cell found"),
        "{}",
        ran.err
    );
}

#[test]
fn lines_stay_physical_after_cells_with_line_ends() {
    let ran = csv(b"\xef\xbb\xbfk,a\r\n1,\"x\r\n\r\ny, \"\"z\"\"\"\r\n2,w\r\n");
    assert_eq!(
        ran.records(),
        [
            r#"{"entity":"e","key":"1","at":{"file":"f.csv","line":2},"fields":{"a":"x\r\n\r\ny, \"z\""}}"#,
            r#"{"entity":"e","key":"2","at":{"file":"f.csv","line":5},"fields":{"a":"w"}}"#,
        ]
    );
}

#[test]
fn delimiters_and_encodings_are_declared() {
    for (more, bytes) in [
        (
            "delimiter = \";\", encoding = \"windows-1252\"",
            &b"k;a\n1;caf\xe9\n"[..],
        ),
        ("delimiter = \"\\t\"", "k\ta\n1\tcafé\n".as_bytes()),
        (
            "encoding = \"utf-16le\"",
            &"\u{feff}k,a\n1,café\n"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>(),
        ),
    ] {
        let source = format!("format = \"csv\", files = [\"f.csv\"], key = \"k\", {more}");
        let place = Place::new(
            &plan(&source, &format!("[entity.fields]\n{FIELD}")),
            &[("f.csv", bytes)],
        );
        assert_eq!(place.run(&[]).fields(), r#"{"a":"café"}"#);
    }
    let wrong = plan(
        "format = \"csv\", files = [\"f.csv\"], key = \"k\", encoding = \"latin-99\"",
        &format!("[entity.fields]\n{FIELD}"),
    );
    Place::new(&wrong, &[("f.csv", b"k,a\n")])
        .run(&[])
        .fails(2, "entity `e`: there is no encoding `latin-99`");
}

#[test]
fn three_envelopes_of_json_give_the_same_records() {
    let contacts = [
        r#"{"k":1,"a":"x","FieldValues":[{"SystemCode":"MemberSince","Value":"2020"}]}"#,
        r#"{"k":2,"a":"]}","FieldValues":[]}"#,
        r#"{"k":3,"a":null}"#,
    ];
    let [one, two, three] = contacts;
    let array = json("f.json", "", &format!("[{one},\n{two},\n{three}]"));
    let wrapped = json(
        "f.json",
        "",
        &format!("{{\"Total\":3,\"Contacts\":[{one},\n{two},\n{three}],\"Next\":null}}\n"),
    );
    let lines = json("f.json", "", &format!("{one}\n{two}\n{three}\n"));
    assert_eq!(array.records().len(), 3);
    assert_eq!(array.records(), wrapped.records());
    assert_eq!(array.records(), lines.records());
}

#[test]
fn damaged_json_is_refused_with_line_and_offset() {
    for (text, said) in [
        (
            "[{\"k\":1},\n{\"k\":",
            "f.json:2: the file ends at offset 15 inside a value that starts on line 2: it was cut short",
        ),
        (
            "[{\"k\":1}]\n[]",
            "f.json:2: `[` stands at offset 10 where the end of the file is expected",
        ),
        (
            "{\"k\":1}\n{\"k\":1,}\n",
            "f.json:2: it is not JSON at offset 15",
        ),
        (
            "{\"x\":[{\"k\":1}],\n\"y\":[{\"k\":1}]}",
            "f.json:2: the document has several arrays (`x`, `y`): name the one with the items in the plan, `items = \"x\"`",
        ),
    ] {
        json("f.json", "", text).fails(4, said);
    }
    json("f.json", ", items = \"z\"", "{\"x\":[]}").fails(4, "the document has no `z`");
    let named = json(
        "f.json",
        ", items = \"y\"",
        "{\"x\":[{\"k\":1}],\n\"y\":[{\"k\":2,\"a\":0.10}]}",
    );
    assert_eq!(named.fields(), r#"{"a":"0.10"}"#);
}

#[test]
fn members_named_twice_and_elements_that_are_no_object_are_rejected() {
    let ran = json("f.json", "", "[{\"k\":1,\"a\":\"x\",\"a\":\"y\"}]");
    assert_eq!(
        ran.errors(),
        [(
            "-".into(),
            "format".into(),
            "the member `a` is there twice".into()
        )]
    );
    let ran = json("f.json", "", "[7]");
    assert_eq!(ran.errors()[0].2, "a number where an object is expected");
}

#[test]
fn missing_files_and_empty_ones_are_errors_unless_the_plan_allows_them() {
    let run = |files: &str, more: &str, text: &str| {
        let source = format!("format = \"csv\", files = [\"{files}\"], key = \"k\"{more}");
        Place::new(
            &plan(&source, &format!("[entity.fields]\n{FIELD}")),
            &[("here.csv", text.as_bytes())],
        )
        .run(&[])
    };
    run("gone.csv", "", "").fails(5, "the source `gone.csv` of `e` is not there");
    run("x/*.csv", "", "").fails(5, "the source `x/*.csv` of `e` matches no file");
    run("here.csv", "", "k,a\n\n").fails(4, "here.csv holds no item for `e`");
    run("here.csv", "", "").fails(4, "hint: is it the right file, and all of it?");
    let (lines, seal) = run("gone.csv", ", allow_missing = true", "").sealed();
    assert_eq!((lines.len(), &seal["records"]), (0, &0.into()));
    let (_, seal) = run("here.csv", ", allow_empty = true", "k,a\n").sealed();
    assert_eq!(seal["sources"][0]["bytes"], 4);
}

#[test]
fn globs_are_read_in_byte_order_each_file_once() {
    let source =
        "format = \"csv\", files = [\"d/*.csv\", \"d/**/b.csv\", \"d/x[1].csv\"], key = \"k\"";
    let place = Place::new(&plan(source, &format!("[entity.fields]\n{FIELD}")), &[]);
    for name in [
        "d/b.csv",
        "d/B.csv",
        "d/é.csv",
        "d/.hidden.csv",
        "d/a/b.csv",
        "d/x[1].csv",
        "d/no.txt",
    ] {
        place.write(name, b"k,a\n1,x\n");
    }
    let (lines, _) = place.run(&[]).sealed();
    let files: Vec<_> = lines
        .iter()
        .map(|line| line["at"]["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        files,
        ["d/B.csv", "d/a/b.csv", "d/b.csv", "d/x[1].csv", "d/é.csv"]
    );
}

#[test]
fn sources_outside_the_root_are_refused() {
    let run = |name: &str| {
        let place = Place::new(
            &plan(
                &format!("format = \"csv\", files = [\"{name}\"], key = \"k\""),
                &format!("[entity.fields]\n{FIELD}"),
            ),
            &[],
        );
        place.write("in/x.csv", b"k,a\n1,x\n");
        place.write("out.csv", b"k,a\n1,x\n");
        std::os::unix::fs::symlink("../out.csv", place.path().join("in/link.csv")).unwrap();
        place.run(&["--root", "in"])
    };
    run("../out.csv").fails(2, "the source `../out.csv` of `e` leaves the root");
    run("/etc/passwd").fails(2, "leaves the root");
    run("link.csv").fails(4, "a link that leaves the root");
    assert!(run("x.csv").out.contains("\"file\":\"x.csv\""));
}

#[test]
fn a_folder_or_an_unreadable_root_is_unreachable() {
    let place = Place::new(&csv_plan(FIELD), &[("f.csv/x", b"")]);
    place.run(&[]).fails(5, "reading f.csv: Is a directory");
    place
        .run(&["--root", "nowhere"])
        .fails(5, "reading the root folder nowhere");
}

#[test]
fn a_pipe_or_a_device_is_no_source() {
    let place = Place::new(&csv_plan(FIELD), &[]);
    let path = place.path().join("f.csv");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    place
        .run(&[])
        .fails(4, "gives f.csv, which is no ordinary file");
}

#[test]
fn named_files_limit_what_is_read() {
    let source = "format = \"csv\", files = [\"*.csv\", \"gone.csv\"], key = \"k\"";
    let place = Place::new(
        &plan(source, &format!("[entity.fields]\n{FIELD}")),
        &[
            ("a.csv", b"k,a\n1,x\n"),
            ("b.csv", b"k,a\n2,y\n"),
            ("c.txt", b""),
        ],
    );
    let ran = place.run(&["b.csv"]);
    assert_eq!(ran.records().len(), 1);
    assert!(ran.out.contains("\"b.csv\"") && !ran.out.contains("\"a.csv\""));
    place
        .run(&["c.txt"])
        .fails(2, "no entity of the plan reads c.txt");
}

#[test]
fn markdown_goes_through_the_same_mapping() {
    let source = "format = \"markdown\", files = [\"f.md\"], key = \"heading\", markdown = { level = 2, meta = [\"Date\"] }";
    let fields =
        "[entity.fields]\na = { from = \"body\" }\nd = { from = \"meta.Date\", type = \"date\" }";
    let text = "# T\n\n## One\n\nDate: 2024-01-15\n\nText with\n```\n## no heading\n```\n";
    let place = Place::new(&plan(source, fields), &[("f.md", text.as_bytes())]);
    let ran = place.run(&["--explain"]);
    let record = ran.records()[0];
    assert!(
        record.contains("\"key\":\"One\",\"at\":{\"file\":\"f.md\",\"line\":3}")
            && record.contains("## no heading")
            && record.contains("\"d\":\"2024-01-15\""),
        "{record}"
    );
    assert!(ran.err.contains("skipped as"), "{}", ran.err);
}

#[test]
fn the_seal_has_the_hash_and_size_of_every_source() {
    let place = Place::new(&csv_plan(FIELD), &[("f.csv", b"k,a\n1,x\n")]);
    let (_, seal) = place.run(&[]).sealed();
    let bytes = fs::read(place.path().join("f.csv")).unwrap();
    assert_eq!(
        seal["sources"][0]["sha256"],
        contract::Digest::of(&bytes).to_string()
    );
    assert_eq!(
        seal["plan"],
        contract::Digest::of(&fs::read(place.path().join("migration.toml")).unwrap()).to_string()
    );
}
