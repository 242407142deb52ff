/**
 * HTTP as the Hub needs it: redirects are followed here, so that the token goes to the Hub's own
 * host only; connections that stall are given up; every failure is a HubError.
 *
 * Above errors.ts and retry.ts; listing.ts, download.ts and range_reader.ts ask through it.
 */
import type { HubSettings } from "./environment.ts";
import {
  describe,
  HubError,
  reasonOf,
  statusError,
  type Subject,
  TransientError,
} from "./errors.ts";
import { retrying, type RetryLimits, Watchdog } from "./retry.ts";

const MOST_REDIRECTS = 10;
const LONGEST_TEXT_BYTES = 32 * 2 ** 20;
/** What a server may do to a body though it was asked not to, as DecompressionStream calls it. */
const ENCODINGS: Readonly<Record<string, CompressionFormat>> = {
  "gzip": "gzip",
  "x-gzip": "gzip",
  "deflate": "deflate",
  "br": "brotli",
};

/** What a request needs besides its address. */
export interface RequestOptions {
  readonly subject: Subject;
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long a file is that may be packed itself. */
  readonly lengths?: readonly number[];
}

/** A successful answer. */
export interface Answer {
  readonly response: Response;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Where the last redirect led: it may be signed, so keep it out of messages. */
  readonly url: string;
  /** The hash of the content, where the Hub itself says it. */
  readonly hash: string | undefined;
}

/** Any failure of the network in words. */
export function networkError(error: unknown, host: string, subject: Subject): unknown {
  // Deno says itself which permission for a network lacks.
  if (error instanceof HubError || error instanceof Deno.errors.NotCapable) return error;
  return new TransientError(
    `Cannot read ${describe(subject)} from ${host}: found "${
      reasonOf(error)
    }", expected an answer. ` +
      `Check the network; HF_HUB_OFFLINE=1 uses what was downloaded before`,
  );
}

/** A header with a content's tag, without quotes; a weak one tells nothing about bytes. */
export function tagOf({ headers }: Response, name: string): string | undefined {
  return /^"?([^"]+)"?$/.exec(headers.get(name) ?? "")?.[1];
}

/** The body as it was meant, though the server packed it without being asked. */
function unpacked(response: Response, { subject, lengths = [] }: RequestOptions): Answer["body"] {
  const body = response.body ?? new Blob([]).stream();
  const encoding = encodingOf(response);
  if (encoding === "identity") return body;
  // A packed file that is called so is what was asked for.
  if (lengths.includes(Number(response.headers.get("Content-Length")))) return body;
  const format = ENCODINGS[encoding];
  if (format !== undefined) return body.pipeThrough(new DecompressionStream(format));
  throw new HubError(
    `Cannot read ${
      describe(subject)
    }: found the encoding "${encoding}", expected none. Does a proxy change what it ` +
      `hands on?`,
  );
}

function encodingOf({ headers }: Response): string {
  return headers.get("Content-Encoding") ?? "identity";
}

/** Bytes of the body, as far as its header tells: when it is packed, the header speaks of something else. */
export function lengthOf({ response }: Answer): number | undefined {
  const length = response.headers.get("Content-Length");
  return length === null || encodingOf(response) !== "identity" ? undefined : Number(length);
}

/** Asks one Hub in one user's name. */
export class HubClient {
  readonly settings: HubSettings;
  readonly #origin: string;

  constructor(settings: HubSettings) {
    this.settings = settings;
    this.#origin = new URL(settings.endpoint).origin;
  }

  /** The address of a file. */
  fileUrl({ kind, name, path = "" }: Subject, commit: string): string {
    const repository = kind === "dataset" ? `datasets/${name}` : name;
    const file = path.split("/").map(encodeURIComponent).join("/");
    return `${this.settings.endpoint}/${repository}/resolve/${commit}/${file}`;
  }

  /**
   * Asks once and follows redirects; read the body under the same signal.
   *
   * @throws {TransientError} when asking again may help
   * @throws {HubError} when it will not
   */
  async get(url: string, options: RequestOptions): Promise<Answer> {
    let current = new URL(url);
    let hash: string | undefined;
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
      const response = await this.#fetch(current, options);
      if (current.origin === this.#origin) hash = tagOf(response, "X-Linked-Etag") ?? hash;
      const location = response.status >= 300 && response.status < 400
        ? response.headers.get("Location")
        : null;
      if (location !== null) {
        await response.body?.cancel();
        current = this.#target(location, current, options.subject);
      } else if (response.ok) {
        return { response, body: unpacked(response, options), url: current.href, hash };
      } else {
        await response.body?.cancel();
        const { endpoint, token } = this.settings;
        throw statusError(response, {
          subject: options.subject,
          endpoint,
          hasToken: token !== undefined,
        });
      }
    }
    throw new HubError(
      `Cannot read ${describe(options.subject)}: found more than ${MOST_REDIRECTS} redirects in ` +
        `a row from ${current.host}, expected an answer. The server is misconfigured`,
    );
  }

  async #fetch(url: URL, { headers, signal, subject }: RequestOptions): Promise<Response> {
    const sent = new Headers({ "Accept-Encoding": "identity", ...headers });
    const { token } = this.settings;
    if (token !== undefined && url.origin === this.#origin) {
      sent.set("Authorization", `Bearer ${token}`);
    }
    try {
      return await fetch(url, { redirect: "manual", headers: sent, signal });
    } catch (error) {
      throw networkError(error, url.host, subject);
    }
  }

  #target(location: string, from: URL, subject: Subject): URL {
    const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
    if (target && /^https?:$/.test(target.protocol)) return target;
    throw new HubError(
      `Cannot read ${describe(subject)}: found a redirect from ${from.host} to ` +
        `"${target?.protocol ?? "no address"}", expected one to http or https`,
    );
  }

  /**
   * Asks for JSON until a whole answer came.
   *
   * @returns what it says, and where its next page is, if it has one
   */
  json(
    url: string,
    subject: Subject,
    limits: RetryLimits = this.settings.retry,
  ): Promise<{ value: unknown; next: string | undefined }> {
    const { host } = new URL(url);
    return retrying(limits, async () => {
      using watchdog = new Watchdog(limits);
      const { response, body } = await this.get(url, { subject, signal: watchdog.signal });
      const text = await readText(body, watchdog, `Cannot read ${describe(subject)}`).catch(
        (error) => {
          throw networkError(error, host, subject);
        },
      );
      const link = /<([^>]*)>\s*;[^,]*\brel="?next\b/.exec(response.headers.get("Link") ?? "")?.[1];
      const next = link === undefined ? undefined : this.#target(link, new URL(url), subject).href;
      try {
        return { value: JSON.parse(text), next };
      } catch {
        throw new TransientError(
          `Cannot read ${
            describe(subject)
          }: found an answer that is no JSON from ${host}, expected JSON. Is ` +
            `HF_ENDPOINT a Hub?`,
        );
      }
    });
  }
}

/** A text that is not too long. @param start of the message where it is */
export async function readText(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  watchdog: Watchdog,
  start: string,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "", bytes = 0;
  for await (const chunk of body) {
    watchdog.fed(chunk.length);
    bytes += chunk.length;
    if (bytes > LONGEST_TEXT_BYTES) {
      throw new HubError(
        `${start}: found an answer of more than ${LONGEST_TEXT_BYTES} bytes, expected a shorter one. Is HF_ENDPOINT a Hub?`,
      );
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
