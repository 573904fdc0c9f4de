//! The files of a sealed segment: readable by others, read where they lie, and never believed when damaged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use elanus_kernels::crc32c;
use elanus_rows::column::{Column, Values};
use elanus_rows::hits::Hits;
use elanus_rows::json_in::placeholders_from_json;
use elanus_rows::keys::Keys;
use elanus_rows::schema::{DataType, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::explain::Filtering;
use crate::file::{FileSource, SegmentFile};
use crate::part::{Data, Source, Vectors, vector};
use crate::query::{QueryRequest, query, retrieve};
use crate::sealed::scalars::TIMESTAMP;
use crate::search::{SearchRequest, explain, search};
use crate::segment::Segment;
use crate::testing::{DIM, Random, batch, file, files, filters, index, keys, plain, schema, seal};
use elanus_index::vector::VectorRows;

/// Rows 0..count, in random order and several batches, some of them dead.
fn grown(schema: &Arc<Schema>, random: &mut Random, count: i64) -> Arc<Segment> {
    let segment = Segment::growing(Arc::clone(schema), 7);
    let mut order: Vec<i64> = (0..count).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, random.below(i as u64 + 1) as usize);
    }
    for (i, keys) in order.chunks(3000).enumerate() {
        segment.append(batch(schema, random, keys), 100 + i as u64).expect("appends");
    }
    segment.delete(&keys(schema, &[1, 5, count - 1]), 1000).expect("deletes");
    segment
}

fn content(file: &SegmentFile) -> &[u8] {
    match &file.source {
        FileSource::Content(content) => content,
        FileSource::Path(_) => panic!("the tests keep files in memory"),
    }
}

fn read(file: &SegmentFile) -> Vec<RecordBatch> {
    let bytes = Bytes::copy_from_slice(content(file));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet").build().expect("readable");
    reader.map(|batch| batch.expect("readable")).collect()
}

/// The column of the vector file as another reader sees it: bytes of each row, `None` when null.
fn decoded(file: &SegmentFile) -> Vec<Option<Vec<u8>>> {
    let mut rows = Vec::new();
    for batch in read(file) {
        let column = batch.column(0);
        for i in 0..column.len() {
            rows.push(column.is_valid(i).then(|| {
                if let Some(list) = column.as_list_opt::<i32>() {
                    let list = list.value(i);
                    return list.as_primitive::<Float32Type>().values().iter().flat_map(|x| x.to_le_bytes()).collect();
                }
                match column.as_fixed_size_binary_opt() {
                    Some(fixed) => fixed.value(i).to_vec(),
                    None => column.as_binary::<i32>().value(i).to_vec(),
                }
            }));
        }
    }
    rows
}

#[test]
fn vectors_are_read_where_they_lie() {
    let schema = schema(false);
    let segment = grown(&schema, &mut Random::new(1), 40_000);
    let files = files(&segment);
    let sealed = Segment::open(Arc::clone(&schema), 7, files.clone()).expect("opens");
    let sealed = Source::Sealed(Arc::clone(sealed.as_sealed().expect("sealed")));
    for file in files.iter().filter(|file| file.role.starts_with("vector:")) {
        let id = file.role["vector:".len()..].parse().expect("an id");
        let position = schema.position(id).expect("a field");
        let data = sealed.data(&schema, position).expect("opens");
        let Data::Vectors(opened) = data else { panic!("vectors") };
        let dense = schema.fields[position].data_type != DataType::SparseFloatVector;
        assert!(opened.is_mapped(), "{}", file.role);
        let decoded = decoded(file);
        assert_eq!(decoded.len(), 40_000);
        for (row, expected) in decoded.iter().enumerate() {
            assert_eq!(vector(data, row), expected.as_deref().unwrap_or_default(), "{} row {row}", file.role);
        }
        if dense {
            check_runs(&Vectors::new(&schema, &sealed, position).expect("opens"), &decoded);
        }
    }
}

/// Runs cover all rows once, and say the same as `row`.
fn check_runs(vectors: &Vectors<'_>, expected: &[Option<Vec<u8>>]) {
    let (mut row, mut runs) = (0, 0);
    while row < expected.len() {
        let (bytes, count) = vectors.run(row as u32);
        assert!(count > 0);
        if bytes.is_empty() {
            assert!(expected[row..row + count].iter().all(Option::is_none));
        } else {
            let whole: Vec<u8> = expected[row..row + count].iter().flatten().flatten().copied().collect();
            assert_eq!(bytes, whole);
        }
        row += count;
        runs += 1;
    }
    assert_eq!(row, expected.len());
    assert!(runs > 1, "several pages");
}

