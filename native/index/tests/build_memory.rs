//! What a build holds besides the rows that it is given, as the kernel counts it.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::process::Command;

use elanus_index::catalog::{Rows, build_to};
use elanus_index::progress::Progress;
use elanus_index::vector::{Element, VectorRows};

const ROWS: usize = 20_000;
const DIM: usize = 384;

struct Floats(Vec<u8>);

impl VectorRows for Floats {
    fn len(&self) -> usize {
        ROWS
    }
    fn element(&self) -> Element {
        Element::F32
    }
    fn dim(&self) -> usize {
        DIM
    }
    fn row(&self, row: u32) -> &[u8] {
        &self.0[row as usize * DIM * 4..(row as usize + 1) * DIM * 4]
    }
}

/// Around a hundred centres.
fn rows() -> Floats {
    let mut state = 7u64;
    let mut float = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let centres: Vec<f32> = (0..100 * DIM).map(|_| float()).collect();
    let value = |at: usize| centres[at / DIM % 100 * DIM + at % DIM];
    Floats((0..ROWS * DIM).flat_map(|at| (value(at) + 0.5 * float()).to_le_bytes()).collect())
}

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find(|line| line.starts_with(name)).expect(name);
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect(name) * 1024.0
}

/// Set in a process of its own for each build: what one leaves behind would hide what the next one takes.
const CHILD: &str = "ELANUS_TEST_BUILD";

#[test]
fn a_build_holds_a_known_share_of_its_rows() {
    if let Ok(asked) = std::env::var(CHILD) {
        let (index_type, params) = asked.split_once(' ').expect("type and parameters");
        println!("share {}", held_by(index_type, params));
        return;
    }
    for (index_type, params, most) in [
        ("HNSW", r#"{"M": 16, "efConstruction": 100}"#, 0.8),
        ("HNSW_SQ", r#"{"M": 16, "efConstruction": 100, "sq_type": "SQ8"}"#, 1.1),
        ("HNSW_PQ", r#"{"M": 16, "efConstruction": 100, "m": 48}"#, 1.7),
        ("DISKANN", "{}", 0.8),
        ("IVF_FLAT", r#"{"nlist": 128}"#, 1.0),
        ("IVF_SQ8", r#"{"nlist": 128}"#, 1.0),
        ("IVF_PQ", r#"{"nlist": 128, "m": 48}"#, 1.0),
        ("IVF_RABITQ", r#"{"nlist": 128}"#, 1.0),
        ("SCANN", r#"{"nlist": 128}"#, 1.0),
    ] {
        let test = std::env::current_exe().expect("this test");
        let mut child = Command::new(test);
        child.args(["--nocapture", "--test-threads", "1"]).env(CHILD, format!("{index_type} {params}"));
        let output = child.output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let share = text.lines().find_map(|line| line.split_once("share ")?.1.parse::<f64>().ok());
        let share = share.unwrap_or_else(|| panic!("{index_type}: {output:?}"));
        println!("{index_type} {share:.2}");
        assert!(share <= most, "{index_type} held {share:.2} of its rows");
    }
}

/// The most that a build held at once, as a share of the rows.
fn held_by(index_type: &str, params: &str) -> f64 {
    let rows = rows();
    let path = std::env::temp_dir().join(format!("elanus-build-{}", std::process::id()));
    let mut file = File::create(&path).expect("a file");
    // Forgets the peak of making the rows.
    std::fs::write("/proc/self/clear_refs", "5").expect("own process");
    let before = status("VmRSS");
    build_to(&mut file, index_type, "L2", params, Rows::Dense(&rows), &Progress::default(), 2).expect("built");
    let most = status("VmHWM") - before;
    std::fs::remove_file(path).expect("made above");
    most / rows.0.len() as f64
}
