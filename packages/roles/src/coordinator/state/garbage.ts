/** Which stored objects nobody needs. */
export interface GarbageVerdict {
  /** Unreferenced for longer than the grace time. */
  readonly condemned: readonly string[];
  /** First sight of every object that is unreferenced now. */
  readonly unreferencedSince: ReadonlyMap<string, number>;
}

/**
 * An object that a job is just writing is unreferenced too; the grace time must be longer than any such job
 * and any pinned view. The sights are kept in memory only, so a restart begins every grace time anew.
 */
export function findGarbage(
  stored: readonly string[],
  referenced: ReadonlySet<string>,
  seen: ReadonlyMap<string, number>,
  nowMs: number,
  graceMs: number,
): GarbageVerdict {
  const condemned: string[] = [];
  const unreferencedSince = new Map<string, number>();
  for (const key of stored) {
    if (referenced.has(key)) continue;
    const since = seen.get(key) ?? nowMs;
    if (nowMs - since >= graceMs) condemned.push(key);
    else unreferencedSince.set(key, since);
  }
  return { condemned, unreferencedSince };
}
