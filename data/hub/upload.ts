/**
 * Files to a repository on the Hub, which is made if it is not there, as one commit.
 *
 * Above upload_fetch.ts; push.ts gives it a model's files. Source: @huggingface/hub, which hashes large files, sends them to
 * the Hub's storage, in parts where it asks for that, and the small ones within the commit.
 */
import { commitIter, createRepo, HubApiError, modelInfo } from "@huggingface/hub";
import { HubError, isOfDisk, reasonOf } from "./errors.ts";
import type { RetryLimits } from "./retry.ts";
import { keepSecret } from "./secrets.ts";
import { type Part, serverMessage, uploadFetch } from "./upload_fetch.ts";

/** A file to upload. */
export interface UploadFile {
  /** In the repository. */
  readonly path: string;
  /** A `file:` URL is read as it is sent, never whole. */
  readonly content: Blob | URL;
  readonly bytes: number;
}

/** How far an upload is. */
export interface UploadProgress {
  /** What is done now: large files are hashed before they are sent. */
  readonly phase: "hashing" | "uploading" | "committing";
  /** Of all files, in this phase. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Mean since the phase began. */
  readonly bytesPerSecond: number;
  /** Infinity while nothing has moved yet. */
  readonly secondsLeft: number;
}

/** Where to upload to, and how. */
export interface UploadOptions {
  /** The Hub's address, without a slash at its end. */
  readonly endpoint: string;
  /** May write there. */
  readonly token: string | undefined;
  readonly retry: RetryLimits;
  /** Whether a new repository is private, and an old one must be. */
  readonly isPrivate: boolean;
  /** The commit's title. */
  readonly message: string;
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
}

/** A commit that was made. */
export interface Upload {
  /** The repository's page. */
  readonly url: string;
  /** 40 hexadecimal digits. */
  readonly commit: string;
}

/**
 * Uploads files as one commit to "main" of a model's repository.
 *
 * @param name "owner/name"
 * @throws {HubError} when there is no good token, it may not write there, the repository is public though a private one is
 * asked for, or the network or the Hub fail for longer than the options' patience
 */
export async function uploadFiles(
  name: string,
  files: readonly UploadFile[],
  { endpoint, token, retry, isPrivate, message, onProgress }: UploadOptions,
): Promise<Upload> {
  const accessToken = requireToken(token, { name, endpoint });
  const meter = new UploadMeter(files, onProgress);
  const onSent = (part: Part, bytes: number) => meter.sent(part, bytes);
  const fetch = uploadFetch({ name, retry, onSent });
  const repo = { type: "model", name } as const;
  const hub = { hubUrl: endpoint, accessToken, fetch };
  try {
    await createIfNeeded(name, isPrivate, hub);
    const operations = files.map(({ path, content }) => ({
      operation: "addOrUpdate" as const,
      path,
      content,
    }));
    // Xet, the Hub's newer storage protocol, takes LFS uploads too and keeps them by chunks itself.
    const steps = commitIter({ ...hub, repo, operations, title: message, useXet: false });
    let step = await steps.next();
    for (; !step.done; step = await steps.next()) {
      const { value } = step;
      if (value.event === "phase" && value.phase === "committing") meter.committing();
      else if (value.event === "fileProgress") meter.progressed(value);
    }
    const commit = step.value?.commit.oid;
    if (commit === undefined) throw new TypeError("no commit");
    return { url: `${endpoint}/${name}`, commit };
  } catch (error) {
    throw hubError(error, { name, endpoint });
  }
}

interface Target {
  readonly name: string;
  readonly endpoint: string;
}

/** The token. @throws {HubError} where there is none, or none of the Hub's */
export function requireToken(token: string | undefined, { name, endpoint }: Target): string {
  if (token?.startsWith("hf_")) {
    keepSecret(token);
    return token;
  }
  const found = token === undefined ? "no token" : 'a token that does not begin with "hf_"';
  throw new HubError(`Cannot push to "${name}": found ${found}, expected one. ${remedy(endpoint)}`);
}

/** How to get a token that may write. */
export function remedy(endpoint: string): string {
  return `Make a token with write access at ${endpoint}/settings/tokens and set HF_TOKEN, or run: hf auth login`;
}

interface Hub {
  readonly hubUrl: string;
  readonly accessToken: string;
  readonly fetch: typeof fetch;
}

