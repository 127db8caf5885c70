//! From items to records.

use super::{Place, Ran, csv_plan, one_cell, plan};

#[track_caller]
fn gives(field: &str, cell: &str, value: &str) {
    assert_eq!(
        one_cell(field, cell).fields(),
        format!("{{\"a\":{value}}}"),
        "{field} {cell}"
    );
}

#[track_caller]
fn rejects(field: &str, cell: &str, rule: &str, message: &str) {
    let errors = one_cell(field, cell).errors();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].1, rule);
    assert!(errors[0].2.contains(message), "{}", errors[0].2);
}

#[test]
fn values_that_look_like_numbers_are_not_made_numbers() {
    rejects(
        "type = \"integer\"",
        "\"1,200\"",
        "type",
        "\"1,200\" is no whole number: expected digits only",
    );
    rejects(
        "type = \"integer\"",
        "30 people",
        "type",
        "\"30 people\" is no whole number",
    );
    rejects(
        "type = \"integer\"",
        "12.9",
        "type",
        "\"12.9\" is no whole number",
    );
    rejects(
        "type = \"decimal\"",
        "\"12,50\"",
        "type",
        "is no decimal number",
    );
    gives("type = \"integer\"", "30", "30");
    gives("type = \"integer\"", "", "null");
    gives("type = \"integer\"", "0", "0");
    gives("type = \"integer\"", "-3", "-3");
    gives("type = \"integer\", thousands = \",\"", "\"1,200\"", "1200");
    gives(
        "type = \"integer\"",
        "90071992547409931234",
        "90071992547409931234",
    );
    gives("type = \"decimal\"", "0.0000", "0.0000");
    gives(
        "type = \"decimal\", decimal = \",\", thousands = \".\"",
        "\"1.234,50\"",
        "1234.50",
    );
}

#[test]
fn dates_are_local_to_the_plans_zone_in_every_form() {
    let zoned = "type = \"timestamp\", zone = \"America/Los_Angeles\", formats = [\"%m/%d/%Y\", \"%Y-%m-%d\", \"%m/%d/%Y %H:%M\"]";
    gives(zoned, "01/15/2024", "\"2024-01-15T08:00:00Z\"");
    gives(zoned, "2024-01-15", "\"2024-01-15T08:00:00Z\"");
    rejects(
        zoned,
        "02/30/2024",
        "type",
        "names a day that does not exist",
    );
    rejects(zoned, "1/15/24", "type", "names the year 24");
    rejects(
        zoned,
        "TBD",
        "type",
        "has none of the forms `%m/%d/%Y`, `%Y-%m-%d`, `%m/%d/%Y %H:%M`",
    );
    rejects(
        zoned,
        "03/10/2024 02:30",
        "type",
        "does not exist in America/Los_Angeles",
    );
    rejects(
        zoned,
        "11/03/2024 01:30",
        "type",
        "exists twice in America/Los_Angeles",
    );
    gives(
        &format!("{zoned}, gap = \"before\""),
        "03/10/2024 02:30",
        "\"2024-03-10T10:30:00Z\"",
    );
    gives(
        &format!("{zoned}, ambiguous = \"first\""),
        "11/03/2024 01:30",
        "\"2024-11-03T08:30:00Z\"",
    );
    gives(
        "type = \"date\", zone = \"UTC\"",
        "2024-01-15T20:00:00-04:00",
        "\"2024-01-16\"",
    );
    one_cell("type = \"timestamp\"", "2024-01-15")
        .fails(2, "column `a`: values of the form `%Y-%m-%d` carry no zone");
    one_cell("type = \"date\", formats = [\"%Q\"]", "x").fails(2, "the form `%Q` is not strftime");
}

#[test]
fn empty_cells_mean_what_the_plan_says() {
    gives("", "", "null");
    gives("empty = \"text\"", "", "\"\"");
    gives("apply = [\"trim\"]", "  ", "null");
    gives("", "  ", "\"  \"");
    assert!(!one_cell("empty = \"absent\"", "").records()[0].contains("fields"));
}