#[test]
fn other_readers_see_names_types_and_order() {
    let schema = schema(true);
    let segment = grown(&schema, &mut Random::new(2), 5000);
    let files = files(&segment);
    let batches = read(&files[0]);
    let names: Vec<String> = batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    let scalars = schema.fields.iter().filter(|field| !field.data_type.is_vector());
    let expected: Vec<&str> = scalars.map(|field| field.name.as_str()).chain([TIMESTAMP]).collect();
    assert_eq!(names, expected);
    let keys: Vec<&str> =
        batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten()).collect();
    assert_eq!(keys.len(), 5000);
    assert!(keys.is_sorted());
    let vectors = read(files.iter().find(|file| file.role == "vector:110").expect("written"));
    assert_eq!(vectors[0].schema().field(0).name(), "vector");
    assert_eq!(vectors[0].column(0).as_list::<i32>().value(0).len(), DIM);
}

#[test]
fn damage_is_found_and_named() {
    let schema = schema(false);
    let mut random = Random::new(3);
    let whole = files(&grown(&schema, &mut random, 800));
    for _ in 0..300 {
        let mut files = whole.clone();
        let victim = random.below(files.len() as u64) as usize;
        damage(&mut files[victim], &mut random);
        let role = files[victim].role.clone();
        let error = Segment::open(Arc::clone(&schema), 7, files).expect_err("damaged");
        assert_eq!(error.kind(), "fileCorrupt");
        assert!(error.to_string().starts_with(&role), "{error}");
    }
    for missing in 0..whole.len() {
        let mut files = whole.clone();
        let file = files.remove(missing);
        let opened = Segment::open(Arc::clone(&schema), 7, files);
        assert_eq!(opened.is_err(), file.role != "deletes", "without {}", file.role);
    }
}

fn damage(file: &mut SegmentFile, random: &mut Random) {
    let FileSource::Content(content) = &mut file.source else { return };
    let at = random.below(content.len() as u64) as usize;
    match random.below(3) {
        0 => content.truncate(at),
        1 => content[at] ^= 1 << random.below(8),
        _ => content.push(0),
    }
}

/// Damage that happened before the checksum was taken: an error or some answer, but never a panic.
#[test]
fn wrong_files_with_right_checksums_do_not_panic() {
    let schema = schema(false);
    let mut random = Random::new(4);
    let whole = files(&grown(&schema, &mut random, 800));
    for round in 0..600 {
        let mut files = whole.clone();
        let victim = random.below(files.len() as u64) as usize;
        damage(&mut files[victim], &mut random);
        let mut content = content(&files[victim]).to_vec();
        if matches!(files[victim].role.as_str(), "statistics" | "deletes") && content.len() > 4 {
            let end = content.len() - 4;
            let crc = crc32c(&content[..end]).to_le_bytes();
            content[end..].copy_from_slice(&crc);
        }
        files[victim] = file(&files[victim].role.clone(), content);
        let role = files[victim].role.clone();
        let quiet = catch_unwind(AssertUnwindSafe(|| use_all(&schema, files)));
        assert!(quiet.is_ok(), "panic over {role} in round {round}");
    }
}

/// Opens and reads everything; errors are fine.
fn use_all(schema: &Arc<Schema>, files: Vec<SegmentFile>) {
    let Ok(segment) = Segment::open(Arc::clone(schema), 7, files) else { return };
    let fields: Vec<u32> = schema.fields.iter().map(|field| field.id).collect();
    for snapshot in [101, u64::MAX] {
        let segments = &[Arc::clone(&segment)];
        let _ = query(&QueryRequest {
            segments,
            moment: snapshot.into(),
            filter: None,
            limit: None,
            fields: &fields,
            bytes_max: 1 << 30,
        });
        let _ = segment.find(&keys(schema, &[0, 17, 799]), snapshot.into());
    }
    let _ = segment.delete(&keys(schema, &[3, 4]), 2000);
    let _ = segment.export_deletes();
}

