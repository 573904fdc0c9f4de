/** Watches a log from outside: which records were acknowledged, by which term, with which timestamps. */
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import { decodeLogRecord } from "@elanus/model/log-record";
import { succeed } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { LogStore } from "@elanus/platform/ports/log";
import { override } from "./mutation.ts";

export interface AuditedRecord {
  readonly channel: ChannelName;
  readonly position: LogPosition;
  readonly at: Timestamp;
  readonly term: Term;
}

export class LogAudit {
  /** In the order of their acknowledgement. */
  readonly records: AuditedRecord[] = [];

  watch(log: LogStore): LogStore {
    return override(log, {
      open: async (channel: ChannelName, term: Term) => {
        const opened = await log.open(channel, term);
        if (!opened.ok) return opened;
        const writer = opened.value;
        return succeed(
          override(writer, {
            append: async (pieces) => {
              const appended = await writer.append(pieces);
              if (appended.ok) this.#note(channel, appended.value, Buffer.concat(pieces));
              return appended;
            },
          }),
        );
      },
    });
  }

  #note(channel: ChannelName, position: LogPosition, bytes: Uint8Array): void {
    const record = decodeLogRecord(bytes, channel);
    if (record.ok) this.records.push({ channel, position, at: record.value.at, term: record.value.term });
  }
}