fn mapped(map: &str, cell: &str) -> Ran {
    let text = format!("k,a\n1,{cell}\n2,Lapsed\n");
    let plan = csv_plan("a = { from = \"a\", map = \"m\" }") + "[map.m]\n" + map;
    Place::new(&plan, &[("f.csv", text.as_bytes())]).run(&["--explain"])
}

#[test]
fn maps_are_total_or_ignore_with_a_reason() {
    let map = "values = { Lapsed = \"LAPSED\", One = 1 }\nignore = { Admins = \"staff\" }";
    let errors = mapped(map, "ExtendedNewcomer").errors();
    assert_eq!(errors[0].1, "map");
    assert_eq!(
        errors[0].2,
        "\"ExtendedNewcomer\" is not in [map.m]: add it to `values`, or to `ignore` with a reason"
    );
    assert_eq!(mapped(map, "lapsed").errors().len(), 1);
    assert_eq!(mapped(map, "lapsed ").errors().len(), 1);
    assert!(mapped(map, "One").out.contains("{\"a\":1}"));
    let ran = mapped(map, "Admins");
    let (lines, seal) = ran.sealed();
    assert_eq!((lines.len(), &seal["ignored"]), (1, &1.into()));
    assert!(
        ran.err.contains("left out: 1: `a` is \"Admins\": staff"),
        "{}",
        ran.err
    );
    let folded = mapped("values = { LAPSED = \"x\", b = \"y\" }\nfold = true", "B");
    assert_eq!(folded.records().len(), 2);
    mapped("values = { Lapsed = 1.5 }", "x").fails(2, "write it as a text");
}

#[test]
fn all_that_is_wrong_with_an_item_is_on_one_line() {
    let fields = "a = { from = \"a\", type = \"integer\" }\nb = { from = \"b\", type = \"date\" }\nc = { from = \"c\" }";
    let ran = Place::new(&csv_plan(fields), &[("f.csv", b"k,a,b,c\n,x,y,z\n")]).run(&[]);
    let rules: Vec<_> = ran
        .errors()
        .into_iter()
        .map(|(field, rule, _)| format!("{field} {rule}"))
        .collect();
    assert_eq!(rules, ["- key", "a type", "b type"]);
    assert!(
        ran.out.contains("\"key\":null") && ran.out.contains("\"record\":\",x,y,z\""),
        "{}",
        ran.out
    );
}

#[test]
fn a_missing_column_is_one_error_or_one_warning() {
    let fields = "a = { from = [\"a\", \"A\"], required = true }\nb = { from = \"b\" }";
    let run = |text: &str| Place::new(&csv_plan(fields), &[("f.csv", text.as_bytes())]).run(&[]);
    let ran = run("k,b\n1,x\n2,y\n");
    ran.fails(
        4,
        "f.csv: there is no column `a` or `A`, which `e` needs; the header has k, b",
    );
    assert_eq!(ran.out, "");
    run("a,b\n1,x\n").fails(4, "there is no column `k`");
    let ran = run("k,A\n1,x\n2,y\n");
    assert_eq!(ran.records().len(), 2);
    assert_eq!(
        ran.err
            .matches("warning: f.csv has no column `b`: `b` of `e` stays untouched")
            .count(),
        1
    );
}

#[test]
fn columns_stand_in_plan_order_and_see_those_before() {
    let fields = "z = { from = \"a\", type = \"integer\" }\nm = { expr = \"z + 1\", type = \"integer\" }\nb = { value = \"{k}: {a} {{x}}\" }\ns = { expr = \"source['k'] + '!'\" }\nt = { value = true, type = \"boolean\" }\nu = { run = \"id\" }";
    let ran = Place::new(
        &csv_plan(fields).replace("match = [\"a\"]", "match = [\"z\"]"),
        &[("f.csv", b"k,a\n7,41\n")],
    )
    .run(&[]);
    assert_eq!(
        ran.fields(),
        r#"{"z":41,"m":42,"b":"7: 41 {x}","s":"7!","t":true}"#
    );
    let float = csv_plan("a = { expr = \"double(source['a']) * 1.5\" }");
    let errors = Place::new(&float, &[("f.csv", b"k,a\n7,41\n")])
        .run(&[])
        .errors();
    assert!(errors[0].2.contains("binary float"), "{errors:?}");
}

