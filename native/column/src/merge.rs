//! Compaction: the rows of several segments that somebody can still see, in key order.

use std::sync::Arc;

use elanus_rows::column::Bits;
use elanus_rows::error::Result;
use elanus_rows::schema::Schema;

use crate::chunk::inserted;
use crate::deaths::Deaths;
use crate::layout::Layout;
use crate::moment::Moment;
use crate::part::Source;
use crate::segment::Segment;

pub(crate) fn merge(
    schema: &Schema,
    sources: &[Arc<Segment>],
    drop_before: u64,
    expired: u64,
) -> Result<(Layout, Deaths)> {
    let mut inputs: Vec<(Source, Option<Bits>)> = Vec::new();
    let mut tombstones = Vec::new();
    for segment in sources {
        for (source, deaths) in segment.contents()? {
            let mut keep = None;
            if deaths.touches(source.base(), source.rows()) {
                let mut bits = Bits::with_value(source.rows(), true);
                deaths.hide(source.base(), &mut bits, drop_before);
                keep = Some(bits);
            }
            if source.stamps()?.iter().any(|&stamp| stamp <= expired) {
                let young = inserted(source.stamps()?, Moment { snapshot: u64::MAX, expired });
                keep.get_or_insert_with(|| Bits::with_value(source.rows(), true)).and(&young);
            }
            tombstones.push(deaths);
            inputs.push((source, keep));
        }
    }
    let layout = Layout::new(schema, inputs)?;
    let mut deaths = Deaths::default();
    for (position, &(source, row)) in layout.order().iter().enumerate() {
        let base = layout.sources()[source as usize].base();
        if let Some(at) = tombstones[source as usize].of(base + row) {
            deaths.kill(position as u32, at);
        }
    }
    Ok((layout, deaths))
}
