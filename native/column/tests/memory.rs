//! The process-wide memory counters; alone in their process, because they count every segment.

use std::sync::Arc;

use elanus_column::{FileSource, MemoryUse, Segment, SegmentFile, memory_use};
use elanus_kernels::crc32c;
use elanus_rows::column::{Batch, Column, Values};
use elanus_rows::keys::Keys;
use elanus_rows::schema::Schema;

const SCHEMA: &str = r#"{"name":"c","dynamicFieldEnabled":false,"version":1,"fields":[
    {"id":100,"name":"pk","type":5,"primaryKey":true,
     "autoId":false,"partitionKey":false,"nullable":false,"dynamic":false},
    {"id":101,"name":"v","type":101,"dim":64,"primaryKey":false,"autoId":false,"partitionKey":false,"nullable":false,
     "dynamic":false}]}"#;

fn rows(from: i64, to: i64) -> Batch {
    let count = (to - from) as usize;
    let keys = Column { values: Values::Int64((from..to).collect()), validity: None };
    let vectors = Column { values: Values::Fixed { width: 256, data: vec![1; count * 256] }, validity: None };
    Batch { row_count: count, columns: vec![keys, vectors] }
}

#[test]
fn counters_follow_segments() {
    let schema = Arc::new(Schema::from_json(SCHEMA).expect("a schema"));
    assert_eq!(memory_use(), MemoryUse::default());
    let growing = Segment::growing(Arc::clone(&schema), 1);
    for i in 0..10 {
        growing.append(rows(i * 1000, (i + 1) * 1000), 10).expect("appends");
    }
    let own = 10_000 * (8 + 8 + 256);
    let held = memory_use();
    assert!(held.growing >= own && held.growing < 2 * own, "{held:?}");
    assert_eq!(held.growing, growing.byte_size() as u64);

    let folder = std::env::temp_dir().join(format!("elanus-memory-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let files: Vec<SegmentFile> = growing
        .groups()
        .into_iter()
        .map(|role| {
            let content = growing.encode_group(&role).expect("encodes");
            let (crc32c, bytes) = (crc32c(&content), content.len() as u64);
            let path = folder.join(role.replace(':', "-"));
            std::fs::write(&path, content).expect("writes");
            SegmentFile { role, crc32c, bytes, source: FileSource::Path(path), field: None }
        })
        .collect();
    drop(growing);
    assert_eq!(memory_use(), MemoryUse::default());

    let sealed = Segment::open(schema, 1, files).expect("opens");
    let opened = memory_use();
    assert!(opened.sealed >= 80_000 && opened.sealed < 1_000_000, "keys and key filter, not vectors: {opened:?}");
    sealed.delete(&Keys::Int((0..5000).collect()), 20).expect("deletes");
    assert!(memory_use().sealed > opened.sealed);
    drop(sealed);
    assert_eq!(memory_use(), MemoryUse::default());
    std::fs::remove_dir_all(folder).expect("made above");
}