#[test]
fn references_lookups_and_composite_keys() {
    let source = "format = \"csv\", files = [\"f.csv\"], key = { all = [\"k\", [\"x\", \"a\"]] }";
    let fields = "[entity.fields]\na = { from = \"a\" }\nparent = { value = \"{k}|{p}\", ref = \"e\", late = true }\ncode = { from = \"c\", lookup = { table = \"C\", by = \"code\" } }\nnone = { from = \"n\", ref = \"e\", late = true }";
    let ran = Place::new(
        &plan(source, fields),
        &[("f.csv", b"k,a,p,c,n\n 1 ,b|c,d|e,X,\n")],
    )
    .run(&[]);
    assert_eq!(
        ran.records(),
        [
            r#"{"entity":"e","key":"1|b\\|c","at":{"file":"f.csv","line":2},"fields":{"a":"b|c","none":null},"refs":{"parent":{"entity":"e","key":"1|d\\|e"}},"lookups":{"code":"X"}}"#
        ]
    );
}

#[test]
fn one_item_can_give_several_records() {
    let source = "format = \"csv\", files = [\"f.csv\"], key = \"k\", each = { from = \"t\", split = [\";\", \",\"] }";
    let fields = "[entity.fields]\na = { from = \"each\", map = \"m\" }\nn = { from = \"each_index\", type = \"integer\" }\n[map.m]\nvalues = { A = \"a\", B = \"b\" }\nignore = { C = \"no\" }";
    let run = |cell: &str| {
        Place::new(
            &plan(source, fields),
            &[("f.csv", format!("k,t\n1,{cell}\n").as_bytes())],
        )
        .run(&[])
    };
    let ran = run("\"A; B,A;C\"");
    assert_eq!(
        ran.records(),
        [
            r#"{"entity":"e","key":"1|A","at":{"file":"f.csv","line":2},"fields":{"a":"a","n":1}}"#,
            r#"{"entity":"e","key":"1|B","at":{"file":"f.csv","line":2},"fields":{"a":"b","n":2}}"#,
        ]
    );
    let (_, seal) = ran.sealed();
    let account = &seal["accounts"][0];
    assert_eq!(
        (
            &account["items"],
            &account["used"],
            &account["extra"],
            &account["records"]
        ),
        (&1.into(), &1.into(), &1.into(), &2.into())
    );
    assert_eq!(run("A;D;E").errors().len(), 2);
    assert_eq!(run("C").sealed().1["ignored"], 1);
    assert_eq!(run(" ").sealed().1["ignored"], 1);
}

#[test]
fn objects_in_a_json_list_give_records_of_their_own() {
    let source = "format = \"json\", files = [\"f.json\"], key = { all = [\"Id\", \"each.Id\"] }, each = { from = \"FieldValues[SystemCode=Groups].Value\" }";
    let fields =
        "[entity.fields]\na = { from = \"each.Label\" }\nm = { from = \"Id\", ref = \"e\" }";
    let text = r#"[{"Id":1,"FieldValues":[{"SystemCode":"Groups","Value":[{"Id":8,"Label":"x"},{"Id":9,"Label":"y"}]}]}]"#;
    let ran = Place::new(&plan(source, fields), &[("f.json", text.as_bytes())]).run(&[]);
    assert_eq!(
        ran.records()[1],
        r#"{"entity":"e","key":"1|9","at":{"file":"f.json","line":1},"fields":{"a":"y"},"refs":{"m":{"entity":"e","key":"1"}}}"#
    );
}

