/**
 * Parts of a file by range requests, without storing it; or from the disk where it is in the cache.
 *
 * Above client.ts; hub.ts makes them, hyparquet reads through them (its AsyncBuffer).
 */
import { type Answer, type HubClient, networkError, tagOf } from "./client.ts";
import { describe, HubError, type Subject, TransientError } from "./errors.ts";
import { Retries, Watchdog } from "./retry.ts";

/** Random access to a file's bytes. */
export interface RangeReader {
  /** The file's size. */
  readonly byteLength: number;
  /** Bytes from `start` to before `end` (the file's end without). */
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}

function checkRange(start: number, end: number, byteLength: number): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end)) {
    if (start >= 0 && start <= end && end <= byteLength) return;
  }
  throw new RangeError(
    `Cannot read a range: found bytes ${start} to ${end}, expected some within 0 to ${byteLength}`,
  );
}

/** Reads a file on disk; it is open only during a read. */
export class DiskReader implements RangeReader {
  readonly byteLength: number;
  readonly #path: string;

  constructor(path: string, byteLength: number) {
    this.#path = path;
    this.byteLength = byteLength;
  }

  async slice(start: number, end = this.byteLength): Promise<ArrayBuffer> {
    checkRange(start, end, this.byteLength);
    using file = await Deno.open(this.#path);
    await file.seek(start, Deno.SeekMode.Start);
    const bytes = new Uint8Array(end - start);
    for (let filled = 0; filled < bytes.length;) {
      const count = await file.read(bytes.subarray(filled));
      if (count === null) {
        throw new HubError(
          `Cannot read "${this.#path}": found its end at byte ${start + filled}, expected ` +
            `${this.byteLength} bytes. Remove it, so that it is downloaded again`,
        );
      }
      filled += count;
    }
    return bytes.buffer;
  }
}

/** What one slice() still lacks. */
interface Filling {
  readonly bytes: Uint8Array;
  readonly start: number;
  filled: number;
}

/** Reads a file of the Hub. */
export class HubReader implements RangeReader {
  readonly byteLength: number;
  readonly #client: HubClient;
  readonly #subject: Subject;
  readonly #url: string;
  /** The content's SHA-256, where the listing has it. */
  readonly #hash: string | undefined;
  /** The tag of what was read first: what is read later must have the same. */
  #tag: string | undefined;
  /** Where the Hub sent us last: a signed address that works for a while. */
  #signedUrl: string | undefined;

  /** @param url the file's address at the Hub */
  constructor(
    client: HubClient,
    subject: Subject,
    file: { url: string; size: number; hash: string | undefined },
  ) {
    this.#client = client;
    this.#subject = subject;
    this.#url = file.url;
    this.#hash = file.hash;
    this.byteLength = file.size;
  }

  async slice(start: number, end = this.byteLength): Promise<ArrayBuffer> {
    checkRange(start, end, this.byteLength);
    const bytes = new Uint8Array(end - start);
    const filling = { bytes, start, filled: 0 };
    const retries = new Retries(this.#client.settings.retry);
    while (filling.filled < bytes.length) {
      const before = filling.filled;
      try {
        await this.#fill(filling);
      } catch (error) {
        this.#signedUrl = undefined; // it may have run out: the next attempt asks the Hub
        if (filling.filled > before) retries.progressed();
        await retries.failed(error);
      }
    }
    return bytes.buffer;
  }

  async #fill(filling: Filling): Promise<void> {
    using watchdog = new Watchdog(this.#client.settings.retry);
    const first = filling.start + filling.filled;
    const last = filling.start + filling.bytes.length - 1;
    const answer = await this.#ask(first, last, watchdog.signal);
    const range = answer.response.headers.get("Content-Range");
    const expected = `bytes ${first}-${last}/${this.byteLength}`;
    if (answer.response.status !== 206 || range !== expected) {
      await answer.body.cancel();
      throw new TransientError(
        `Cannot read ${describe(this.#subject)}: found ` +
          (answer.response.status === 206 ? `range "${range}"` : "the whole file") +
          `, expected "${expected}". If the server knows no ranges, download the file instead`,
      );
    }
    await this.#requireSame(answer);
    await this.#receive(filling, answer, watchdog);
  }

  /** A file of one commit stays as it is: another one under its name is noticed. */
  async #requireSame({ response, hash, body }: Answer): Promise<void> {
    const tag = tagOf(response, "ETag");
    const isOther = hash !== undefined && this.#hash !== undefined && hash !== this.#hash;
    if (!isOther && (tag === undefined || tag === (this.#tag ??= tag))) return;
    await body.cancel();
    const [found, expected] = isOther ? [hash, this.#hash] : [tag, this.#tag];
    throw new TransientError(
      `Cannot read ${
        describe(this.#subject)
      }: found another content than before (tag "${found}"), expected ` +
        `"${expected}" as long as it is read. Run again`,
    );
  }

  async #ask(first: number, last: number, signal: AbortSignal): Promise<Answer> {
    const answer = await this.#client.get(this.#signedUrl ?? this.#url, {
      subject: this.#subject,
      signal,
      headers: { Range: `bytes=${first}-${last}` },
      lengths: [last - first + 1],
    });
    if (answer.url !== this.#url) this.#signedUrl = answer.url;
    return answer;
  }

  async #receive(filling: Filling, { body, url }: Answer, watchdog: Watchdog): Promise<void> {
    const { bytes } = filling;
    try {
      for await (const chunk of body) {
        watchdog.fed(chunk.length);
        if (chunk.length > bytes.length - filling.filled) {
          throw new TransientError(
            `Cannot read ${describe(this.#subject)}: found more bytes than asked for, expected ` +
              `${bytes.length}`,
          );
        }
        bytes.set(chunk, filling.filled);
        filling.filled += chunk.length;
      }
    } catch (error) {
      throw networkError(error, new URL(url).host, this.#subject);
    }
    if (filling.filled < bytes.length) {
      throw new TransientError(
        `Cannot read ${describe(this.#subject)}: found an end after ${filling.filled} bytes, ` +
          `expected ${bytes.length}`,
      );
    }
  }
}
