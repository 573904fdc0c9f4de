/** I9: timestamps and terms rise along each channel, over restarts and owners, and agree with the clients' order. */
import type { AuditedRecord } from "../log-audit.ts";
import type { Checker, History } from "../history.ts";

export const timeOrder: Checker = {
  invariant: "I9",
  name: "time order",
  check(history: History): readonly string[] {
    const found: string[] = [];
    for (const [channel, records] of byChannel(history.records)) {
      for (const [index, record] of records.entries()) {
        const before = records[index - 1];
        if (before === undefined) continue;
        if (record.position === before.position)
          found.push(`${channel}: record ${record.position} was acknowledged twice`);
        if (record.at <= before.at) found.push(`${channel}: time goes back at record ${record.position}`);
        if (record.term < before.term) found.push(`${channel}: an older owner appended record ${record.position}`);
      }
    }
    return [...found, ...clientOrder(history)];
  },
};

function byChannel(records: readonly AuditedRecord[]): ReadonlyMap<string, readonly AuditedRecord[]> {
  const channels = new Map<string, AuditedRecord[]>();
  for (const record of records) channels.set(record.channel, [...(channels.get(record.channel) ?? []), record]);
  for (const list of channels.values()) list.sort((a, b) => Number(a.position - b.position));
  return channels;
}

/** A write that began after another was acknowledged has the later timestamp. */
function clientOrder(history: History): string[] {
  const found: string[] = [];
  const acked = history.writes.filter((write) => write.outcome === "acked");
  const ends = [...acked].sort((a, b) => a.ended - b.ended);
  let next = 0;
  let newest = 0n;
  for (const write of [...acked].sort((a, b) => a.started - b.started)) {
    for (let end = ends[next]; end !== undefined && end.ended < write.started; end = ends[next]) {
      if (end.at !== undefined && end.at > newest) newest = end.at;
      next += 1;
    }
    if (write.at !== undefined && write.at <= newest)
      found.push(`write ${write.id} has a timestamp from before it began`);
  }
  return found;
}
