/**
 * Files whose parts are read when asked for: on this machine here, on the Hub in hub_dataset.ts.
 * Below the readers of Parquet, Arrow, JSON and CSV.
 */
import type { RangeReader } from "./hub.ts";

/** A file of a dataset. */
export interface DataFile {
  /** What to call it in messages; a path, where it is on this machine. */
  readonly name: string;
  /** Gives access to its bytes. */
  open(): Promise<RangeReader>;
}

async function readRange(path: string, start: number, end: number): Promise<ArrayBuffer> {
  using file = await Deno.open(path);
  await file.seek(start, Deno.SeekMode.Start);
  const bytes = new Uint8Array(Math.max(0, end - start));
  let filled = 0;
  while (filled < bytes.length) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) throw new Error(`an end of file at byte ${start + filled}, before ${end}`);
    filled += count;
  }
  return bytes.buffer;
}

/** A file on this machine; it is open only during a read. */
export function localFile(path: string): DataFile {
  return {
    name: path,
    async open() {
      const { size } = await Deno.stat(path);
      return {
        byteLength: size,
        slice: (start, end = size) => readRange(path, start, Math.min(end, size)),
      };
    },
  };
}

/**
 * What `make` gives for each item, in order, at most `most` under way at once. The first failure
 * is thrown when all that were begun have ended.
 */
export async function mapSome<T, R>(
  items: readonly T[],
  most: number,
  make: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let hasFailed = false;
  const line = async () => {
    for (let at = next++; at < items.length && !hasFailed; at = next++) {
      try {
        results[at] = await make(items[at] as T, at);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  const lines = Array.from({ length: Math.min(most, items.length) }, line);
  const failed = (await Promise.allSettled(lines)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
  return results;
}
