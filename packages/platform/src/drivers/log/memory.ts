/** The log in memory, for tests and for databases that keep nothing. It fences like the real ones. */
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import { type Outcome, fail, succeed } from "@elanus/model/outcome";
import type { LogFrame, LogStore, LogWriter } from "../../ports/log.ts";

export function memoryLog(): LogStore {
  return new MemoryLog();
}

interface Channel {
  term: Term;
  owner: symbol | undefined;
  last: LogPosition;
  frames: LogFrame[];
}

class MemoryLog implements LogStore {
  readonly #channels = new Map<ChannelName, Channel>();

  async open(name: ChannelName, term: Term): Promise<Outcome<LogWriter>> {
    const channel = this.#channels.get(name) ?? { term, owner: undefined, last: 0n as LogPosition, frames: [] };
    this.#channels.set(name, channel);
    if (channel.term > term) return fail({ kind: "fenced", channel: name });
    const me = Symbol(name);
    channel.term = term;
    channel.owner = me;
    return succeed(writerOf(name, channel, me));
  }

  async *read(name: ChannelName, after: LogPosition): AsyncGenerator<Outcome<LogFrame>> {
    const frames = [...(this.#channels.get(name)?.frames ?? [])];
    for (const frame of frames) if (frame.position > after) yield succeed(frame);
  }
}

function writerOf(name: ChannelName, channel: Channel, me: symbol): LogWriter {
  let isClosed = false;
  const refusal = (): Outcome<never> | undefined => {
    if (channel.owner !== me) return fail({ kind: "fenced", channel: name });
    return isClosed ? fail({ kind: "ioFailed", message: `log writer of ${name} is closed` }) : undefined;
  };
  return {
    get last() {
      return channel.last;
    },
    async append(pieces) {
      const refused = refusal();
      if (refused !== undefined) return refused;
      channel.last = (channel.last + 1n) as LogPosition;
      channel.frames.push({ position: channel.last, bytes: Buffer.concat(pieces) });
      return succeed(channel.last);
    },
    confirm: async () => refusal() ?? succeed(undefined),
    async truncate(position) {
      const refused = refusal();
      if (refused !== undefined) return refused;
      channel.frames = channel.frames.filter((frame) => frame.position > position);
      return succeed(undefined);
    },
    async close() {
      isClosed = true;
    },
  };
}