#[test]
fn fields_that_came_later_read_as_null_or_default() {
    let old = schema(false);
    let segment = grown(&old, &mut Random::new(8), 50);
    let mut newer = Schema::clone(&old);
    let mut added = newer.fields[4].clone();
    (added.id, added.name, added.nullable) = (200, "later".into(), true);
    newer.fields.push(added.clone());
    added.id = 201;
    added.name = "counted".into();
    added.default_value = Some(elanus_rows::schema::DefaultValue::Int(42));
    newer.fields.push(added);
    let mut later = newer.fields[10].clone();
    (later.id, later.name, later.nullable) = (202, "laterVector".into(), true);
    newer.fields.push(later);
    let newer = Arc::new(newer);
    let check = |segment: Arc<Segment>| {
        let (segments, fields) = (&[segment], &[200, 201, 202]);
        let request =
            QueryRequest { segments, moment: (500).into(), filter: None, limit: Some(3), fields, bytes_max: 1 << 20 };
        let rows = query(&request).expect("queries");
        let column = |i: usize| -> &Column { &rows.columns[i].1 };
        assert_eq!(column(2).values, Values::Int32(vec![42; 3]));
        assert!((0..3).all(|row| !column(1).is_valid(row) && !column(3).is_valid(row) && column(2).is_valid(row)));
    };
    check(Segment::open(Arc::clone(&newer), 7, files(&segment)).expect("opens"));
    // Segments that were opened before the fields came are merged into one that has them.
    let sources = [segment.clone(), seal(&segment).expect("opens")];
    for source in sources {
        let merged = Segment::merge(Arc::clone(&newer), 8, &[source], 0, 0).expect("merges");
        check(seal(&merged).expect("opens"));
    }
}

#[test]
fn hits_beyond_a_segment_are_refused() {
    let schema = schema(false);
    let growing = grown(&schema, &mut Random::new(11), 20);
    for segment in [seal(&growing).expect("opens"), growing] {
        let mut hits = Hits::empty(1, false);
        (hits.counts[0], hits.scores, hits.keys) = (1, vec![0.5], Keys::Int(vec![3]));
        (hits.segments, hits.rows) = (vec![7], vec![20]);
        assert_eq!(retrieve(&[Arc::clone(&segment)], &hits, &[100]).expect_err("refused").kind(), "internal");
        hits.rows[0] = 19;
        assert_eq!(retrieve(&[Arc::clone(&segment)], &hits, &[100]).expect("there").row_count, 1);
        hits.segments[0] = 8;
        assert_eq!(retrieve(&[segment], &hits, &[100]).expect("elsewhere").row_count, 0);
    }
}

#[test]
fn iterating_by_score_meets_every_row_once() {
    let schema = schema(false);
    let mut random = Random::new(12);
    let (first, second) = (grown(&schema, &mut random, 700), grown(&schema, &mut random, 1));
    let segments = &[seal(&first).expect("opens"), second];
    let of = &schema.fields[schema.position(110).expect("a field")];
    let text = format!("[{}]", query_text(DataType::FloatVector, &mut random));
    let placeholders = &placeholders_from_json(of, text.as_bytes()).expect("encodes");
    for (metric, field) in [("L2", 110), ("IP", 110), ("COSINE", 110)] {
        let (params, filter, top_k, snapshot) = ("{}", None, 64, 500);
        let (radius, range_filter) = (None, None);
        let (mut after_score, mut met) = (None, Vec::new());
        loop {
            let request = SearchRequest {
                segments,
                field,
                metric,
                placeholders,
                top_k,
                moment: snapshot.into(),
                filter,
                params,
                radius,
                range_filter,
                after_score,
                group_by: None,
                filter_late: false,
                exact: false,
            };
            let hits = search(&request).expect("searches");
            let Some(last) = hits.scores.last() else { break };
            after_score = Some(*last);
            met.extend(hits.segments.iter().zip(&hits.rows).map(|(&segment, &row)| (segment, row)));
        }
        assert_eq!(met.len(), 701, "{metric}");
    }
}

#[test]
fn few_rows_are_fetched_without_the_rest() {
    let schema = schema(false);
    let mut random = Random::new(9);
    let sealed = seal(&grown(&schema, &mut random, 20_000)).expect("opens");
    let sealed = sealed.as_sealed().expect("sealed");
    for (position, field) in schema.fields.iter().enumerate().filter(|(_, field)| !field.data_type.is_vector()) {
        let mut rows: Vec<u32> = (0..50).map(|_| random.below(20_000) as u32).collect();
        rows.extend([0, 19_999, rows[3]]);
        let before = sealed.bytes();
        let fetched = sealed.gather(position, &rows).expect("fetches");
        assert_eq!(sealed.bytes(), before, "{} is not kept", field.name);
        assert_eq!(plain(fetched), plain(sealed.column(position).expect("decodes").gather(&rows)), "{}", field.name);
    }
}

