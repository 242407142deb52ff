/**
 * The `fetch` that @huggingface/hub uploads with: bytes are counted as they leave, what fails for a moment is asked again,
 * connections on which nothing moves are given up, and every failure says what to do.
 *
 * Between upload.ts and client.ts. Ours.
 */
import { readText } from "./client.ts";
import { HubError, reasonOf, retryAfter, TransientError } from "./errors.ts";
import { retrying, type RetryLimits, Watchdog } from "./retry.ts";

/** A part of a file that is under way. */
export interface Part {
  /** The file's path in the repository. */
  readonly path: string;
  /** Which part of it; 0 for a whole file. */
  readonly part: number;
}

/** What an upload's requests have in common. */
export interface UploadContext {
  /** "owner/name". */
  readonly name: string;
  readonly retry: RetryLimits;
  /** Called with how much of a part has left; less than before when it is sent again. */
  readonly onSent: (part: Part, bytes: number) => void;
}

/** A `fetch` for @huggingface/hub; its answers are whole, and never one that asking again might change. */
export function uploadFetch(context: UploadContext): typeof fetch {
  return (input, init = {}) => {
    const url = input instanceof Request ? input.url : String(input);
    return retrying(context.retry, () => send(url, init, context));
  };
}

/**
 * Asks once.
 *
 * @throws {TransientError} when asking again may help
 */
async function send(url: string, init: RequestInit, context: UploadContext): Promise<Response> {
  using watchdog = new Watchdog(context.retry, init.signal ?? undefined);
  const { signal } = watchdog;
  try {
    const body = counted(init, watchdog, context);
    const response = await fetch(url, { ...init, ...(body ? { body } : {}), signal });
    const text = await readText(
      response.body ?? new Blob([]).stream(),
      watchdog,
      `Cannot push to "${context.name}"`,
    );
    const { status } = response;
    if (status === 408 || status === 429 || status >= 500) throw busy(response, text, context);
    const whole = new Response(status === 204 ? null : text, { status, headers: response.headers });
    // The library names it in its errors, from which upload.ts knows who refused.
    return Object.defineProperty(whole, "url", { value: response.url });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw networkError(error, signal.aborted, new URL(url).host, context);
  }
}

function busy({ status, headers }: Response, text: string, context: UploadContext): HubError {
  const message = serverMessage(text);
  return new TransientError(
    `Cannot push to "${context.name}": found status ${status}${
      message && `, "${message}"`
    }, expected success. ` +
      (status === 429
        ? "There were too many requests: wait some minutes and push again"
        : `The server has trouble: push again later; what has arrived is not sent again`),
    { status, retryAfterMilliseconds: retryAfter(headers) },
  );
}

/** Any failure of the network in words. */
function networkError(
  error: unknown,
  isStalled: boolean,
  host: string,
  { name, retry }: UploadContext,
): unknown {
  if (!isStalled && error instanceof HubError) return error;
  const found = isStalled
    ? `nothing moved for ${retry.stallMilliseconds / 1000} seconds`
    : reasonOf(error);
  return new TransientError(
    `Cannot push to "${name}" by ${host}: found "${found}", expected an answer. Check the network, and HF_ENDPOINT ` +
      `if it is set; push again: what has arrived is not sent again`,
  );
}

/** What a server says about a failure, in one line. */
export function serverMessage(text: string): string {
  let message = "";
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null && "error" in json) message = String(json.error);
  } catch {
    // Storage answers in XML and proxies in HTML, which tell a user nothing.
  }
  return reasonOf(message).replaceAll(/\s+/g, " ");
}

/** The body of a request, counted if it is a file or a part of one. */
function counted(init: RequestInit, watchdog: Watchdog, { onSent }: UploadContext) {
  const { body } = init;
  if (!(body instanceof Blob)) return body;
  const part = partOf(init);
  let bytes = 0;
  if (part) onSent(part, 0);
  return new CountedBlob(body, (count) => {
    watchdog.fed();
    bytes += count;
    if (part) onSent(part, bytes);
  });
}

/** Which part of which file a request of @huggingface/hub carries. */
function partOf(init: RequestInit): Part | undefined {
  const hint: unknown = "progressHint" in init ? init.progressHint : undefined;
  if (typeof hint !== "object" || hint === null || !("path" in hint)) return undefined;
  return { path: String(hint.path), part: "part" in hint ? Number(hint.part) : 0 };
}

/** A Blob that is counted as it is read; not a stream, since storage needs to know the length beforehand. */
class CountedBlob extends Blob {
  readonly #inner: Blob;
  readonly #count: (bytes: number) => void;

  constructor(inner: Blob, count: (bytes: number) => void) {
    super();
    this.#inner = inner;
    this.#count = count;
  }

  override get size(): number {
    return this.#inner.size;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#inner.stream().pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform: (chunk, controller) => {
          this.#count(chunk.byteLength);
          controller.enqueue(chunk);
        },
      }),
    );
  }
}
