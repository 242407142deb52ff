/**
 * What can go wrong with the Hub, in words that say what to do; below everything in data/hub/.
 *
 * Source: the headers X-Error-Code and X-Error-Message as huggingface_hub reads them.
 */

import { masked } from "./secrets.ts";

/** A failure of the Hub, the network, the cache folder or what was asked of them. */
export class HubError extends Error {
  override readonly name: string = "HubError";
  /** The HTTP status, where an answer came. */
  readonly status: number | undefined;

  /** Masks secrets in the message; a cause is kept where its own message is masked too. */
  constructor(message: string, options: ErrorOptions & { status?: number } = {}) {
    super(masked(message), options.cause instanceof HubError ? { cause: options.cause } : {});
    this.status = options.status;
  }
}

/** Characters of what a server or a library says. */
const LONGEST_REASON = 300;

/** A failure that may pass: asking again is worth it. */
export class TransientError extends HubError {
  /** How long the server asked to wait. */
  readonly retryAfterMilliseconds: number | undefined;

  constructor(
    message: string,
    options: ErrorOptions & { status?: number; retryAfterMilliseconds?: number | undefined } = {},
  ) {
    super(message, options);
    this.retryAfterMilliseconds = options.retryAfterMilliseconds;
  }
}

/** What a failure of the network says itself, in few words. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return masked(cause instanceof Error ? cause.message : String(cause)).slice(0, LONGEST_REASON);
}

/** What a request is about. */
export interface Subject {
  readonly kind: "model" | "dataset";
  /** "owner/name". */
  readonly name: string;
  readonly revision: string;
  /** A file in it. */
  readonly path?: string;
}

/** `model "owner/name"`, or `file "config.json" of model "owner/name"`. */
export function describe({ kind, name, path }: Subject): string {
  const repository = `${kind} "${name}"`;
  return path === undefined ? repository : `file "${path}" of ${repository}`;
}

/** Milliseconds that Retry-After (seconds or a date) or the Hub's RateLimit header ask to wait. */
export function retryAfter(headers: Headers, now = Date.now()): number | undefined {
  const value = headers.get("Retry-After")?.trim();
  if (value !== undefined && /^\d+$/.test(value)) return Number(value) * 1000;
  const date = value === undefined ? NaN : Date.parse(value);
  if (!Number.isNaN(date)) return Math.max(0, date - now);
  const [, seconds] = headers.get("RateLimit")?.match(/;\s*r=0\s*;\s*t=(\d+)/) ?? [];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

/** Where the answer came from and who asked. */
export interface Asked {
  readonly subject: Subject;
  readonly endpoint: string;
  readonly hasToken: boolean;
}

function refusal(code: string, text: string, { subject, endpoint, hasToken }: Asked): string {
  const prefix = subject.kind === "dataset" ? "datasets/" : "";
  const page = `${endpoint}/${prefix}${subject.name}`;
  const settings = `${endpoint}/settings/tokens`;
  if (code === "GatedRepo") {
    return `terms that must be accepted first, expected an account that did. Visit ${page}, ` +
      `accept them there, ` + (hasToken ? "with the account of your token" : "then set HF_TOKEN");
  }
  if (code === "RevisionNotFound") {
    return `no revision "${subject.revision}", expected a branch, a tag or a commit. ` +
      `See ${page}/tree/main for those there are`;
  }
  if (code === "EntryNotFound") {
    return `no such file at revision "${subject.revision}". See ${page}/tree/main`;
  }
  if (/invalid credentials/i.test(text)) {
    return `that the Hub refused the token, expected a valid one. Make one at ${settings} and ` +
      `set HF_TOKEN, or unset HF_TOKEN and remove the saved token if none is needed`;
  }
  if (code === "Forbidden") {
    return `that this token may not read it, expected one that may. Give it permission at ` +
      settings;
  }
  return `no such repository, or a private one, expected one at ${page}. Check the name` +
    (hasToken ? ", and that your token may read it" : "; if it is private, set HF_TOKEN");
}

/** Worth asking again: busy, in trouble, or unhappy with the range. */
function isTransient(status: number, isHub: boolean): boolean {
  // A signed address at another host that has run out says 403: the Hub gives a new one.
  return status >= 500 || [408, 416, 429].includes(status) || (!isHub && status === 403);
}

/** The error that an answer other than success means. */
export function statusError(response: Response, asked: Asked): HubError {
  const { status, headers } = response;
  const text = reasonOf(headers.get("X-Error-Message") ?? "");
  const code = headers.get("X-Error-Code") ?? (status === 403 ? "Forbidden" : "");
  const start = `Cannot read ${describe(asked.subject)}: found `;
  const { origin } = new URL(response.url);
  const isHub = origin === new URL(asked.endpoint).origin;
  if (isHub && (status === 401 || status === 403 || status === 404)) {
    return new HubError(`${start}${refusal(code, text, asked)} (status ${status})`, { status });
  }
  const found = `${start}status ${status} from ${origin}${text && `, "${text}"`}, expected success`;
  if (!isTransient(status, isHub)) return new HubError(found, { status });
  const busy = status === 429 ? ". There were too many requests: wait, or set HF_TOKEN" : "";
  return new TransientError(found + busy, { status, retryAfterMilliseconds: retryAfter(headers) });
}

function codeOf(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable && !/Requires net/.test(error.message)) {
    return "EPERM";
  }
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Whether an error is the disk's: those have a code of the operating system, those of the network have none. */
export function isOfDisk(error: unknown): boolean {
  return /^E[A-Z]+$/.test(codeOf(error));
}

/** Whether an error says that nothing may be written there. */
export function isReadOnly(error: unknown): boolean {
  return /^(EACCES|EPERM|EROFS)$/.test(codeOf(error));
}

/** What is wrong with a folder, and what to do. */
function diskProblem(error: Error, code: string, folder: string): string {
  if (code === "ENOSPC" || code === "EDQUOT") {
    return `found no space left on the disk, expected room for the files. Free some, or set HF_HOME to a folder on ` +
      `another disk; what is there already is kept, and the download goes on from there`;
  }
  if (code === "ENAMETOOLONG") {
    return `found a name longer than its disk allows, expected at most 255 bytes: ${
      error.message.slice(-80)
    }. Choose files with shorter names, or set HF_HOME to a folder on a disk that takes them`;
  }
  if (isReadOnly(error)) {
    return `found that it may not be written or read ("${error.message}"), expected that it may. Give yourself the ` +
      `permission, or set HF_HOME to a folder of your own`;
  }
  return `found "${error.message}", expected what a download leaves there. Remove what is in the way, or "${folder}" ` +
    `as a whole: it is downloaded anew; or set HF_HOME to another folder`;
}

/** An error of the disk in words, if it is one; other errors as they are. */
export function diskError(error: unknown, folder: string): unknown {
  if (!(error instanceof Error) || error instanceof HubError || !isOfDisk(error)) return error;
  return new HubError(
    `Cannot use the cache folder "${folder}": ${diskProblem(error, codeOf(error), folder)}`,
  );
}

/** Does what needs the folder. @throws {HubError} where the disk fails */
export async function onDisk<T>(folder: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw diskError(error, folder);
  }
}