#[test]
fn every_shape_of_a_field_value_can_be_had() {
    let field = |code: &str, more: &str| {
        let source = "format = \"json\", files = [\"f.json\"], key = \"Id\"";
        let fields = format!(
            "[entity.fields]\na = {{ from = \"FieldValues[SystemCode={code}].Value{more} }}"
        );
        let text = r#"{"Contacts":[{"Id":1,"FieldValues":[
            {"SystemCode":"Text","Value":"x"},{"SystemCode":"Number","Value":0.0000},{"SystemCode":"Flag","Value":false},
            {"SystemCode":"Null","Value":null},{"SystemCode":"Date","Value":"2024-01-15T20:00:00-04:00"},
            {"SystemCode":"Choice","Value":{"Id":5,"Label":"L"}},{"SystemCode":"Many","Value":[{"Id":1,"Label":"p"},{"Id":2,"Label":"q"}]},
            {"SystemCode":"None","Value":[]},{"SystemCode":"Twice","Value":1},{"SystemCode":"Twice","Value":2}]}]}"#;
        Place::new(&plan(source, &fields), &[("f.json", text.as_bytes())]).run(&[])
    };
    for (code, more, value) in [
        ("Text", "\"", "\"x\""),
        ("Number", "\", type = \"decimal\"", "0.0000"),
        ("Flag", "\", type = \"boolean\"", "false"),
        ("Null", "\"", "null"),
        (
            "Date",
            "\", type = \"date\", zone = \"UTC\"",
            "\"2024-01-16\"",
        ),
        ("Choice", "\", type = \"json\"", r#"{"Id":5,"Label":"L"}"#),
        ("Choice", ".Label\"", "\"L\""),
        ("Many", "[*].Label\", type = \"list\"", r#"["p","q"]"#),
        ("None", "\", type = \"list\"", "[]"),
    ] {
        assert_eq!(
            field(code, more).fields(),
            format!("{{\"a\":{value}}}"),
            "{code}"
        );
    }
    assert!(
        field("Choice", "\"").errors()[0]
            .2
            .contains("is an object where a text is expected")
    );
    assert!(
        field("Twice", "\"").errors()[0]
            .2
            .contains("several elements")
    );
    assert_eq!(
        field("Gone", "\", required = true").errors()[0].1,
        "required"
    );
}

#[test]
fn items_can_be_left_out_and_repeats_merged() {
    let source = "format = \"csv\", files = [\"f.csv\"], key = \"k\", repeats = \"merge\", where = \"source['a'] != 'x'\", where_reason = \"x is old\"";
    let place = Place::new(
        &plan(source, "[entity.fields]\na = { from = \"a\" }"),
        &[("f.csv", b"k,a\n1,x\n2,y\n2,y\n2,z\n")],
    );
    let ran = place.run(&["--explain"]);
    let (lines, seal) = ran.sealed();
    let account = &seal["accounts"][0];
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (
            &account["items"],
            &account["ignored"],
            &account["used"],
            &account["merged"]
        ),
        (&4.into(), &1.into(), &3.into(), &1.into())
    );
    assert!(ran.err.contains("left out: 1: x is old"), "{}", ran.err);
}

#[test]
fn several_entities_read_one_source_and_are_counted_apart() {
    let two = csv_plan("a = { from = \"a\", type = \"integer\" }")
        + "[[entity]]\nname = \"f\"\ntable = \"U\"\nmatch = [\"b\"]\nsource = { format = \"csv\", files = [\"*.csv\"], key = \"k\" }\nfields.b = { from = \"a\" }\n";
    let (lines, seal) = Place::new(
        &two,
        &[("f.csv", b"k,a\n1,x\n2,3\n"), ("g.csv", b"k,a\n4,y\n")],
    )
    .run(&[])
    .sealed();
    let names: Vec<_> = lines
        .iter()
        .map(|line| line["entity"].as_str().unwrap_or("reject"))
        .collect();
    assert_eq!(names, ["reject", "e", "f", "f", "f"]);
    let accounts: Vec<_> = seal["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| {
            format!(
                "{} {} {} {}",
                account["entity"], account["file"], account["items"], account["records"]
            )
        })
        .collect();
    assert_eq!(
        accounts,
        [
            "\"e\" \"f.csv\" 2 1",
            "\"f\" \"f.csv\" 2 2",
            "\"f\" \"g.csv\" 1 1"
        ]
    );
    assert_eq!(
        (
            &seal["sources"][0]["items"],
            &seal["records"],
            &seal["rejected"]
        ),
        (&4.into(), &4.into(), &1.into())
    );
}

