/**
 * Where a page of a search iterator ends. The next page takes only hits strictly worse than this one's last
 * score, so hits that tie with it must all be on this page: a page may be longer than the batch.
 */
import { invariant } from "@elanus/model/outcome";

/** What native code can say of encoded hits, best first, of one query. */
export interface RankedHits {
  readonly count: number;
  /** Score of the hit at this place, from 0. */
  scoreAt(place: number): number;
}

/** Hits on the page; `undefined`: the ties may go on beyond what was fetched, so more must be. */
export function pageEnd(hits: RankedHits, batch: number, fetchedAll: boolean): number | undefined {
  invariant(batch > 0, "a page has room");
  if (hits.count <= batch) return fetchedAll || hits.count < batch ? hits.count : undefined;
  const bound = hits.scoreAt(batch - 1);
  // Scores are sorted: the last tie is found by halving.
  let tied = batch;
  let beyond = hits.count + 1;
  while (beyond - tied > 1) {
    const middle = Math.floor((tied + beyond) / 2);
    if (hits.scoreAt(middle - 1) === bound) tied = middle;
    else beyond = middle;
  }
  return tied === hits.count && !fetchedAll ? undefined : tied;
}