#[test]
fn several_queries_at_once_answer_like_each_alone() {
    let schema = schema(false);
    let mut random = Random::new(10);
    let growing = grown(&schema, &mut random, 9000);
    let sealed = seal(&growing).expect("opens");
    for (segment, field) in [(&growing, 110), (&sealed, 110), (&sealed, 114), (&sealed, 113), (&sealed, 112)] {
        let position = schema.position(field).expect("a field");
        let of = &schema.fields[position];
        let metric = match of.data_type {
            DataType::SparseFloatVector => "IP",
            DataType::BinaryVector => "HAMMING",
            _ => "COSINE",
        };
        let texts: Vec<String> = (0..5).map(|_| query_text(of.data_type, &mut random)).collect();
        let ask = |text: &str| {
            let placeholders = placeholders_from_json(of, format!("[{text}]").as_bytes()).expect("encodes");
            let segments = &[Arc::clone(segment)];
            let (params, filter) = ("{}", None);
            let (radius, range_filter, after_score) = (None, None, None);
            let (placeholders, top_k, snapshot) = (placeholders.as_slice(), 20, 2000);
            let request = SearchRequest {
                segments,
                field,
                metric,
                placeholders,
                top_k,
                moment: snapshot.into(),
                filter,
                params,
                radius,
                range_filter,
                after_score,
                group_by: None,
                filter_late: false,
                exact: false,
            };
            search(&request).expect("searches")
        };
        let together = ask(&texts.join(","));
        let starts = together.starts();
        for (i, text) in texts.iter().enumerate() {
            let alone = ask(text);
            assert_eq!(alone.rows, together.rows[starts[i]..starts[i + 1]], "field {field} query {i}");
            assert_eq!(alone.len(), 20);
        }
    }
}

fn query_text(data_type: DataType, random: &mut Random) -> String {
    let mut number = |bound: u64| random.below(bound);
    match data_type {
        DataType::SparseFloatVector => {
            format!(r#"{{"{}":1.5,"{}":0.5,"{}":2.0}}"#, number(9), number(9) + 10, number(9) + 20)
        }
        DataType::BinaryVector => format!("[{}]", number(256)),
        _ => format!("{:?}", (0..DIM).map(|_| number(200) as f32 / 100.0 - 1.0).collect::<Vec<_>>()),
    }
}

#[test]
fn an_empty_segment_can_be_sealed() {
    let schema = schema(true);
    let sealed = seal(&Segment::growing(Arc::clone(&schema), 7)).expect("opens");
    assert_eq!((sealed.row_count(), sealed.timestamp_min(), sealed.timestamp_max()), (0, 0, 0));
}

/// A filter that waits finds what one evaluated before finds, also when so few rows pass that it must be evaluated
/// on all of them after all.
#[test]
fn filters_that_wait_change_no_answer() {
    let schema = schema(false);
    let mut random = Random::new(13);
    let sealed = seal(&grown(&schema, &mut random, 4_000)).expect("opens");
    index(&sealed, 1, 110, "HNSW", "L2").expect("builds");
    let of = &schema.fields[schema.position(110).expect("a field")];
    for share in [0, 15_000, -20_000, -32_600] {
        let text = format!("[{}]", query_text(DataType::FloatVector, &mut random));
        let placeholders = &placeholders_from_json(of, text.as_bytes()).expect("encodes");
        let filter = filters::small(share);
        let ask = |filter_late| SearchRequest {
            segments: std::slice::from_ref(&sealed),
            field: 110,
            metric: "L2",
            placeholders,
            top_k: 10,
            moment: (500).into(),
            filter: Some(&filter),
            params: r#"{"ef": 200}"#,
            radius: None,
            range_filter: None,
            after_score: None,
            group_by: None,
            filter_late,
            exact: false,
        };
        let (before, _) = explain(&ask(false)).expect("searches");
        let (late, reports) = explain(&ask(true)).expect("searches");
        let waited = reports.iter().any(|report| report.filtering == Filtering::Candidates);
        assert_eq!(waited, share > -32_000, "{share}: {reports:?}");
        let common = late.rows.iter().filter(|row| before.rows.contains(row)).count();
        assert!(late.len() == before.len() && common * 10 >= before.len() * 9, "{share}: {common}");
    }
}