#[test]
fn operations_come_from_the_plan_or_a_column() {
    let source = "format = \"csv\", files = [\"f.csv\"], key = \"k\"";
    let rest = "target = \"t\"\nto = \"t\"\nop = { from = \"Action\", values = { del = \"delete\", put = \"put\", move = \"remap\" } }\n[entity.fields]\na = { from = \"a\" }";
    let run = |row: &str| {
        Place::new(
            &plan(source, rest),
            &[("f.csv", format!("k,a,t,Action\n{row}\n").as_bytes())],
        )
        .run(&[])
    };
    for (row, end) in [
        ("1,x,,put", r#""fields":{"a":"x"}}"#),
        (
            "1,x,,del",
            r#""op":"delete","at":{"file":"f.csv","line":2}}"#,
        ),
        (
            "1,x,9,del",
            r#""op":"delete","target":"9","at":{"file":"f.csv","line":2}}"#,
        ),
        (
            "1,x,9,move",
            r#""op":"remap","to":"9","at":{"file":"f.csv","line":2}}"#,
        ),
    ] {
        let ran = run(row);
        assert!(ran.records()[0].ends_with(end), "{}", ran.out);
    }
    assert!(run("1,x,,move").errors()[0].2.contains("no target key"));
    assert!(
        run("1,x,,Drop").errors()[0]
            .2
            .contains("\"Drop\" in `Action` is no operation: expected del, put, move")
    );
}

#[test]
fn secrets_are_never_shown() {
    let fields = "a = { from = \"a\", type = \"integer\", secret = true }\nb = { from = \"a\", type = \"date\" }\nc = { from = \"c\", type = \"integer\" }";
    let place = Place::new(
        &csv_plan(fields),
        &[(
            "f.csv",
            b"k,a,c\n1,hunter2,x\n2,\"hun\"\"ter2\",x\nhunter2\n",
        )],
    );
    let ran = place.run(&["--rejects", "r.ndjson", "-v", "--explain"]);
    let copy = std::fs::read_to_string(place.path().join("r.ndjson")).unwrap();
    let (lines, seal) = ran.sealed();
    assert_eq!(
        (
            &seal["rejected"],
            &lines[0]["reject"]["record"],
            &lines[1]["reject"]["record"],
            &lines[2]["reject"]["record"]
        ),
        (&3.into(), &"1,***,x".into(), &"***".into(), &"***".into())
    );
    for text in [&ran.out, &ran.err, &copy] {
        assert!(
            !text.contains("hunter2") && !text.contains("ter2") && text.contains("***"),
            "{text}"
        );
    }
}

#[test]
fn an_expression_that_fails_is_found_by_its_line_of_the_plan() {
    let endless = "source.all(a, source.all(b, source.all(c, [1, 2, 3, 4, 5].all(d, true))))";
    for (rule, why) in [
        ("int(source.c1)", ""),
        (endless, "it takes more than 1000000 steps for one record"),
    ] {
        let plan = csv_plan(&format!("a = {{ expr = \"{rule}\" }}"));
        let columns: Vec<String> = (0..90).map(|n| format!("c{n}")).collect();
        let columns = columns.join(",");
        let csv = format!("k,{columns}\n1,{columns}\n");
        let errors = Place::new(&plan, &[("f.csv", csv.as_bytes())])
            .run(&[])
            .errors();
        let before = plan.split("expr").next().unwrap();
        let line = before.lines().count();
        let expected = format!("the expression on line {line} of the plan fails: {why}");
        assert!(errors[0].2.starts_with(&expected), "{}", errors[0].2);
    }
}
