/**
 * HTTP as the Hub needs it: redirects are followed here, so that the token goes to the Hub's own
 * host only; connections that stall are given up; every failure is a HubError.
 *
 * Above errors.ts and retry.ts; listing.ts, download.ts and range_reader.ts ask through it.
 */
import type { HubSettings } from "./environment.ts";
import { describe, HubError, statusError, type Subject, TransientError } from "./errors.ts";
import { retrying, type RetryLimits, Watchdog } from "./retry.ts";

const MOST_REDIRECTS = 10;
const LONGEST_JSON_BYTES = 256 * 2 ** 20;

/** What a request needs besides its address. */
export interface RequestOptions {
  readonly subject: Subject;
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A successful answer. */
export interface Answer {
  readonly response: Response;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Where the last redirect led: it may be signed, so keep it out of messages. */
  readonly url: string;
}

/** A failure of the network in words, without the address, which may be signed. */
export function networkError(error: unknown, host: string, subject: Subject): unknown {
  if (error instanceof HubError || !(error instanceof TypeError)) return error;
  const cause = error.cause instanceof Error ? error.cause.message : error.message;
  const found = cause.replace(/ for url \([^)]*\)/, "");
  return new TransientError(
    `Cannot read ${describe(subject)} from ${host}: found "${found}", expected an answer. ` +
      `Check the network; HF_HUB_OFFLINE=1 uses what was downloaded before`,
  );
}

function emptyBody(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Blob([]).stream();
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
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
      const response = await this.#fetch(current, options);
      const location = response.status >= 300 && response.status < 400
        ? response.headers.get("Location")
        : null;
      if (location !== null) {
        await response.body?.cancel();
        current = this.#target(location, current, options.subject);
      } else if (response.ok) {
        return { response, body: response.body ?? emptyBody(), url: current.href };
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

  /** A `fetch` for @huggingface/hub that asks for JSON until a whole answer came. */
  jsonFetch(subject: Subject, limits: RetryLimits = this.settings.retry): typeof fetch {
    return (input) => {
      const url = input instanceof Request ? input.url : String(input);
      return retrying(limits, async () => {
        using watchdog = new Watchdog(limits.stallMilliseconds);
        const { response, body } = await this.get(url, { subject, signal: watchdog.signal });
        const text = await readText(body, watchdog, new URL(url).host, subject);
        try {
          JSON.parse(text);
        } catch (cause) {
          throw new TransientError(
            `Cannot read ${describe(subject)}: found an answer that is no JSON from ` +
              `${new URL(url).host}, expected JSON. Is HF_ENDPOINT a Hub?`,
            { cause },
          );
        }
        return new Response(text, { headers: response.headers });
      });
    };
  }
}

async function readText(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  watchdog: Watchdog,
  host: string,
  subject: Subject,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "", bytes = 0;
  try {
    for await (const chunk of body) {
      watchdog.fed();
      bytes += chunk.length;
      if (bytes > LONGEST_JSON_BYTES) {
        throw new HubError(
          `Cannot read ${describe(subject)}: found a listing of more than ` +
            `${LONGEST_JSON_BYTES} bytes from ${host}, expected a shorter one`,
        );
      }
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    throw networkError(error, host, subject);
  }
  return text + decoder.decode();
}
