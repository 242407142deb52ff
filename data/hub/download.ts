/**
 * Downloads files into the cache: several at once, each resumed where it broke off, checked, and
 * given its name only when it is whole and right.
 *
 * Above client.ts and cache.ts; hub.ts calls it.
 */
import { createHash } from "node:crypto";
import { removeIfThere, type RepositoryCache, sizeOf } from "./cache.ts";
import { type Answer, type HubClient, lengthOf, networkError } from "./client.ts";
import { describe, diskError, HubError, onDisk, type Subject, TransientError } from "./errors.ts";
import { ProgressMeter } from "./progress.ts";
import { etagOf, type RemoteFile } from "./remote_file.ts";
import { Retries, Watchdog } from "./retry.ts";

const AT_ONCE = 4;
/** A body whose hash is wrong is fetched anew so often. */
const MOST_DAMAGED = 3;
const HASH_CHUNK_BYTES = 2 ** 20;

/** Which files of what, from where to where. */
export interface DownloadRequest {
  readonly client: HubClient;
  readonly cache: RepositoryCache;
  readonly subject: Subject;
  readonly commit: string;
  readonly files: readonly RemoteFile[];
}

interface Task extends Omit<DownloadRequest, "files"> {
  readonly file: RemoteFile;
  readonly signal: AbortSignal;
  readonly progress: ProgressMeter;
}

/**
 * Downloads all files, or throws what went wrong first; then nothing is under way any more.
 *
 * @throws {HubError} with what to do
 */
export async function downloadFiles({ files, ...request }: DownloadRequest): Promise<void> {
  const progress = new ProgressMeter(files, request.client.settings.onProgress);
  const stop = new AbortController();
  const queue = files.values();
  const worker = async () => {
    for (const file of queue) {
      if (stop.signal.aborted) return;
      const subject = { ...request.subject, path: file.path };
      try {
        await downloadFile({ ...request, subject, file, progress, signal: stop.signal });
      } catch (error) {
        stop.abort(diskError(error, request.cache.folder));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  stop.signal.throwIfAborted();
}

async function downloadFile(task: Task): Promise<void> {
  const { cache, commit, file, signal, progress } = task;
  using _lock = await cache.lock(etagOf(file), signal);
  // Another process may have brought it meanwhile.
  if (!await cache.has(commit, file)) {
    const blob = cache.blob(etagOf(file));
    const isNew = await sizeOf(blob) !== file.size;
    if (isNew) await fetchBlob(task, blob);
    await cache.place(commit, file, isNew);
  }
  progress.done(file.path, file.size);
}

/** Receives, checks and names a content, in as many attempts as it takes. */
async function fetchBlob(task: Task, blob: string): Promise<void> {
  const partial = `${blob}.incomplete`;
  const retries = new Retries(task.client.settings.retry, task.signal);
  await Deno.mkdir(`${task.cache.folder}/blobs`, { recursive: true });
  let furthest = await sizeOf(partial) ?? 0;
  for (let damaged = 0;;) {
    try {
      await receive(task, partial);
      await check(task, partial);
      await Deno.rename(partial, blob);
      return;
    } catch (error) {
      if (error instanceof DamagedError) {
        await removeIfThere(partial);
        if (++damaged >= MOST_DAMAGED) throw error;
      }
      if (error instanceof HubError && error.status === 416) await removeIfThere(partial);
      const size = await sizeOf(partial) ?? 0;
      if (size > furthest) retries.progressed();
      furthest = Math.max(furthest, size);
      await retries.failed(error);
    }
  }
}

/** Appends to the partial file what it lacks. */
async function receive(task: Task, partial: string): Promise<void> {
  const { file, client, subject, commit, progress } = task;
  using output = await Deno.open(partial, { create: true, read: true, write: true });
  let { size: position } = await output.stat();
  if (position > file.size) position = await emptied(output);
  progress.at(file.path, position);
  if (position === file.size) return;
  using watchdog = new Watchdog(client.settings.retry, task.signal);
  const { signal } = watchdog;
  const headers: Record<string, string> = position > 0 ? { Range: `bytes=${position}-` } : {};
  const lengths = [file.size, file.size - position];
  const url = client.fileUrl(subject, commit);
  const answer = await client.get(url, { subject, signal, headers, lengths });
  if (position > 0 && answer.response.status !== 206) position = await emptied(output);
  await checkLength(answer, file, position, subject);
  await output.seek(position, Deno.SeekMode.Start);
  try {
    for await (const chunk of answer.body) {
      watchdog.fed(chunk.length);
      if (position + chunk.length > file.size) throw tooLong(subject, file.size);
      await onDisk(task.cache.folder, () => writeAll(output, chunk));
      position += chunk.length;
      progress.at(file.path, position, chunk.length);
    }
  } catch (error) {
    throw networkError(error, new URL(answer.url).host, subject);
  }
  if (position < file.size) throw tooShort(subject, position, file.size);
  await output.syncData();
}

async function emptied(output: Deno.FsFile): Promise<number> {
  await output.truncate(0);
  return 0;
}

async function writeAll(output: Deno.FsFile, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    written += await output.write(chunk.subarray(written));
  }
}

/** Refuses an answer of another length or place than asked for, before it is read. */
async function checkLength(
  answer: Answer,
  { size }: RemoteFile,
  position: number,
  subject: Subject,
): Promise<void> {
  const { response, body } = answer;
  const range = response.headers.get("Content-Range");
  const length = lengthOf(answer);
  const expectedRange = `bytes ${position}-${size - 1}/${size}`;
  const isRight = response.status === 206
    ? range === expectedRange
    : length === undefined || length === size - position;
  if (isRight) return;
  await body.cancel();
  // A range of a packed file is of no use: as where there is none, the whole file is asked for.
  const status = response.headers.has("Content-Encoding") ? { status: 416 } : {};
  throw new TransientError(
    response.status === 206
      ? `Cannot download ${describe(subject)}: found range "${range}", expected "${expectedRange}"`
      : `Cannot download ${describe(subject)}: found a length of ${length} bytes, expected ${
        size - position
      }`,
    status,
  );
}

function tooLong(subject: Subject, size: number): TransientError {
  return new TransientError(
    `Cannot download ${describe(subject)}: found more than ${size} bytes, expected ${size}`,
  );
}

function tooShort(subject: Subject, position: number, size: number): TransientError {
  return new TransientError(
    `Cannot download ${describe(subject)}: found an end after ${position} bytes, expected ${size}`,
  );
}

/** A content with the right length and a wrong hash. */
class DamagedError extends TransientError {}

/** SHA-256 for large files, Git's SHA-1 of a blob for others: what their ETags are. */
async function check({ file, subject }: Task, path: string): Promise<void> {
  const hash = createHash(file.sha256 === undefined ? "sha1" : "sha256");
  if (file.sha256 === undefined) hash.update(`blob ${file.size}\0`);
  using input = await Deno.open(path);
  const chunk = new Uint8Array(Math.min(HASH_CHUNK_BYTES, Math.max(1, file.size)));
  for (let count: number | null; (count = await input.read(chunk)) !== null;) {
    hash.update(chunk.subarray(0, count));
  }
  const found = hash.digest("hex");
  if (found === etagOf(file)) return;
  throw new DamagedError(
    `Cannot download ${describe(subject)}: found hash ${found}, expected ${etagOf(file)}. ` +
      `The content is damaged on its way or at the server`,
  );
}
