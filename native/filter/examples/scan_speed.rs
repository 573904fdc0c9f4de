//! Prints rows per second and core for a few filters over a million rows.

use elanus_filter::{ColumnSource, Program, RunColumn};
use elanus_rows::column::{Column, Values, VarBytes};
use elanus_rows::error::NativeError;
use elanus_rows::schema::Schema;
use std::time::Instant;

const ROWS: usize = 1 << 20;

struct Table(Vec<Column>);

impl ColumnSource for Table {
    fn row_count(&self) -> usize {
        ROWS
    }

    fn column(&self, _run: usize, field: u32) -> Result<Option<RunColumn<'_>>, NativeError> {
        Ok(self.0.get(field as usize - 100).map(|column| RunColumn::Kept(column.into())))
    }
}

fn schema() -> Result<Schema, String> {
    let types = [(100, 5), (101, 4), (102, 11), (103, 21), (104, 23)];
    let fields: Vec<String> = types
        .iter()
        .map(|(id, kind)| {
            let flags = r#""autoId":false,"partitionKey":false,"nullable":false,"dynamic":false"#;
            format!(r#"{{"id":{id},"name":"f{id}","type":{kind},"primaryKey":{},{flags}}}"#, *id == 100)
        })
        .collect();
    let fields = fields.join(",");
    Schema::from_json(&format!(r#"{{"name":"c","fields":[{fields}],"dynamicFieldEnabled":false,"version":0}}"#))
}

fn table() -> Table {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % 1000
    };
    let ints: Vec<i64> = (0..ROWS).map(|_| next()).collect();
    let text = |make: &dyn Fn(i64) -> String| {
        let mut bytes = VarBytes::default();
        ints.iter().for_each(|&v| bytes.push(make(v).as_bytes()));
        Values::Bytes(bytes)
    };
    let columns = [
        Values::Int64(ints.clone()),
        Values::Int32(ints.iter().map(|&v| v as i32).collect()),
        Values::Double(ints.iter().map(|&v| v as f64).collect()),
        text(&|v| format!("category-{v}")),
        text(&|v| format!(r#"{{"colour":"red","size":{v},"tags":["a","b"],"deep":{{"x":{v}}}}}"#)),
    ];
    Table(columns.into_iter().map(|values| Column { values, validity: None }).collect())
}

fn int(out: &mut Vec<u8>, value: i64) {
    out.push(1);
    out.extend(value.to_le_bytes());
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend((value.len() as u32).to_le_bytes());
    out.extend(value.as_bytes());
}

fn column(out: &mut Vec<u8>, field: u32) {
    out.push(0);
    out.extend(field.to_le_bytes());
}

fn programs() -> Vec<(&'static str, Vec<u8>)> {
    let mut range = vec![7, 3];
    column(&mut range, 100);
    int(&mut range, 100);
    int(&mut range, 200);
    let mut narrow = vec![6, 1];
    column(&mut narrow, 101);
    int(&mut narrow, 500);
    let mut double = vec![6, 3];
    column(&mut double, 102);
    int(&mut double, 500);
    let mut listed = vec![8];
    column(&mut listed, 100);
    listed.push(1);
    listed.extend(100u32.to_le_bytes());
    (0..100i64).for_each(|v| listed.extend((v * 7).to_le_bytes()));
    let mut equal = vec![6, 0];
    column(&mut equal, 103);
    equal.push(3);
    text(&mut equal, "category-77");
    let mut like = vec![9];
    column(&mut like, 103);
    text(&mut like, "%y-7%");
    let mut json = vec![6, 0, 1];
    json.extend(104u32.to_le_bytes());
    json.extend(1u32.to_le_bytes());
    json.push(0);
    text(&mut json, "size");
    int(&mut json, 7);
    let mut both = vec![1];
    both.extend(2u32.to_le_bytes());
    both.extend(&json);
    both.extend(&range);
    vec![
        ("int64 range", range),
        ("int32 <", narrow),
        ("double >", double),
        ("int64 in 100", listed),
        ("varchar ==", equal),
        ("varchar like %x%", like),
        ("json ==", json),
        ("json == and int64 range", both),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (schema, table) = (schema()?, table());
    for (name, body) in programs() {
        let mut bytes = b"EFLT\x01".to_vec();
        bytes.extend(body);
        let program = Program::decode(&schema, &bytes)?;
        let mut best = f64::MAX;
        let mut rows = 0;
        for _ in 0..7 {
            let start = Instant::now();
            rows = program.evaluate(&table, None, None)?.count_ones();
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{name:<26} {:>8.0} M rows/s  ({rows} rows)", ROWS as f64 / best / 1e6);
    }
    Ok(())
}