/** @throws {HubError} where a private repository is asked for and a public one is there */
async function createIfNeeded(name: string, isPrivate: boolean, hub: Hub): Promise<void> {
  try {
    const visibility = isPrivate ? { visibility: "private" as const } : {};
    await createRepo({ ...hub, repo: { type: "model", name }, ...visibility });
  } catch (error) {
    const isThere = error instanceof HubApiError && error.statusCode === 409;
    // A token that may write to one repository only may not make any.
    const mayBeThere = error instanceof HubApiError && error.statusCode === 403;
    if (!isThere && !mayBeThere) throw error;
    if (isThere && !isPrivate) return;
    const info = await modelInfo({ ...hub, name }).catch((cause) => {
      throw isThere ? cause : error;
    });
    if (isPrivate && !info.private) throw publicError(name, hub.hubUrl);
  }
}

/** What to say of a public repository where a private one is asked for. */
export function publicError(name: string, endpoint: string): HubError {
  return new HubError(
    `Cannot push to "${name}" privately: found a public repository, expected a private one or none. Make it private ` +
      `at ${endpoint}/${name}/settings, or push without --private`,
  );
}

/** Any failure in words that say what to do. */
export function hubError(error: unknown, { name, endpoint }: Target): unknown {
  if (error instanceof HubError || isOfDisk(error)) return error;
  const start = `Cannot push to "${name}": found `;
  if (!(error instanceof HubApiError)) {
    return new HubError(
      `${start}an answer that is none of a Hub's ("${
        reasonOf(error)
      }"), expected one of ${endpoint}. Is HF_ENDPOINT a Hub?`,
    );
  }
  const { statusCode: status, data } = error;
  const text = serverMessage(JSON.stringify(data ?? {}));
  const found = `status ${status}${text && `, "${text}"`}`;
  const fail = (message: string) => new HubError(start + message, { status });
  if (URL.canParse(error.url) && new URL(error.url).origin !== new URL(endpoint).origin) {
    return fail(
      `${found} from the Hub's storage, expected success. Push again: permissions to send a file end after a while`,
    );
  }
  switch (status) {
    case 401:
      return fail(
        `that the Hub does not know the token (status 401), expected a valid one. ${
          remedy(endpoint)
        }`,
      );
    case 403:
      return fail(
        `that the token may not write there (${found}), expected write access. Check the owner's name, or give the token ` +
          `permission at ${endpoint}/settings/tokens`,
      );
    case 404:
      return fail(`${found}, expected a repository. Check the name; was it deleted or renamed?`);
    case 409:
    case 412:
      return fail(`another commit at the same time (${found}), expected none. Push again`);
    default:
      return fail(`${found}, expected success`);
  }
}

const BETWEEN_MILLISECONDS = 100;

/** Adds up what has left, part by part, so that what is sent again does not count twice. */
class UploadMeter {
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #report: UploadOptions["onProgress"];
  #phase: UploadProgress["phase"] | undefined;
  #done = new Map<string, Map<number, number>>();
  #start = 0;
  #reported = -Infinity;

  constructor(files: readonly UploadFile[], report: UploadOptions["onProgress"]) {
    this.#sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
    this.#report = report;
  }

  /** What the library says of a file: how much is hashed, or that it is at the Hub, perhaps since an earlier push. */
  progressed({ path, progress, state }: { path: string; progress: number; state: string }): void {
    const bytes = Math.round(progress * (this.#sizes.get(path) ?? 0));
    if (state === "hashing") this.#set("hashing", { path, part: 0 }, bytes);
    else if (state === "uploading" && progress === 1) {
      this.#done.delete(path);
      this.#set("uploading", { path, part: 0 }, bytes);
    }
  }

  /** How much of a part has left. */
  sent(part: Part, bytes: number): void {
    this.#set("uploading", part, bytes);
  }

  /** Small files leave with the commit. */
  committing(): void {
    this.#enter("committing");
    for (const [path, bytes] of this.#sizes) this.#done.set(path, new Map([[0, bytes]]));
    this.#send();
  }

  #enter(phase: UploadProgress["phase"]): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#done = new Map();
    this.#start = performance.now();
    this.#reported = -Infinity;
  }

  #set(phase: UploadProgress["phase"], { path, part }: Part, bytes: number): void {
    this.#enter(phase);
    this.#done.set(path, (this.#done.get(path) ?? new Map<number, number>()).set(part, bytes));
    if (performance.now() - this.#reported >= BETWEEN_MILLISECONDS) this.#send();
  }

  #send(): void {
    const now = performance.now();
    this.#reported = now;
    const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);
    const doneBytes = sum([...this.#done.values()].flatMap((parts) => [...parts.values()]));
    const totalBytes = sum(this.#sizes.values());
    const bytesPerSecond = doneBytes / Math.max((now - this.#start) / 1000, 1e-3);
    const secondsLeft = doneBytes === totalBytes ? 0 : (totalBytes - doneBytes) / bytesPerSecond;
    const phase = this.#phase ?? "hashing";
    this.#report?.({ phase, doneBytes, totalBytes, bytesPerSecond, secondsLeft });
  }
}
